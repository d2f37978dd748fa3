/** Lists in JavaScript: Array's protocol over a heap list. */
import { InvalidArgumentError, TypeMismatchError } from "../memory/errors.js";
import { type Address, HEADER_SERIAL, LIST_ITEMS, LIST_LENGTH } from "../memory/layout.js";
import { slotWords } from "../object/slot.js";
import type { BoundType } from "./bound-type.js";
import { type Codec, createCodec, handOver, type OwnedBits } from "./codec.js";
import type { Context } from "./context.js";
import { show } from "./schema.js";
import { defineShown } from "./show.js";
import { addressOf, asView, hide, stale, type View } from "./view.js";

/** Behind every list view, so that tools can tell one. */
export class ListView {}

export function defineList(type: BoundType): void {
  const { context } = type;
  const codec = createCodec(context, type.slots[0].spec, `An item of ${type.text}`);
  const operations = new ListOperations(type, codec);
  const prototype = Object.create(ListView.prototype) as object;
  hide(prototype, "@type", type);
  defineShown(prototype);
  defineReading(prototype, type, codec);
  defineWriting(prototype, operations);
  type.View.prototype = prototype;
  context.handles.defineRelease(type, prototype);
  type.createEmpty = () => context.core.lists.create(type.id);
  type.makeCreate = () => (init) => operations.create(init);
}

/** What a program does in its loops, as closures over constants. */
function defineReading(prototype: object, type: BoundType, { read, holds }: Codec): void {
  const { i32 } = type.context.core.memory;
  const words = slotWords(type.slots[0].spec.slot);

  function lengthOf(view: View): number {
    const list = view["@address"];
    if (i32[list + HEADER_SERIAL] !== view["@serial"]) stale(view);
    return i32[list + LIST_LENGTH];
  }

  /** Array's iterator: it looks at the length anew each time, so it sees what is appended meanwhile. */
  class ListIterator {
    private readonly view: View;
    private index = 0;
    constructor(view: View) {
      this.view = view;
    }
    next(): IteratorResult<unknown> {
      const list = this.view["@address"];
      if (this.index < 0) return { done: true, value: undefined };
      if (i32[list + HEADER_SERIAL] !== this.view["@serial"]) stale(this.view);
      const index = this.index++;
      if (index < i32[list + LIST_LENGTH])
        return { done: false, value: read(i32[list + LIST_ITEMS] + index * words) };
      this.index = -1;
      return { done: true, value: undefined };
    }
    [Symbol.iterator]() {
      return this;
    }
  }

  type.iterators.push(ListIterator.prototype);

  Object.defineProperty(prototype, "length", {
    configurable: true,
    get(this: View) {
      return lengthOf(this);
    },
  });
  hide(prototype, "at", function (this: View, index: number) {
    const whole = index | 0;
    // Array rounds towards zero, and takes what is no number for 0.
    const from = whole === index ? whole : Math.trunc(index) || 0;
    const length = lengthOf(this);
    const position = from < 0 ? from + length : from;
    if (position < 0 || position >= length) return undefined;
    return read(i32[this["@address"] + LIST_ITEMS] + position * words);
  });
  hide(prototype, "forEach", function (this: View, visit: (item: unknown, index: number) => void) {
    checkVisitor(visit);
    for (let index = 0; index < lengthOf(this); index++)
      visit(read(i32[this["@address"] + LIST_ITEMS] + index * words), index);
  });
  hide(prototype, "indexOf", function (this: View, item: unknown) {
    const sought = asView(item);
    if (sought !== undefined) addressOf(sought);
    else if (typeof item === "object" && item !== null) return -1;
    const length = lengthOf(this);
    const items = i32[this["@address"] + LIST_ITEMS];
    for (let index = 0; index < length; index++) if (holds(items + index * words, item)) return index;
    return -1;
  });
  hide(prototype, Symbol.iterator, function (this: View) {
    lengthOf(this);
    return new ListIterator(this);
  });
}

