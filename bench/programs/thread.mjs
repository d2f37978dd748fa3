/** The worker of the rows of threads: it does what each message asks for, and answers with what it read and when. */
import { parentPort, threadId } from "node:worker_threads";
import { Heap, release } from "ouroheap";
import { Names, Node, nameOf, readPath } from "../lib/shared-tree.mjs";

const NS_PER_MS = 1e6;
/** A reader lets writers in as often as this. */
const TURN_MS = 1;
/** Lookups between two looks at the clock. */
const LOOKUPS = 16;

let heap;
let names;

const tasks = {
  /** Attach to a heap and read what came in a parcel. */
  attach({ token, parcel }) {
    const startNs = now();
    const shared = Heap.attach(token, [Node], { name: `reader ${threadId}` });
    const attachMs = (now() - startNs) / NS_PER_MS;
    const guard = shared.lockShared();
    const root = shared.receive(Node, parcel);
    const read = readPath(root);
    const atNs = now();
    release(root);
    guard[Symbol.dispose]();
    return { read, atNs, attachMs };
  },

  /** Read what was cloned. */
  clone({ root }) {
    const read = readPath(root);
    return { read, atNs: now() };
  },

  /** Attach to a heap for good, to look up names in what came in a parcel. */
  open({ token, parcel }) {
    heap = Heap.attach(token, [Node], { name: `reader ${threadId}` });
    const guard = heap.lockShared();
    names = heap.receive(Names, parcel);
    guard[Symbol.dispose]();
    return {};
  },

  /** Look up names and sum the trees behind them, from a given moment on and for so long. @returns lookups a millisecond */
  look({ startNs, ms, total }) {
    while (now() < startNs);
    const endNs = startNs + ms * NS_PER_MS;
    let lookups = 0;
    let index = 0;
    let sum = 0;
    while (now() < endNs) {
      const guard = heap.lockShared();
      const turnNs = Math.min(endNs, now() + TURN_MS * NS_PER_MS);
      do {
        for (let lookup = 0; lookup < LOOKUPS; lookup++) {
          sum += names.get(nameOf(index)).sum();
          if (++index < names.size) continue;
          if (sum !== total) throw new Error(`The trees came to ${sum} instead of ${total}.`);
          index = 0;
          sum = 0;
        }
        lookups += LOOKUPS;
      } while (now() < turnNs);
      guard[Symbol.dispose]();
    }
    return { speed: lookups / ((now() - startNs) / NS_PER_MS) };
  },
};

/** Of the clock that all threads of a process have. */
function now() {
  return Number(process.hrtime.bigint());
}

parentPort.on("message", ({ task, ...message }) => parentPort.postMessage(tasks[task](message)));
parentPort.postMessage("ready");
