/** How heap objects appear in `console.log` and `JSON.stringify`: with their contents, cycles named. */
import type { Address } from "../memory/layout.js";
import { defineOwn, entriesOf, fieldsOf, hasStringKeys, itemsOf, pathText, type Step } from "./contents.js";
import { addressOf, asView, hide, INSPECT, isLive, type View } from "./view.js";

/** Node's inspection options, as far as they are used here. */
interface InspectOptions {
  readonly depth?: number | null;
  readonly maxArrayLength?: number | null;
}
type Inspect = (value: unknown, options: InspectOptions) => string;

/** Give a view's prototype its appearance. A method of the user's class wins. */
export function defineShown(prototype: object): void {
  if (!(INSPECT in prototype)) hide(prototype, INSPECT, inspectView);
  if (!("toJSON" in prototype)) hide(prototype, "toJSON", toJson);
}

/** Objects being shown now, outermost first: views of one object are not the same to the inspector. */
const beingShown: View[] = [];
/** What the inspector shows of a list unless it is told otherwise. */
const ITEMS_SHOWN = 100;

/** @param depth how many levels may still be shown; null: all */
function inspectView(this: View, depth: number | null, options: InspectOptions, inspect: Inspect): string {
  const { text } = this["@type"];
  if (!isLive(this)) return `[${text}: not alive]`;
  const isThis = (other: View) =>
    other["@address"] === this["@address"] && other["@type"].context === this["@type"].context;
  if (beingShown.some(isThis)) return `[Circular ${text}]`;
  if (depth !== null && depth < 0) return `[${text}]`;
  beingShown.push(this);
  try {
    const { maxArrayLength = ITEMS_SHOWN } = options;
    // One item at least: an empty copy would be shown as empty, and not as having so many more.
    const shape = plainShape(this, Math.max(1, maxArrayLength ?? Infinity));
    return `${text} ${inspect(shape, { ...options, depth }).replace(/^(Map|Set)\(\d+\)/, `$1(${sizeOf(this)})`)}`;
  } finally {
    beingShown.pop();
  }
}

/**
 * The contents in the nearest host container, which the inspector knows how to print. Of a large one only what will be
 * printed is copied, and the copy says the real size, so that the inspector says how many more there are.
 */
function plainShape(view: View, itemsMax: number): unknown {
  switch (view["@type"].descriptor["@kind"]) {
    case "struct":
      return ownObject(fieldsOf(view));
    case "dict":
      return Object.defineProperty(new Map(take(entriesOf(view), itemsMax)), "size", { value: sizeOf(view) });
    case "set":
      return Object.defineProperty(new Set(take(itemsOf(view), itemsMax)), "size", { value: sizeOf(view) });
    default: {
      const items = take(itemsOf(view), itemsMax);
      items.length = (view as unknown as { length: number }).length;
      return items;
    }
  }
}

function sizeOf(view: View): number {
  return (view as unknown as { size: number }).size;
}

function ownObject(entries: Iterable<[string, unknown]>): object {
  const object = {};
  for (const [name, value] of entries) defineOwn(object, name, value);
  return object;
}

function take<T>(items: Iterable<T>, max: number): T[] {
  const taken: T[] = [];
  for (const item of items) {
    if (taken.length >= max) break;
    taken.push(item);
  }
  return taken;
}

/**
 * What `JSON.stringify` writes for a heap object: structs and string-keyed dicts as objects, lists, tuples and sets as
 * arrays, other dicts as arrays of pairs, an i64 as a string of digits, and a reference back to an object that is
 * being written as `{"$ref": path}`.
 */
function toJson(this: View): unknown {
  return new JsonWriter().write(this);
}

class JsonWriter {
  /** Paths of the objects on the way from the root, by address. */
  private readonly open = new Map<Address, string>();
  private readonly steps: Step[] = [];

  write(value: unknown): unknown {
    if (typeof value === "bigint") return String(value);
    const view = asView(value);
    if (view === undefined) return value;
    // A class's own: JSON.stringify calls it when it comes to the view.
    const { toJSON } = view as { toJSON?: unknown };
    if (typeof toJSON === "function" && toJSON !== toJson) return view;
    const address = addressOf(view);
    const path = this.open.get(address);
    if (path !== undefined) return { $ref: path };
    this.open.set(address, pathText(this.steps));
    const written = this.writeContents(view);
    this.open.delete(address);
    return written;
  }

  private writeContents(view: View): unknown {
    const type = view["@type"];
    if (type.descriptor["@kind"] === "struct") return this.writeObject(fieldsOf(view));
    if (type.descriptor["@kind"] !== "dict") return this.writeArray(itemsOf(view));
    if (hasStringKeys(type)) return this.writeObject(entriesOf(view) as Iterable<[string, unknown]>);
    return this.writeArray(entriesOf(view));
  }

  private writeObject(entries: Iterable<[string, unknown]>): object {
    const object = {};
    for (const [name, value] of entries) defineOwn(object, name, this.at(name, value));
    return object;
  }

  private writeArray(items: Iterable<unknown>): unknown[] {
    const array: unknown[] = [];
    for (const item of items) {
      const written = Array.isArray(item)
        ? item.map((part, index) => this.at(array.length, part, index))
        : this.at(array.length, item);
      array.push(written);
    }
    return array;
  }

  private at(step: Step, value: unknown, inner?: Step): unknown {
    const depth = this.steps.length;
    this.steps.push(step);
    if (inner !== undefined) this.steps.push(inner);
    const written = this.write(value);
    this.steps.length = depth;
    return written;
  }
}