function defineWriting(prototype: object, operations: ListOperations): void {
  hide(prototype, "set", function (this: View, index: number, item: unknown) {
    operations.set(this, index, item);
  });
  hide(prototype, "push", function (this: View, ...items: unknown[]) {
    return items.length === 1 ? operations.pushOne(this, items[0]) : operations.push(this, items);
  });
  hide(prototype, "pop", function (this: View) {
    return operations.take(this, operations.length(this) - 1);
  });
  hide(prototype, "insert", function (this: View, index: number, item: unknown) {
    operations.insert(this, index, item);
  });
  hide(prototype, "delete", function (this: View, index: number) {
    return operations.delete(this, index);
  });
  hide(prototype, "take", function (this: View, index: number) {
    return operations.take(this, index);
  });
  hide(prototype, "clear", function (this: View) {
    operations.clear(this);
  });
  hide(prototype, "assign", function (this: View, items: unknown) {
    operations.assign(this, items);
  });
}

class ListOperations {
  private readonly type: BoundType;
  private readonly codec: Codec;
  private readonly i32: Int32Array;

  constructor(type: BoundType, codec: Codec) {
    this.type = type;
    this.codec = codec;
    this.i32 = type.context.core.memory.i32;
  }

  private get lists() {
    return this.type.context.core.lists;
  }

  length(view: View): number {
    return this.i32[addressOf(view) + LIST_LENGTH];
  }

  /** A new list, owned by the caller: it exists before its items, as in CPython. */
  create(init: unknown): Address {
    checkIterable(this.type, init);
    const list = this.type.createEmpty();
    const { context } = this.type;
    context.inside++;
    try {
      this.appendAll(list, init);
    } catch (error) {
      context.core.counts.decref(list);
      throw error;
    } finally {
      context.inside--;
    }
    return list;
  }

  /** Append to a list that the caller keeps alive. What was appended before an error stays. */
  private appendAll(list: Address, items: Iterable<unknown>): void {
    if (Array.isArray(items)) {
      const { length } = items as { length: unknown }; // a Proxy's may be anything
      if (Number.isSafeInteger(length)) this.lists.reserve(list, length as number);
      for (let index = 0; index < items.length; index++) this.append(list, items[index]);
    } else for (const item of items) this.append(list, item);
  }

  private append(list: Address, item: unknown): void {
    this.appendOwned(list, this.codec.own(item));
  }

  /** Append what is owned already; if there is no room it is given up. @returns the new length */
  private appendOwned(list: Address, owned: OwnedBits): number {
    let slot: Address;
    try {
      slot = this.lists.reserveOne(list);
    } catch (error) {
      this.codec.disown(owned);
      throw error;
    }
    this.codec.put(slot, owned);
    return ++this.i32[list + LIST_LENGTH]; // last: no item is missing, wherever a thread may end
  }

  /** Insert what is owned already; if there is no room it is given up. */
  private putAt(list: Address, index: number, owned: OwnedBits): void {
    let slot: Address;
    try {
      slot = this.lists.openGap(list, index);
    } catch (error) {
      this.codec.disown(owned);
      throw error;
    }
    this.codec.put(slot, owned);
  }

  pushOne(view: View, item: unknown): number {
    addressOf(view);
    const owned = this.codec.own(item);
    const list = this.stillAlive(view, owned);
    return this.appendOwned(list, owned);
  }

  /** All or none. */
  push(view: View, items: readonly unknown[]): number {
    addressOf(view);
    this.withOwned(items, (owned) => {
      const list = addressOf(view);
      const length = this.i32[list + LIST_LENGTH];
      this.lists.reserve(list, length + owned.length);
      for (let index = 0; index < owned.length; index++)
        owned[index].put(this.lists.itemAddress(list, length + index));
      this.i32[list + LIST_LENGTH] = length + owned.length; // last: no item is missing, wherever a thread may end
    });
    return this.length(view);
  }

  set(view: View, index: number, item: unknown): void {
    this.position(view, index);
    const owned = this.codec.own(item);
    const list = this.stillAlive(view, owned);
    const position = this.positionOrUndefined(list, index);
    if (position === undefined) {
      this.codec.disown(owned);
      this.position(view, index);
    } else this.codec.swap(this.lists.itemAddress(list, position), owned);
  }

