/** Between plain JavaScript graphs and heap graphs. Neither direction recurses, so depth is no limit. */
import { HeapError, InvalidArgumentError } from "../memory/errors.js";
import type { Address } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import { defineOwn, entriesOf, fieldsOf, hasStringKeys, itemsOf, pathText, type Step } from "./contents.js";
import type { Context } from "./context.js";
import { ForeignView } from "./foreign-view.js";
import { any, type ContainerDescriptor, dict, list, set, show, str } from "./schema.js";
import type { Dict, HashSet, List } from "./types.js";
import { addressOf, asView, type View } from "./view.js";

type AnyList = List<unknown>;
type AnyDict = Dict<unknown, unknown>;
type AnySet = HashSet<unknown>;

/** Copy a plain graph into the heap. @returns a handle to the copy of the root */
export function fromJS(context: Context, root: unknown): View {
  return new Importer(context).run(root);
}

/** A plain object on its way into the heap. */
interface Imported {
  readonly source: object;
  readonly view: View;
  /** Where it was found first, for messages. */
  readonly parent: Imported | undefined;
  readonly step: Step;
}

class Importer {
  private readonly context: Context;
  private readonly listType: BoundType;
  private readonly objectType: BoundType;
  private readonly mapType: BoundType;
  private readonly setType: BoundType;
  /** In the order of discovery; the copy owns a reference to each until the end. */
  private readonly imported: Imported[] = [];
  private readonly bySource = new Map<object, Imported>();

  constructor(context: Context) {
    this.context = context;
    const bind = (type: unknown) => context.binder.bind(type as ContainerDescriptor);
    this.listType = bind(list(any));
    this.objectType = bind(dict(str, any));
    this.mapType = bind(dict(any, any));
    this.setType = bind(set(any));
  }

  run(root: unknown): View {
    const { counts } = this.context.core;
    this.context.inside++;
    try {
      if (typeof root !== "object" || root === null || this.isReference(undefined, "", root))
        throw new InvalidArgumentError(
          `heap.from copies a plain object, array, Map or Set, got ${show(root)}.`,
        );
      this.shell(root, undefined, "");
      // The list grows while it is walked: children are found by filling their parents.
      for (let index = 0; index < this.imported.length; index++) this.fill(this.imported[index]);
      const [first, ...others] = this.imported;
      for (const { view } of others) counts.decref(view["@address"]);
      this.context.requireOpen(); // a Proxy in the graph, or a finalizer, may have run anything
      return first.view["@type"].handle(first.view["@address"]);
    } catch (error) {
      // Emptied first, so that what refers to each other goes too.
      for (const { view } of this.imported) (view as unknown as AnyList).clear();
      for (const { view } of this.imported) counts.decref(view["@address"]);
      throw error;
    } finally {
      this.context.inside--;
    }
  }

  /** The empty container that a plain one becomes, made when it is first met. */
  private shell(source: object, parent: Imported | undefined, step: Step): View {
    const known = this.bySource.get(source);
    if (known !== undefined) return known.view;
    const type = this.guard(parent, step, () => this.typeFor(source, parent, step));
    const view = type.view(type.createEmpty());
    const imported = { source, view, parent, step };
    this.bySource.set(source, imported);
    this.imported.push(imported);
    return view;
  }

  private typeFor(source: object, parent: Imported | undefined, step: Step): BoundType {
    // An object of another realm has that realm's prototypes: what is plain is told by how far it is from their end.
    const prototypes: object[] = [];
    for (let next = Object.getPrototypeOf(source); next !== null && prototypes.length < 3; ) {
      prototypes.push(next as object);
      next = Object.getPrototypeOf(next);
    }
    if (prototypes.length <= 1 && !Array.isArray(source)) return this.objectType;
    const tag = prototypes.length === 2 ? Object.prototype.toString.call(source) : "";
    if (Array.isArray(source) && Array.isArray(prototypes[0]) && prototypes.length === 2)
      return this.listType;
    if (tag === "[object Map]") return this.mapType;
    if (tag === "[object Set]") return this.setType;
    return this.refuse(
      parent,
      step,
      `is ${show(source)}: only plain objects, arrays, Maps and Sets are copied`,
    );
  }

  private fill(imported: Imported): void {
    const { source, view } = imported;
    const type = view["@type"];
    if (type === this.listType) this.fillList(imported, source as unknown[], view as unknown as AnyList);
    else if (type === this.objectType) this.fillObject(imported, source, view as unknown as AnyDict);
    else if (type === this.mapType)
      this.fillMap(imported, source as Map<unknown, unknown>, view as unknown as AnyDict);
    else this.fillSet(imported, source as Set<unknown>, view as unknown as AnySet);
  }

  private fillList(imported: Imported, source: unknown[], target: AnyList): void {
    const [keys, length] = this.guard(imported, "length", () => [Reflect.ownKeys(source), source.length]);
    // "length" is one of the keys; anything else is a hole or a property that a list cannot have.
    if (keys.length !== length + 1) this.refuseArray(imported, keys, length);
    this.context.core.lists.reserve(imported.view["@address"], length);
    for (let index = 0; index < length; index++) target.push(this.property(imported, source, index));
  }

  private refuseArray(imported: Imported, keys: readonly (string | symbol)[], length: number): never {
    const present = new Set(keys);
    const extra = keys.find((key) => key !== "length" && !(typeof key === "string" && isIndex(key, length)));
    if (extra !== undefined)
      return this.refuse(imported, String(extra), "is a property beside an array's items");
    let hole = 0;
    while (present.has(String(hole))) hole++;
    return this.refuse(imported, hole, "is missing from the array");
  }

