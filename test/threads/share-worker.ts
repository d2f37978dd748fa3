/** A thread of test/threads/share.test.ts: joins a heap, reads it together with others, writes to it and leaves. */
import { parentPort, workerData } from "node:worker_threads";
import { Heap, type HeapToken, type Parcel, release } from "../../src/index.js";
import { Node, Root, TYPES } from "./world.js";

export interface ShareTask {
  readonly token: HeapToken;
  readonly parcel: Parcel;
  /** Word 0: 0 while workers join, which needs the lock for itself; 1 while they read; then 2. */
  readonly gate: SharedArrayBuffer;
  /** Only attach, with this time-out in ms, and say what that threw. */
  readonly attachTimeout?: number;
}

const { token, parcel, gate, attachTimeout }: ShareTask = workerData;
const stage = new Int32Array(gate);
const port = parentPort!;
if (attachTimeout !== undefined) {
  try {
    Heap.attach(token, TYPES, { timeout: attachTimeout });
  } catch (error) {
    port.postMessage((error as Error).message);
  }
  process.exit();
}
const heap = Heap.attach(token, TYPES, { name: "reader" });
const start = heap.lock();
const root = heap.receive(Root, parcel);
start[Symbol.dispose]();

port.postMessage("joined");
Atomics.wait(stage, 0, 0);
const reading = heap.lockShared();
let sum = 0;
for (const node of root.nodes) sum += node.v;
port.postMessage({ sum });
Atomics.wait(stage, 0, 1);
reading[Symbol.dispose]();

const writing = await heap.lockAsync();
root.nodes.push({ v: 1000, name: "from a worker" });
const made = heap.new(Node, { name: "in a parcel" });
port.postMessage(heap.send(made));
release(made);
release(root);
writing[Symbol.dispose]();
heap[Symbol.dispose]();
