/**
 * The Memory panel's own code, run in a Chromium without a window: its loader, and its classes for snapshots, from the
 * front end that the browser carries. It is spoken to through a pipe by the DevTools protocol.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FRONT_END = "devtools://devtools/bundled/";
const WORKER = "entrypoints/heap_snapshot_worker/heap_snapshot_worker.js";

/** The first browser on the PATH, or undefined. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** A node as the Memory panel has it. */
export interface PanelNode {
  readonly id: number;
  readonly className: string;
  readonly name: string;
  readonly selfSize: number;
  readonly retainedSize: number;
  readonly distance: number;
  readonly retainers: readonly { readonly id: number; readonly name: string }[];
}

/** Load the text of a .heapsnapshot file as the panel does. @returns its nodes in the order of the file */
export async function loadInDevTools(chromium: string, text: string): Promise<PanelNode[]> {
  const folder = mkdtempSync(join(tmpdir(), "ouroheap-devtools-"));
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-pipe",
    `--user-data-dir=${folder}`,
  ];
  // A group of its own: the browser's helpers write to the folder, and outlive a browser that is killed alone.
  const child = spawn(chromium, flags, {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  try {
    const page = await openFrontEnd(new Protocol(child));
    await page("window.chunks = [], undefined");
    for (let start = 0; start < text.length; start += 1 << 20)
      await page(`chunks.push(${JSON.stringify(text.slice(start, start + (1 << 20)))}), undefined`);
    return (await page(`(${readAll})(${JSON.stringify(`${FRONT_END}${WORKER}`)})`)) as PanelNode[];
  } finally {
    killGroup(child.pid!);
    await exited;
    rmSync(folder, { recursive: true, force: true, maxRetries: 25, retryDelay: 200 });
  }
}

function killGroup(id: number): void {
  try {
    process.kill(-id, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Runs in the page. */
const readAll = `async (url) => {
  const { HeapSnapshot, HeapSnapshotLoader } = await import(url);
  const dispatcher = { sendEvent() {} };
  const loader = new HeapSnapshotLoader.HeapSnapshotLoader(dispatcher);
  for (const chunk of chunks) loader.write(chunk);
  loader.close();
  const { port1, port2 } = new MessageChannel();
  new HeapSnapshot.SecondaryInitManager(port2);
  const snapshot = await loader.buildSnapshot(port1);
  const found = [];
  const nodes = snapshot.allNodes();
  for (; nodes.hasNext(); nodes.next()) {
    const node = nodes.item();
    const retainers = [];
    for (const edges = node.retainers(); edges.hasNext(); edges.next())
      retainers.push({ id: edges.item().node().id(), name: edges.item().name() });
    found.push({
      id: node.id(), className: node.className(), name: node.name(), selfSize: node.selfSize(),
      retainedSize: node.retainedSize(), distance: node.distance(), retainers,
    });
  }
  return found;
}`;

type Evaluate = (expression: string) => Promise<unknown>;

async function openFrontEnd(protocol: Protocol): Promise<Evaluate> {
  const { targetId } = await protocol.send("Target.createTarget", { url: `${FRONT_END}devtools_app.html` });
  const { sessionId } = await protocol.send("Target.attachToTarget", { targetId, flatten: true });
  const evaluate: Evaluate = async (expression) => {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const answer = await protocol.send("Runtime.evaluate", options, sessionId as string);
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return (answer.result as { value?: unknown }).value;
  };
  while ((await evaluate("location.href + document.readyState")) !== `${FRONT_END}devtools_app.htmlcomplete`)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return evaluate;
}

type Answer = Record<string, unknown>;

/** Messages are JSON with a zero byte behind each. */
class Protocol {
  private readonly input: Writable;
  private readonly waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  private rest = "";
  private sent = 0;

  constructor(child: ChildProcess) {
    this.input = child.stdio[3] as Writable;
    const output = child.stdio[4] as Readable;
    output.setEncoding("utf8").on("data", (text: string) => this.read(text));
    child.once("exit", () => {
      for (const { reject } of this.waiting.values()) reject(new Error("The browser ended."));
    });
  }

  send(method: string, params: object, sessionId?: string): Promise<Answer> {
    const id = ++this.sent;
    this.input.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  private read(text: string): void {
    const messages = (this.rest + text).split("\0");
    this.rest = messages.pop()!;
    for (const message of messages) {
      const { id, result, error } = JSON.parse(message) as { id?: number; result: Answer; error?: unknown };
      const waiting = this.waiting.get(id ?? 0);
      this.waiting.delete(id ?? 0);
      if (error !== undefined) waiting?.reject(new Error(JSON.stringify(error)));
      else waiting?.resolve(result);
    }
  }
}