  private fillObject(imported: Imported, source: object, target: AnyDict): void {
    const names = this.guard(imported, "", () => Reflect.ownKeys(source));
    this.context.core.tables.reserve(addressOf(imported.view), names.length);
    for (const key of names) {
      if (typeof key === "symbol") this.refuse(imported, String(key), "is a symbol key");
      const isEnumerable = this.guard(imported, key, () =>
        Object.prototype.propertyIsEnumerable.call(source, key),
      );
      if (isEnumerable) target.set(key, this.property(imported, source, key));
    }
  }

  private fillMap(imported: Imported, source: Map<unknown, unknown>, target: AnyDict): void {
    let index = 0;
    const entries = this.guard(imported, "entries", () => [...Map.prototype.entries.call(source)]);
    this.context.core.tables.reserve(addressOf(imported.view), entries.length);
    for (const [key, value] of entries) {
      const step = typeof key === "string" ? key : index;
      target.set(this.value(imported, step, key), this.value(imported, step, value));
      index++;
    }
  }

  private fillSet(imported: Imported, source: Set<unknown>, target: AnySet): void {
    let index = 0;
    const members = this.guard(imported, "values", () => [...Set.prototype.values.call(source)]);
    this.context.core.tables.reserve(addressOf(imported.view), members.length);
    for (const member of members) target.add(this.value(imported, index++, member));
  }

  private property(imported: Imported, source: object, key: string | number): unknown {
    const descriptor = this.guard(imported, key, () => Object.getOwnPropertyDescriptor(source, key));
    if (descriptor === undefined) return this.refuse(imported, key, "is missing");
    if (!("value" in descriptor)) return this.refuse(imported, key, "is an accessor, and is not called");
    return this.value(imported, key, descriptor.value);
  }

  /** What a plain value is in the heap: itself, or a view of the copy of an object. */
  private value(imported: Imported, step: Step, value: unknown): unknown {
    switch (typeof value) {
      case "number":
      case "string":
      case "boolean":
        return value;
      case "object":
        if (value === null || this.isReference(imported, step, value)) return value;
        return this.shell(value, imported, step);
      default:
        return this.refuse(
          imported,
          step,
          `is ${value === undefined ? "undefined" : show(value)}, which a heap cannot hold`,
        );
    }
  }

  private isReference(parent: Imported | undefined, step: Step, value: object): boolean {
    return this.guard(parent, step, () => asView(value) !== undefined);
  }

  /** Run what a Proxy or an exotic object may make throw. */
  private guard<T>(parent: Imported | undefined, step: Step, body: () => T): T {
    try {
      return body();
    } catch (cause) {
      if (cause instanceof HeapError) throw cause;
      throw new InvalidArgumentError(
        `heap.from: ${this.path(parent, step)} could not be read: ${cause instanceof Error ? cause.message : show(cause)}`,
        { cause },
      );
    }
  }

  private refuse(parent: Imported | undefined, step: Step, why: string): never {
    throw new InvalidArgumentError(`heap.from: ${this.path(parent, step)} ${why}.`);
  }

  private path(parent: Imported | undefined, step: Step): string {
    const steps: Step[] = parent === undefined ? [] : [step];
    for (let node = parent; node?.parent !== undefined; node = node.parent) steps.unshift(node.step);
    return pathText(steps);
  }
}

function isIndex(key: string, length: number): boolean {
  const index = Number(key);
  return Number.isInteger(index) && index >= 0 && index < length && String(index) === key;
}

/**
 * Copy a heap graph into plain JavaScript: structs and string-keyed dicts become objects, other dicts Maps, sets Sets,
 * lists and tuples arrays. Shared and cyclic parts stay shared and cyclic. A foreign object becomes its value, which the
 * heap goes on owning.
 */
export function toJS(root: View): unknown {
  const copies = new Map<Address, object>();
  const queue: View[] = [];
  const copyOf = (value: unknown): unknown => {
    const view = asView(value);
    if (view === undefined) return value;
    const known = copies.get(view["@address"]);
    if (known !== undefined) return known;
    if (view instanceof ForeignView) return (view as unknown as { value: unknown }).value;
    const copy = emptyCopy(view);
    copies.set(view["@address"], copy);
    queue.push(view);
    return copy;
  };
  const result = copyOf(root);
  for (let index = 0; index < queue.length; index++)
    fillCopy(queue[index], copies.get(queue[index]["@address"])!, copyOf);
  return result;
}

function emptyCopy(view: View): object {
  const type = view["@type"];
  switch (type.descriptor["@kind"]) {
    case "struct":
      return {};
    case "dict":
      return hasStringKeys(type) ? {} : new Map();
    case "set":
      return new Set();
    case "weakref":
      return { weakref: true }; // as JSON has it: it could lead to nothing in a copy
    default:
      return [];
  }
}

function fillCopy(view: View, copy: object, copyOf: (value: unknown) => unknown): void {
  const kind = view["@type"].descriptor["@kind"];
  if (kind === "struct") for (const [name, value] of fieldsOf(view)) defineOwn(copy, name, copyOf(value));
  else if (kind === "dict")
    for (const [key, value] of entriesOf(view)) {
      if (copy instanceof Map) copy.set(copyOf(key), copyOf(value));
      else defineOwn(copy, key as string, copyOf(value));
    }
  else if (kind !== "weakref")
    for (const item of itemsOf(view))
      copy instanceof Set ? copy.add(copyOf(item)) : (copy as unknown[]).push(copyOf(item));
}
