/** The worker of threads.mjs: it takes the lock and holds it until it is told otherwise. */
import { f64, Heap, list, release } from "../../dist/index.js";

let heap;
let guard;

const tasks = {
  /** The first time it attaches, and adds the sum of the numbers in the parcel to them. */
  hold({ token, parcel, name }) {
    heap ??= Heap.attach(token, [], { name });
    guard = heap.lock();
    if (parcel === undefined) return;
    const numbers = heap.receive(list(f64), parcel);
    numbers.push([...numbers].reduce((sum, number) => sum + number));
    release(numbers);
  },
  "let go"() {
    guard[Symbol.dispose]();
  },
  /** Until its end could be reported: the page waits for this thread's Web Lock from then on. */
  async "be watched"() {
    for (;;) {
      const { held, pending } = await navigator.locks.query();
      const waited = new Set(pending.map(({ name }) => name));
      if (held.some(({ name, mode }) => mode === "exclusive" && waited.has(name))) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
};

self.onmessage = async ({ data: { task, ...message } }) => {
  await tasks[task](message);
  self.postMessage("done");
};
