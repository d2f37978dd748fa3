/** The worker of threads.mjs: it takes the lock and holds it until it is told otherwise. */
import { f64, Heap, list, release } from "../../dist/index.js";

let heap;
let guard;

const tasks = {
  /** The first time it attaches, and adds the sum of the numbers in the parcel to them. */
  hold({ token, parcel }) {
    heap ??= Heap.attach(token, [], { name: "worker" });
    guard = heap.lock();
    if (parcel === undefined) return;
    const numbers = heap.receive(list(f64), parcel);
    numbers.push([...numbers].reduce((sum, number) => sum + number));
    release(numbers);
  },
  "let go"() {
    guard[Symbol.dispose]();
  },
};

self.onmessage = ({ data: { task, ...message } }) => {
  tasks[task](message);
  self.postMessage("done");
};
