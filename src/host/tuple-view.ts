/** Tuples in JavaScript: a readonly array, with every reading method that a readonly tuple type promises. */
import { HEADER_SERIAL } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import { createCodec } from "./codec.js";
import { createFromLiteral } from "./literal.js";
import { defineShown } from "./show.js";
import { addressOf, asView, hide, stale, type View } from "./view.js";

/** Behind every tuple view: Array's reading methods, which work on anything with a length and indices. */
export class TupleView {}

const READING_METHODS = [
  "at",
  "concat",
  "entries",
  "every",
  "filter",
  "find",
  "findIndex",
  "findLast",
  "findLastIndex",
  "forEach",
  "join",
  "keys",
  "map",
  "reduce",
  "reduceRight",
  "slice",
  "some",
  "toLocaleString",
  "toReversed",
  "toSorted",
  "toSpliced",
  "toString",
  "values",
  "with",
] as const;

const arrayPrototype = Array.prototype as unknown as Record<string | symbol, unknown>;
for (const name of READING_METHODS)
  if (name in arrayPrototype) hide(TupleView.prototype, name, arrayPrototype[name]);
hide(TupleView.prototype, Symbol.iterator, arrayPrototype.values);
hide(TupleView.prototype, Symbol.isConcatSpreadable, true);

/** Array's own searches compare views with ===, but two views of one object are one item. */
function sameItem(a: unknown, b: unknown): boolean {
  const [first, second] = [asView(a), asView(b)];
  if (first === undefined || second === undefined) return Object.is(a, b) || a === b;
  return first["@type"].context === second["@type"].context && addressOf(first) === addressOf(second);
}
type TupleLike = ArrayLike<unknown>;
hide(TupleView.prototype, "includes", function (this: TupleLike, item: unknown, from = 0) {
  return Array.from(this)
    .slice(from)
    .some((other) => sameItem(other, item));
});
hide(TupleView.prototype, "indexOf", function (this: TupleLike, item: unknown, from = 0) {
  const start = from < 0 ? Math.max(0, from + this.length) : from;
  return Array.from(this).findIndex(
    (other, index) => index >= start && !Number.isNaN(item) && sameItem(other, item),
  );
});
hide(TupleView.prototype, "lastIndexOf", function (this: TupleLike, item: unknown, from = this.length - 1) {
  const last = from < 0 ? from + this.length : from;
  return Array.from(this).findLastIndex(
    (other, index) => index <= last && !Number.isNaN(item) && sameItem(other, item),
  );
});

/** Array's own flatten arrays only, and a tuple in a tuple is a view. */
function flatten(items: Iterable<unknown>, depth: number): unknown[] {
  const flat: unknown[] = [];
  for (const item of items) {
    if (depth >= 1 && (Array.isArray(item) || item instanceof TupleView))
      for (const inner of flatten(item as Iterable<unknown>, depth - 1)) flat.push(inner);
    else flat.push(item);
  }
  return flat;
}
hide(TupleView.prototype, "flat", function (this: Iterable<unknown>, depth = 1) {
  return flatten(this, depth);
});
hide(
  TupleView.prototype,
  "flatMap",
  function (this: unknown[], visit: (item: unknown) => unknown, self: unknown) {
    return flatten(this.map(visit, self), 1);
  },
);

export function defineTuple(type: BoundType): void {
  const { context, slots, layout } = type;
  const { i32 } = context.core.memory;
  const codecs = slots.map(({ spec }, index) =>
    createCodec(context, spec, `Item ${index} of ${type.text}`, layout!.places[index].shift),
  );
  const prototype = Object.create(TupleView.prototype) as object;
  hide(prototype, "@type", type);
  defineShown(prototype);
  hide(prototype, "length", slots.length);
  Object.defineProperty(prototype, "length", { writable: false });
  slots.forEach((_, index) => {
    const { read } = codecs[index];
    const { offset } = layout!.places[index];
    Object.defineProperty(prototype, index, {
      enumerable: true,
      configurable: true,
      get(this: View) {
        const address = this["@address"];
        if (i32[address + HEADER_SERIAL] !== this["@serial"]) stale(this);
        return read(address + offset);
      },
    });
  });
  type.View.prototype = prototype;
  context.handles.defineRelease(type, prototype);
  type.makeCreate = () => createFromLiteral(type, codecs);
}
