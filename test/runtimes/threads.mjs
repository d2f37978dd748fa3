/**
 * A heap shared with a worker, in whatever runs this file: `node`, `deno run -A`, `bun`. Prints a line for each thing tried.
 * The worker is this file too.
 */
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { dict, f64, Heap, release, str, struct } from "../../dist/index.js";
import { verify } from "../../dist/inspect.js";

class City extends struct("City", { name: str, people: f64 }) {}
const Cities = dict(str, City);

if (isMainThread) await main();
else worker();

async function main() {
  const heap = Heap.create({ maximumBytes: 16 << 20, checks: "verify" });
  const cities = heap.new(Cities, [["Bern", { name: "Bern", people: 134_000 }]]);
  heap.onRepair = ({ threads }) => console.log(`repaired after ${threads.join()}`);
  const token = heap.share();
  const parcel = underGuard(heap, () => heap.send(cities));
  const other = new Worker(new URL(import.meta.url), { workerData: { token, parcel } });
  heap.watch(other);

  await once(other, "message");
  console.log(tell(() => heap.lock({ timeout: 20 })));
  other.postMessage("let go");
  const guard = await heap.lockAsync({ timeout: 20_000 });
  console.log(cities.get("Bern").people, cities.size);
  guard[Symbol.dispose]();

  await once(other, "message");
  await other.terminate();
  const again = await heap.lockAsync({ timeout: 20_000 });
  console.log([...cities.keys()].join());
  release(cities);
  heap.gc.collect();
  verify(heap);
  console.log(`${heap.gc.getObjects().length} objects left`);
  again[Symbol.dispose]();
  heap[Symbol.dispose]();
}

/** Writes and keeps the lock until it is told otherwise; then takes it again for good. */
function worker() {
  const heap = Heap.attach(workerData.token, [City], { name: "worker" });
  const guard = heap.lock();
  const cities = heap.receive(Cities, workerData.parcel);
  cities.get("Bern").people += 1000;
  cities.set("Chur", { name: "Chur", people: 39_000 });
  release(cities);
  parentPort.once("message", () => {
    guard[Symbol.dispose]();
    // So that the one who waits comes first.
    setTimeout(() => {
      heap.lock();
      parentPort.postMessage("locked again");
    }, 100);
  });
  parentPort.postMessage("locked");
}

function underGuard(heap, body) {
  const guard = heap.lock();
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

function tell(body) {
  try {
    body();
    return "nothing was thrown";
  } catch (error) {
    return `${error.code}: ${error.owners?.join()}`;
  }
}
