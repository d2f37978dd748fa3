/** A thread that asks the shared tree: what it is told by message it does, and answers. */
import { parentPort } from "node:worker_threads";
import { Heap, release } from "ouroheap";
import { clockMs } from "./measure.mjs";
import { countNames, questionFor } from "./query.mjs";
import { Call, Identifier, Literal, Node } from "./syntax.mjs";

const types = [Identifier, Literal, Call, Node];
let heap;
let root;

const tasks = {
  /** Join the heap and read the root. */
  attach({ token, parcel, name }) {
    heap = Heap.attach(token, types, { name, checks: "handles" });
    return underGuard(() => {
      root = heap.receive(Node, parcel);
      return { end: root.end, atMs: clockMs() };
    });
  },

  /** The alternative: the tree is in the message. */
  clone({ tree }) {
    return { end: tree.end, atMs: clockMs() };
  },

  /** Count names again and again; what is expected must come out each time, whatever is being replaced. */
  ask({ isJson, expected, ms }) {
    const { nameOf } = questionFor({ isJson });
    const startMs = clockMs();
    let answers = 0;
    do {
      const counts = underGuard(() => countNames(root, nameOf));
      if (!areEqual(counts, expected)) throw new Error("A thread has seen a tree that there never was.");
      answers++;
    } while (clockMs() < startMs + ms);
    return { answers, ms: clockMs() - startMs };
  },

  leave() {
    underGuard(() => release(root));
    heap[Symbol.dispose]();
    return {};
  },
};

/** One guard for one question: the answer is of one state of the tree. */
function underGuard(body) {
  const guard = heap.lockShared();
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

function areEqual(counts, expected) {
  if (counts.size !== expected.size) return false;
  for (const [name, times] of counts) if (expected.get(name) !== times) return false;
  return true;
}

parentPort.on("message", ({ task, ...message }) => parentPort.postMessage(tasks[task](message)));
parentPort.on("messageerror", (error) => parentPort.postMessage({ refusal: error.message }));
parentPort.postMessage({});
