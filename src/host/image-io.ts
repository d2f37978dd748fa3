/** Where images go to and come from: files in Node, streams of either kind, bytes in memory. */
import { ImageError, InvalidArgumentError } from "../memory/errors.js";
import { show } from "./schema.js";

/** A stream of the web platform, or of Node: what `heap.save` writes to. */
export interface ByteSink {
  getWriter?(): {
    write(chunk: Uint8Array): Promise<unknown>;
    close(): Promise<unknown>;
    abort?(reason: unknown): Promise<unknown>;
  };
  write?(chunk: Uint8Array, callback: (error?: Error | null) => void): unknown;
  end?(callback: (error?: Error | null) => void): unknown;
  on?(event: "error" | "close", listener: (error: unknown) => void): unknown;
  off?(event: "error" | "close", listener: (error: unknown) => void): unknown;
}
/** A stream of the web platform, or of Node, or a Blob: what `Heap.load` reads from. */
export interface ByteSource {
  getReader?(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
    cancel(reason?: unknown): Promise<unknown>;
  };
  [Symbol.asyncIterator]?(): AsyncIterator<Uint8Array>;
  stream?(): ByteSource;
}

/** A reader that fills what it is given. */
export interface ImageSource {
  /** Bytes in all, where that is known. */
  readonly size: number | undefined;
  /** Fill `target`. @returns how many bytes there were: fewer at the end only */
  read(target: Uint8Array): number | Promise<number>;
  close(): void | Promise<void>;
}

// -- Node's files ---------------------------------------------------------------------------------

interface NodeFiles {
  openSync(path: string | URL, flags: string): number;
  readSync(file: number, target: Uint8Array, offset: number, length: number): number;
  writeSync(file: number, bytes: Uint8Array, offset: number): number;
  fstatSync(file: number): { readonly size: number; isFile(): boolean };
  closeSync(file: number): void;
  renameSync(from: string | URL, to: string | URL): void;
  rmSync(path: string | URL, options: { readonly force: boolean }): void;
  realpathSync(path: string | URL): string;
  fchmodSync(file: number, mode: number): void;
  statSync(
    path: string | URL,
    options: { readonly throwIfNoEntry: false },
  ): { readonly mode: number; isFile(): boolean } | undefined;
}

/** Node's files, at once where Node can (20.16 and later). The name is no literal, so that bundles for browsers leave it alone. */
function nodeFiles(): NodeFiles | Promise<NodeFiles> {
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): unknown; versions?: { node?: string } };
  };
  if (process?.versions?.node === undefined)
    throw new InvalidArgumentError("There are no files here: use a stream, a Blob or a Uint8Array.");
  const name = "node:fs";
  return (process.getBuiltinModule?.(name) ?? import(/* @vite-ignore */ name)) as
    | NodeFiles
    | Promise<NodeFiles>;
}

// -- writing --------------------------------------------------------------------------------------

/**
 * Write pieces, each valid until the next is asked for. To a file they go at once, and under its name only when it is whole;
 * for a stream they are copied first, because the heap may change while it takes them.
 */
export async function writePieces(target: unknown, pieces: Iterable<Uint8Array>): Promise<void> {
  if (typeof target === "string" || target instanceof URL) {
    const files = nodeFiles();
    if (files instanceof Promise) {
      const copies = copyPieces(pieces);
      writeFile(await files, target, copies);
    } else writeFile(files, target, pieces);
    return;
  }
  const sink = target as ByteSink | null;
  if (typeof sink?.getWriter === "function") await writeToWebStream(sink, copyPieces(pieces));
  else if (typeof sink?.write === "function" && typeof sink.end === "function")
    await writeToNodeStream(sink, copyPieces(pieces));
  else
    throw new InvalidArgumentError(
      `heap.save takes a path, a URL or a writable stream, got ${show(target)}.`,
    );
}

export function copyPieces(pieces: Iterable<Uint8Array>): Uint8Array[] {
  return Array.from(pieces, (piece) => piece.slice());
}

/**
 * A regular file is replaced once the new one is whole, with the permissions that it had, and behind the links that lead to
 * it. What is none (a pipe, a device) is written to.
 */
function writeFile(files: NodeFiles, path: string | URL, pieces: Iterable<Uint8Array>): void {
  const existing = files.statSync(path, { throwIfNoEntry: false });
  if (existing !== undefined && !existing.isFile()) {
    writeTo(files, path, pieces);
    return;
  }
  const target = existing === undefined ? path : files.realpathSync(path);
  const unfinished =
    typeof target === "string" ? `${target}.unfinished` : new URL(`${target.href}.unfinished`);
  try {
    writeTo(files, unfinished, pieces, existing?.mode);
    files.renameSync(unfinished, target);
  } catch (error) {
    files.rmSync(unfinished, { force: true });
    throw error;
  }
}

