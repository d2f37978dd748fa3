// A cache of the pages used last. A dict keeps its entries in order of insertion, so the first is the one to drop, and
// what is dropped is freed before the call returns: memory does not depend on when a collector runs.
import { dict, Heap, list, release, str, struct } from "ouroheap";

const Page = struct("Page", { body: str, links: list(str) });

class PageCache {
  constructor(heap, capacity) {
    this.capacity = capacity;
    this.pages = heap.new(dict(str, Page), []);
  }
  put(path, page) {
    this.pages.delete(path);
    this.pages.set(path, page);
    if (this.pages.size > this.capacity) this.pages.delete(this.pages.keys().next().value);
  }
  /** The page, borrowed: valid until the cache drops it. */
  get(path) {
    const page = this.pages.take(path); // the entry leaves the dict, and we own its reference...
    if (page === undefined) return undefined;
    this.pages.set(path, page); // ...until it is back, as the newest
    release(page);
    return this.pages.get(path);
  }
  [Symbol.dispose]() {
    release(this.pages);
  }
}

const heap = Heap.create();
const cache = new PageCache(heap, 3);
for (const path of ["/", "/about", "/news"]) cache.put(path, { body: `This is ${path}`, links: ["/"] });
console.log(cache.get("/").body);
cache.put("/shop", { body: "Buy!" });
console.log([...cache.pages.keys()], cache.get("/about"));

const before = heap.bytesUsed;
for (let number = 0; number < 100_000; number++) cache.put(`/${number}`, { body: "x".repeat(200) });
console.log(`grown by less than ${Math.ceil((heap.bytesUsed - before) / 65536) * 64} KiB`);
console.log("collections that it took:", heap.gc.getStats()[0].collections);
cache[Symbol.dispose]();

/* prints:
This is /
[ '/news', '/', '/shop' ] undefined
grown by less than 64 KiB
collections that it took: 0
*/
