/**
 * Thirty other types, made hot before anything is measured. In a program with one type every shared function of a library
 * sees one shape and looks fast; a real program has many. Each type has its own text, so that each has its own feedback
 * and none is special, and each does what the measured one does: build, link, read, write, walk by a method, release.
 */
import { f64, optional, release, struct } from "ouroheap";

const TYPES = 30;
const OBJECTS = 1000;
const ROUNDS = 20;

const METHOD = `sum() {
  let total = this.v;
  const a = this.a;
  if (a !== null) total += a.sum();
  const b = this.b;
  if (b !== null) total += b.sum();
  return total;
}`;

/** The sum over a list of trees of three nodes, by property and by method. */
const WALK = `let total = 0;
for (let node = head; node !== null; node = node.c) total += node.sum();`;

export function makeHeapTypesHot(heap) {
  for (let k = 0; k < TYPES; k++) {
    const declare = `class Hot${k} extends struct("Hot${k}", {
      get a() { return optional(Hot${k}); }, get b() { return optional(Hot${k}); }, get c() { return optional(Hot${k}); }, v: f64,
    }) { ${METHOD} }
    return Hot${k};`;
    const Hot = new Function("struct", "optional", "f64", declare)(struct, optional, f64);
    const body = `/* type ${k} */
    let head = null;
    for (let i = 0; i < objects; i++) {
      const left = heap.new(Hot, { a: null, b: null, c: null, v: 0.5 });
      const node = heap.new(Hot, { a: left, b: null, c: head, v: i + 0.5 });
      release(left);
      const right = heap.new(Hot, { a: null, b: null, c: null, v: 0.5 });
      node.b = right;
      right.v = 1.5;
      release(right);
      if (head !== null) release(head);
      head = node;
    }
    ${WALK}
    release(head);
    return total;`;
    run(new Function("heap", "Hot", "release", "objects", body).bind(null, heap, Hot, release));
  }
}

export function makePlainTypesHot() {
  for (let k = 0; k < TYPES; k++) {
    const declare = `return class Hot${k} {
      constructor(a, b, c, v) { this.a = a; this.b = b; this.c = c; this.v = v; }
      ${METHOD}
    };`;
    const Hot = new Function(declare)();
    const body = `/* type ${k} */
    let head = null;
    for (let i = 0; i < objects; i++) {
      const node = new Hot(new Hot(null, null, null, 0.5), null, head, i + 0.5);
      const right = new Hot(null, null, null, 0.5);
      node.b = right;
      right.v = 1.5;
      head = node;
    }
    ${WALK}
    return total;`;
    run(new Function("Hot", "objects", body).bind(null, Hot));
  }
}

function run(loop) {
  const expected = (OBJECTS * (OBJECTS - 1)) / 2 + 2.5 * OBJECTS;
  for (let round = 0; round < ROUNDS; round++) {
    const total = loop(OBJECTS);
    if (total !== expected) throw new Error(`A warm-up loop came to ${total} instead of ${expected}.`);
  }
}