function writeTo(files: NodeFiles, path: string | URL, pieces: Iterable<Uint8Array>, mode?: number): void {
  const file = files.openSync(path, "w");
  try {
    if (mode !== undefined) files.fchmodSync(file, mode & 0o7777);
    for (const piece of pieces)
      for (let done = 0; done < piece.length; ) done += files.writeSync(file, piece, done);
  } finally {
    files.closeSync(file);
  }
}

async function writeToWebStream(sink: ByteSink, pieces: Iterable<Uint8Array>): Promise<void> {
  const writer = sink.getWriter!();
  for (const piece of pieces) await writer.write(piece);
  await writer.close();
}

async function writeToNodeStream(sink: ByteSink, pieces: Iterable<Uint8Array>): Promise<void> {
  // A stream that fails says so by an event, and may then call nobody back.
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const closed = () => fail(new InvalidArgumentError("The stream was closed before it took the whole heap."));
  sink.on?.("error", fail);
  sink.on?.("close", closed);
  const finish = (resolve: () => void) => (error?: Error | null) => (error ? fail(error) : resolve());
  for (const piece of pieces)
    await Promise.race([failed, new Promise<void>((resolve) => sink.write!(piece, finish(resolve)))]);
  await Promise.race([failed, new Promise<void>((resolve) => sink.end!(finish(resolve)))]);
  // After a failure they stay: an error without a listener would end the process.
  sink.off?.("error", fail);
  sink.off?.("close", closed);
}

// -- reading --------------------------------------------------------------------------------------

export async function openSource(source: unknown): Promise<ImageSource> {
  if (typeof source === "string" || source instanceof URL) return openFile(await nodeFiles(), source);
  if (source instanceof Uint8Array) return bytesSource(source);
  if (source instanceof ArrayBuffer) return bytesSource(new Uint8Array(source));
  const stream = source as (ByteSource & { readonly size?: unknown }) | null;
  if (typeof stream?.stream === "function") return streamSource(stream.stream(), stream.size);
  if (typeof stream?.getReader === "function" || typeof stream?.[Symbol.asyncIterator] === "function")
    return streamSource(stream, undefined);
  throw new InvalidArgumentError(
    `Heap.load takes a path, a URL, a Uint8Array, a Blob or a readable stream, got ${show(source)}.`,
  );
}

function openFile(files: NodeFiles, path: string | URL): ImageSource {
  const file = files.openSync(path, "r");
  const status = files.fstatSync(file);
  return {
    size: status.isFile() ? status.size : undefined,
    read(target) {
      let done = 0;
      while (done < target.length) {
        const count = files.readSync(file, target, done, target.length - done);
        if (count === 0) break;
        done += count;
      }
      return done;
    },
    close: () => files.closeSync(file),
  };
}

function bytesSource(bytes: Uint8Array): ImageSource {
  let next = 0;
  return {
    size: bytes.length,
    read(target) {
      const piece = bytes.subarray(next, next + target.length);
      target.set(piece);
      next += piece.length;
      return piece.length;
    },
    close() {},
  };
}

function streamSource(stream: ByteSource, size: unknown): ImageSource {
  const { next, end } = pullFrom(stream);
  let piece: Uint8Array = new Uint8Array(0);
  return {
    size: typeof size === "number" ? size : undefined,
    async read(target) {
      let done = 0;
      while (done < target.length) {
        if (piece.length === 0) {
          const more = await next();
          if (more === undefined) break;
          if (!(more instanceof Uint8Array))
            throw new ImageError(
              "IMAGE_FOREIGN",
              `A stream of bytes was expected, and this gives ${show(more)}.`,
            );
          piece = more;
          continue;
        }
        const part = piece.subarray(0, target.length - done);
        target.set(part, done);
        done += part.length;
        piece = piece.subarray(part.length);
      }
      return done;
    },
    close: end,
  };
}

function pullFrom(stream: ByteSource): { next(): Promise<unknown>; end(): Promise<void> } {
  if (typeof stream.getReader === "function") {
    const reader = stream.getReader();
    return {
      next: async () => {
        const { done, value } = await reader.read();
        return done ? undefined : value;
      },
      end: async () => {
        await reader.cancel();
      },
    };
  }
  const iterator = stream[Symbol.asyncIterator]!();
  return {
    next: async () => {
      const { done, value } = await iterator.next();
      return done === true ? undefined : (value as unknown);
    },
    end: async () => {
      await iterator.return?.();
    },
  };
}
