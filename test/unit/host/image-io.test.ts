/** Where images go to and come from, and what comes from there and is none. */
import {
  createWriteStream,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { Heap, ImageError, type LoadedHeap, list, str } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { load, Node, refusal } from "./image-support.js";

const scratch = mkdtempSync(join(tmpdir(), "ouroheap-image-"));

afterEach(() => {
  for (const file of readdirSync(scratch)) rmSync(join(scratch, file));
});

describe("where it goes and comes from", () => {
  const heapOf = (name: string) => {
    const heap = makeHeap();
    return { heap, node: heap.new(Node, { name }) };
  };
  const nameOf = ({ roots }: LoadedHeap) => (roots.node as unknown as Node).name;

  it("is a file, by path or URL, which appears when it is whole", async () => {
    const { heap, node } = heapOf("file");
    const path = join(scratch, "heap.ouro");
    await heap.save(path, { roots: { node } });
    expect(nameOf(await load(path))).toBe("file");
    await heap.save(pathToFileURL(join(scratch, "url.ouro")), { roots: { node } });
    expect(nameOf(await load(pathToFileURL(join(scratch, "url.ouro"))))).toBe("file");
    expect(readdirSync(scratch).sort()).toEqual(["heap.ouro", "url.ouro"]);
    expect(Buffer.compare(readFileSync(path), heap.saveBytes({ roots: { node } }))).toBe(0);
  });

  it("leaves the old file alone when saving fails", async () => {
    const { heap } = heapOf("file");
    const path = join(scratch, "heap.ouro");
    writeFileSync(path, "old");
    await refusal(heap.save(path, { roots: { other: {} as never } }));
    expect([readFileSync(path, "utf8"), existsSync(`${path}.unfinished`)]).toEqual(["old", false]);
    expect((await refusal(heap.save(join(scratch, "no", "such", "folder")))).code).toBe("ENOENT");
  });

  it("is a stream of Node's", async () => {
    const { heap, node } = heapOf("node stream");
    const stream = new PassThrough({ highWaterMark: 100 });
    const saved = heap.save(stream, { roots: { node } });
    expect(nameOf(await load(stream))).toBe("node stream");
    await saved;
  });

  it("is a stream of the web's, as it was at the call", async () => {
    const { heap, node } = heapOf("web stream");
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const saved = heap.save(writable, { roots: { node } });
    node.name = "changed";
    expect(nameOf(await load(readable))).toBe("web stream");
    await saved;
  });

  it("is a Blob, bytes, or pieces of any size", async () => {
    const { heap, node } = heapOf("bytes");
    const bytes = heap.saveBytes({ roots: { node } });
    expect(nameOf(await load(new Blob([bytes as Uint8Array<ArrayBuffer>])))).toBe("bytes");
    expect(nameOf(await load(bytes.buffer as ArrayBuffer))).toBe("bytes");
    const pieces = Array.from({ length: Math.ceil(bytes.length / 4999) }, (_, index) =>
      bytes.subarray(index * 4999, (index + 1) * 4999),
    );
    expect(nameOf(await load(Readable.from(pieces)))).toBe("bytes");
  });

  it("is nothing else", async () => {
    const { heap } = heapOf("x");
    expect((await refusal(heap.save(5 as never))).message).toContain("takes a path");
    expect((await refusal(Heap.load(5 as never))).message).toContain("takes a path");
    expect((await refusal(Heap.load(Readable.from(["text"])))).message).toContain("A stream of bytes");
    expect((await refusal(Heap.load(join(scratch, "none")))).code).toBe("ENOENT");
  });
});

describe("a target that fails or is special", () => {
  const heapWithText = () => {
    const heap = makeHeap();
    return { heap, roots: { text: heap.new(list(str), ["a"]) } };
  };

  it.each([
    [
      "fails at its end",
      () => new Writable({ write: (_, __, done) => done(), final: (done) => done(new Error("flush")) }),
      /flush/,
    ],
    [
      "fails while it takes a piece",
      () => new Writable({ write: (_, __, done) => done(new Error("full")) }),
      /full/,
    ],
    [
      "is destroyed and calls nobody back",
      () => {
        const stream = new Writable({ write: () => void setImmediate(() => stream.destroy()) });
        return stream;
      },
      /closed before it took the whole heap/,
    ],
    ["cannot be opened", () => createWriteStream(join(tmpdir(), "missing-folder", "file")), /ENOENT/],
  ] as [string, () => Writable, RegExp][])(
    "a stream that %s rejects the save, and nothing else happens",
    async (_, make, message) => {
      const { heap, roots } = heapWithText();
      await expect(heap.save(make() as never, { roots })).rejects.toThrow(message);
      await new Promise(setImmediate);
    },
  );

  it("a file that exists keeps its permissions, and a link still leads to it", async () => {
    const { heap, roots } = heapWithText();
    const folder = mkdtempSync(join(tmpdir(), "ouroheap-"));
    try {
      const [file, link] = [join(folder, "a.heap"), join(folder, "b.heap")];
      writeFileSync(file, "old", { mode: 0o600 });
      symlinkSync(file, link);
      await heap.save(link, { roots });
      expect([statSync(file).mode & 0o777, lstatSync(link).isSymbolicLink()]).toEqual([0o600, true]);
      const loaded = await Heap.load(file);
      expect([...(loaded.roots.text as never as Iterable<string>)]).toEqual(["a"]);
      expect(readdirSync(folder).sort()).toEqual(["a.heap", "b.heap"]);
      for (const handle of Object.values(loaded.roots)) handle[Symbol.dispose]();
      loaded.heap.shutdown();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("what is no saved heap", () => {
  const bytes = () => {
    const heap = makeHeap();
    return heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
  };
  const codeOf = async (source: Uint8Array) => {
    const errors = [await refusal(Heap.load(source)), await refusal(Heap.load(Readable.from([source])))];
    for (const error of errors) expect(error).toBeInstanceOf(ImageError);
    return errors.map(({ code }) => code);
  };

  it("is foreign: named so", async () => {
    expect(await codeOf(new Uint8Array(0))).toEqual(["IMAGE_FOREIGN", "IMAGE_FOREIGN"]);
    expect(
      await codeOf(new TextEncoder().encode("PK\u0003\u0004 something else entirely".repeat(10))),
    ).toEqual(["IMAGE_FOREIGN", "IMAGE_FOREIGN"]);
  });

  it("is cut off", async () => {
    const whole = bytes();
    for (const length of [3, 20, 64, 100, 2000, whole.length - 1])
      expect(await codeOf(whole.subarray(0, length))).toEqual(["IMAGE_TRUNCATED", "IMAGE_TRUNCATED"]);
  });

  it("is too long", async () => {
    expect(await codeOf(Uint8Array.from([...bytes(), 0]))).toEqual(["IMAGE_CORRUPT", "IMAGE_CORRUPT"]);
  });

  it("has a bit flipped, wherever", async () => {
    const whole = bytes();
    for (const at of [8, 12, 40, 60, 70, 900, 10_000, whole.length - 10, whole.length - 1]) {
      const damaged = whole.slice();
      damaged[at] ^= 4;
      expect(await codeOf(damaged)).toEqual(["IMAGE_CORRUPT", "IMAGE_CORRUPT"]);
    }
  });
});