  insert(view: View, index: number, item: unknown): void {
    const length = this.length(view);
    if (!Number.isInteger(index) || index < 0 || index > length) refuseIndex(this.type, index, length);
    const owned = this.codec.own(item);
    const list = this.stillAlive(view, owned);
    this.putAt(list, Math.min(index, this.i32[list + LIST_LENGTH]), owned);
  }

  delete(view: View, index: number): boolean {
    const list = addressOf(view);
    const position = this.positionOrUndefined(list, index);
    if (position === undefined) return false;
    const owned = this.codec.detach(this.lists.itemAddress(list, position));
    this.lists.closeGap(list, position);
    this.codec.disown(owned);
    return true;
  }

  take(view: View, index: number): unknown {
    const list = addressOf(view);
    const position = this.positionOrUndefined(list, index);
    if (position === undefined) return undefined;
    const slot = this.lists.itemAddress(list, position);
    const value = this.codec.read(slot);
    const owned = this.codec.detach(slot);
    this.lists.closeGap(list, position);
    return handOver(this.codec, value, owned);
  }

  clear(view: View): void {
    this.lists.clear(addressOf(view));
  }

  assign(view: View, items: unknown): void {
    addressOf(view);
    checkIterable(this.type, items);
    this.withOwned(items, (owned) => {
      const list = addressOf(view);
      const storage = this.lists.allocateItems(list, owned.length);
      const words = slotWords(this.type.slots[0].spec.slot);
      for (let index = 0; index < owned.length; index++) owned[index].put(storage + index * words);
      this.lists.replaceItems(list, storage, owned.length);
    });
  }

  /** Take a reference to every item, then let `store` put them where they belong; if either throws, give all up. */
  private withOwned(items: Iterable<unknown>, store: (owned: readonly OwnedItem[]) => void): void {
    const owned: OwnedItem[] = [];
    const { context } = this.type;
    context.inside++;
    try {
      for (const item of items) owned.push(new OwnedItem(this.type, this.codec, item));
      store(owned);
    } catch (error) {
      for (const item of owned) item.disown();
      throw error;
    } finally {
      context.inside--;
    }
  }

  /** Taking an item may have run user code, or a collection, that freed the list. */
  private stillAlive(view: View, owned: OwnedBits): Address {
    const list = view["@address"];
    if (this.i32[list + HEADER_SERIAL] === view["@serial"]) return list;
    this.codec.disown(owned);
    return stale(view);
  }

  private positionOrUndefined(list: Address, index: number): number | undefined {
    if (!Number.isInteger(index)) return undefined;
    const length = this.i32[list + LIST_LENGTH];
    const position = index < 0 ? index + length : index;
    return position >= 0 && position < length ? position : undefined;
  }

  private position(view: View, index: number): number {
    const list = addressOf(view);
    return (
      this.positionOrUndefined(list, index) ?? refuseIndex(this.type, index, this.i32[list + LIST_LENGTH])
    );
  }
}

/** An item on its way into a list. */
class OwnedItem {
  private readonly context: Context;
  private readonly codec: Codec;
  private readonly bits: OwnedBits;
  private readonly high: number;
  constructor(type: BoundType, codec: Codec, item: unknown) {
    this.context = type.context;
    this.codec = codec;
    this.bits = codec.own(item);
    this.high = type.context.ownedHigh;
  }
  put(word: Address): void {
    this.context.ownedHigh = this.high;
    this.codec.put(word, this.bits);
  }
  disown(): void {
    this.context.ownedHigh = this.high;
    this.codec.disown(this.bits);
  }
}

function refuseIndex(type: BoundType, index: number, length: number): never {
  throw new InvalidArgumentError(
    `Index ${show(index)} is out of range for a ${type.text} of length ${length}.`,
  );
}

/** @throws InvalidArgumentError for what `forEach` cannot call, whether or not there is an item to call it for */
export function checkVisitor(visit: unknown): void {
  if (typeof visit !== "function")
    throw new InvalidArgumentError(`forEach takes a function, got ${show(visit)}.`);
}

export function checkIterable(type: BoundType, init: unknown): asserts init is Iterable<unknown> {
  if (typeof init === "object" && init !== null && Symbol.iterator in init) return;
  throw new TypeMismatchError(
    `A ${type.text} is made from an array or another iterable object, got ${show(init)}.`,
  );
}
