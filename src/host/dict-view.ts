/** Dicts in JavaScript: Map's protocol over a heap dict. */
import { TypeMismatchError } from "../memory/errors.js";
import { type Address, HEADER_SERIAL, SLOT_ANY, SLOT_REF, TAG_OBJECT } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import { type Codec, createCodec, handOver, type OwnedBits } from "./codec.js";
import { checkIterable, checkVisitor } from "./list-view.js";
import { show } from "./schema.js";
import { defineShown } from "./show.js";
import { defineMethods, defineTable, makeTableIterator, reserveFor, type TableAccess } from "./table-view.js";
import { addressOf, hide, stale, type View } from "./view.js";

/** Behind every dict view, so that tools can tell one. */
export class DictView {}

export function defineDict(type: BoundType): void {
  const { context } = type;
  const codec = createCodec(context, type.slots[1].spec, `A value of ${type.text}`);
  const prototype = Object.create(DictView.prototype) as object;
  hide(prototype, "@type", type);
  defineShown(prototype);
  const access = defineTable(prototype, type);
  const operations = new DictOperations(type, codec, access);
  defineReading(prototype, type, codec, access);
  defineOperations(prototype, type, codec, operations);
  type.View.prototype = prototype;
  context.handles.defineRelease(type, prototype);
  type.createEmpty = () => context.core.tables.create(type.id);
  type.makeCreate = () => (init) => operations.create(init);
}

function defineReading(prototype: object, type: BoundType, { read }: Codec, access: TableAccess): void {
  const { keys } = access;
  const Keys = makeTableIterator(type, access, (entry) => keys.read(entry));
  const Values = makeTableIterator(type, access, (entry) => read(entry + 2));
  const Entries = makeTableIterator(type, access, (entry) => [keys.read(entry), read(entry + 2)]);
  hide(prototype, "keys", function (this: View) {
    return new Keys(this);
  });
  hide(prototype, "values", function (this: View) {
    return new Values(this);
  });
  const entries = function (this: View) {
    return new Entries(this);
  };
  hide(prototype, "entries", entries);
  hide(prototype, Symbol.iterator, entries);
  hide(prototype, "forEach", function (this: View, visit: (value: unknown, key: unknown) => void) {
    checkVisitor(visit);
    for (const [key, value] of new Entries(this) as Iterable<[unknown, unknown]>) visit(value, key);
  });
}

function defineOperations(
  prototype: object,
  type: BoundType,
  codec: Codec,
  operations: DictOperations,
): void {
  defineMethods(prototype, type, operations.access, codec, {
    get(this: View, key: unknown) {
      return operations.get(this, key);
    },
    set(this: View, key: unknown, value: unknown) {
      operations.set(this, key, value);
      return this;
    },
    delete(this: View, key: unknown) {
      return operations.delete(this, key);
    },
  });
  hide(prototype, "take", function (this: View, key: unknown) {
    return operations.take(this, key);
  });
}

class DictOperations {
  private readonly type: BoundType;
  private readonly codec: Codec;
  readonly access: TableAccess;
  private readonly i32: Int32Array;
  private readonly valueSlot: number;

  constructor(type: BoundType, codec: Codec, access: TableAccess) {
    this.type = type;
    this.codec = codec;
    this.access = access;
    this.i32 = type.context.core.memory.i32;
    this.valueSlot = type.slots[1].spec.slot;
  }

  /** A new dict, owned by the caller, from entries; of two entries with one key the later wins. */
  create(init: unknown): Address {
    checkIterable(this.type, init);
    const dict = this.type.createEmpty();
    const { context } = this.type;
    context.inside++;
    try {
      reserveFor(this.type, dict, init);
      for (const entry of init) {
        if (!Array.isArray(entry) || entry.length !== 2)
          throw new TypeMismatchError(
            `A ${this.type.text} is made from [key, value] pairs, got ${show(entry)}.`,
          );
        this.put(dict, entry[0], this.codec.own(entry[1]));
      }
    } catch (error) {
      context.core.counts.decref(dict);
      throw error;
    } finally {
      context.inside--;
    }
    return dict;
  }

  get(view: View, key: unknown): unknown {
    const entry = this.access.keys.find(addressOf(view), key);
    return entry === 0 ? undefined : this.codec.read(entry + 2);
  }

  set(view: View, key: unknown, value: unknown): void {
    addressOf(view);
    const owned = this.codec.own(value);
    const dict = view["@address"];
    // Taking the value may have run user code, or a collection, that freed the dict.
    if (this.i32[dict + HEADER_SERIAL] !== view["@serial"]) {
      this.codec.disown(owned);
      stale(view);
    }
    this.put(dict, key, owned);
  }

  /** Store what is owned already under a key; whatever goes wrong, it is not lost. */
  private put(dict: Address, key: unknown, owned: OwnedBits): void {
    const { context } = this.type;
    const high = context.ownedHigh;
    let entry: Address;
    let isNew = false;
    try {
      entry = this.access.keys.find(dict, key);
      if (this.holdsObject(high)) context.core.tracking.beforeStore(dict, owned as number);
      if (entry === 0) {
        entry = this.access.keys.insert(dict);
        isNew = true;
      }
    } catch (error) {
      context.ownedHigh = high;
      this.codec.disown(owned);
      throw error;
    }
    context.ownedHigh = high;
    if (isNew) this.codec.put(entry + 2, owned);
    else this.codec.swap(entry + 2, owned);
  }

  private holdsObject(high: number): boolean {
    return this.valueSlot === SLOT_REF || (this.valueSlot === SLOT_ANY && high === TAG_OBJECT);
  }

  delete(view: View, key: unknown): boolean {
    const dict = addressOf(view);
    const entry = this.access.keys.find(dict, key);
    if (entry === 0) return false;
    const owned = this.codec.detach(entry + 2);
    const high = this.type.context.ownedHigh;
    this.access.keys.remove(dict, entry);
    this.access.keys.dropKey();
    this.type.context.ownedHigh = high;
    this.codec.disown(owned);
    return true;
  }

  take(view: View, key: unknown): unknown {
    const dict = addressOf(view);
    const entry = this.access.keys.find(dict, key);
    if (entry === 0) return undefined;
    const value = this.codec.read(entry + 2);
    const owned = this.codec.detach(entry + 2);
    const high = this.type.context.ownedHigh;
    this.access.keys.remove(dict, entry);
    this.access.keys.dropKey();
    this.type.context.ownedHigh = high;
    return handOver(this.codec, value, owned);
  }
}
