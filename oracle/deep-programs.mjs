/** Deep structures that die by their counts, and what is seen of it: the programs of python/deep.py. */
import { any, finalizer, i32, list, oneOf, optional, release, struct } from "ouroheap";

/** The numbers of events, hashed in their order. */
class Journal {
  events = 0;
  hash = 0x811c9dc5;

  note(number) {
    this.events++;
    this.hash = Math.imul(this.hash ^ number, 16777619) >>> 0;
  }
}

let journal = new Journal();

class Link extends struct("Link", {
  number: i32,
  get next() {
    return optional(oneOf(Link, FinalLink));
  },
}) {}
class FinalLink extends struct("FinalLink", {
  number: i32,
  get next() {
    return optional(oneOf(Link, FinalLink));
  },
}) {
  [finalizer]() {
    journal.note(2 * this.number);
  }
}
const Items = list(any);

function watch(heap, target, number, refs) {
  refs.push(heap.weakref.ref(target, () => journal.note(2 * number + 1)));
}

/** Of so many links (`every`) one has a finalizer, and one is watched. */
function chain(heap, size, refs, every) {
  let last = null;
  for (let number = 0; number < size; number++) {
    const link = heap.new(number % every === 0 ? FinalLink : Link, { number, next: last });
    if (last !== null) release(last);
    if (number % every === every >> 1) watch(heap, link, number, refs);
    last = link;
  }
  return last;
}

/** Each list holds the next one and a leaf, before it or behind it, that has a finalizer and is watched. */
function nest(heap, size, refs) {
  let inner = null;
  for (let number = 0; number < size; number++) {
    const leaf = heap.new(FinalLink, { number });
    watch(heap, leaf, number, refs);
    const outer = heap.new(Items, number % 3 === 0 ? [leaf, inner] : [inner, leaf]);
    release(leaf);
    if (inner !== null) release(inner);
    inner = outer;
  }
  return inner;
}

const PROGRAMS = { chain, nest };

/** Build a structure, let go of its head, and tell how many events there were, their hash and the times in milliseconds. */
export function runDeep(heap, name, size, every = 10) {
  heap.gc.disable();
  journal = new Journal();
  const refs = [];
  const started = performance.now();
  const head = PROGRAMS[name](heap, size, refs, every);
  const built = performance.now();
  release(head);
  const died = performance.now();
  for (const ref of refs) release(ref);
  const { events, hash } = journal;
  return { events, hash, built: built - started, died: died - built };
}
