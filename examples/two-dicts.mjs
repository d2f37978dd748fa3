// Python's own example of garbage collection: two dicts that hold each other, and nobody else does.
import { any, dict, Heap, refcount, release, str } from "ouroheap";

const heap = Heap.create();
heap.gc.disable(); // so that only we collect, as gc.disable() does in Python

const a = heap.new(dict(str, any), [["key", "value"]]);
const b = heap.new(dict(str, any), [["key", "another_value"]]);
a.set("ref_to_b", b);
b.set("ref_to_a", a);
console.log("references to a:", refcount(a)); // our handle, and b's entry
console.log(a);

release(a); // Python's `del a`
release(b);
console.log("left after del:", heap.gc.getObjects().length); // both counts are 1, not 0
console.log("collected:", heap.gc.collect());
console.log("left:", heap.gc.getObjects().length);

/* prints:
references to a: 2
dict(str, any) Map(2) {
  'key' => 'value',
  'ref_to_b' => dict(str, any) Map(2) {
    'key' => 'another_value',
    'ref_to_a' => [Circular dict(str, any)]
  }
}
left after del: 2
collected: 2
left: 0
*/
