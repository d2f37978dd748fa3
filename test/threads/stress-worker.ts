/** A thread of the stress: reads and writes at random until it is told how to end, or is terminated. */
import { parentPort, workerData } from "node:worker_threads";
import { Heap, type Parcel, release } from "../../src/index.js";
import {
  Mischief,
  Node,
  PARCELS_RECEIVED,
  PARCELS_SENT,
  REPAIRS,
  Root,
  TYPES,
  type WorkerTask,
} from "./world.js";

const { token, ledger, serial, name, parcel, checks, writeShare }: WorkerTask = workerData;
const words = new Int32Array(ledger);
const port = parentPort!;
const yielded = () => new Promise<void>((resolve) => void setImmediate(resolve));

const heap = Heap.attach(token, TYPES, { name, checks });
heap.onRepair = () => void Atomics.add(words, REPAIRS, 1);
let leaks = 0;
heap.onLeakedHandle = () => void leaks++;
let end: "leave" | "exit" | "hold" | undefined;
const parcels: Parcel[] = [];
port.on("message", (message: { end: typeof end } | Parcel) => {
  if ("parcel" in message) parcels.push(message);
  else end = message.end;
});

let guard = heap.lock();
const mischief = new Mischief(heap, heap.receive(Root, parcel), words, serial);
guard[Symbol.dispose]();
heap.onUnraisable = (error, where) => mischief.fail(`${where}: ${error}`);
port.postMessage({ started: true });

while (end === undefined) {
  for (let turn = 0; turn < 5; turn++) takeTurn();
  if (mischief.random(10) === 0) {
    const own = await (mischief.random(2) ? heap.lockAsync() : heap.lockSharedAsync());
    if (own.mode === "exclusive") mischief.write(10);
    else mischief.read();
    own[Symbol.dispose]();
  }
  await yielded();
}

function takeTurn(): void {
  if (mischief.random(100) < writeShare) {
    const own = heap.lock();
    mischief.write(40);
    if (mischief.random(30) === 0) sendOne();
    for (const one of parcels.splice(0)) {
      release(heap.receive(Node, one));
      Atomics.add(words, PARCELS_RECEIVED, 1);
    }
    own[Symbol.dispose]();
  } else {
    const own = heap.lockShared();
    mischief.read();
    own[Symbol.dispose]();
  }
  mischief.releaseOne();
}

function sendOne(): void {
  const node = mischief.held.at(-1);
  if (node === undefined) return;
  Atomics.add(words, PARCELS_SENT, 1);
  port.postMessage(heap.send(node));
}

if (end === "hold") {
  guard = heap.lock();
  port.postMessage({ holding: true });
  for (;;) mischief.write(1);
}
if (end === "exit") {
  if (mischief.random(2)) heap.lock();
  process.exit(0);
}
guard = heap.lock();
mischief.giveUp();
guard[Symbol.dispose]();
heap[Symbol.dispose]();
port.postMessage({ left: true, leaks });
port.close();
