/** What one object contributes to the columns of a graph: its properties, and an edge for each reference. */
import type { Context } from "../host/context.js";
import {
  type Address,
  GRANULE_SHIFT,
  HEADER_SERIAL,
  HEADER_TYPE,
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  KIND_STRING,
  KIND_WEAKREF,
  LIST_ITEMS,
  LIST_LENGTH,
  SLOT_ANY,
  SLOT_BOOL,
  SLOT_F32,
  SLOT_F64,
  SLOT_I64,
  SLOT_NONE,
  SLOT_REF,
  SLOT_STR,
  SLOT_U32,
  STRING_DATA,
  STRING_LENGTH,
  TABLE_MASK,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_BOOLEAN,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
  TYPE_ID_MASK,
  WEAKREF_TARGET,
} from "../memory/layout.js";
import { isDeletedEntry } from "../object/refcount.js";
import { storageOf } from "../object/size.js";
import { entryWords, holdsReference } from "../object/slot.js";
import { keptTextWords, Label, type PlainKey } from "./graph.js";
import type { GraphColumns } from "./graph-columns.js";
import type { Holds } from "./graph-roots.js";
import type { TypeInfo } from "./type-info.js";

export class ObjectCopy {
  private readonly context: Context;
  private readonly i32: Int32Array;
  private readonly types: readonly TypeInfo[];
  private readonly outside: Holds;
  private readonly nodeOf: Uint32Array;
  private readonly columns: GraphColumns;
  /** References from inside the heap, by node. */
  readonly internal: Int32Array;

  /** @param nodeOf by granule of an object's address: its node; others have 0 */
  constructor(
    context: Context,
    types: readonly TypeInfo[],
    outside: Holds,
    nodeOf: Uint32Array,
    columns: GraphColumns,
  ) {
    this.context = context;
    this.i32 = context.core.memory.i32;
    this.types = types;
    this.outside = outside;
    this.nodeOf = nodeOf;
    this.columns = columns;
    this.internal = new Int32Array(columns.nodeCount + 1);
  }

  /** Copy the object of a node, and with it all its references. */
  copy(node: number): void {
    const { i32 } = this;
    const object = this.columns.address[node];
    const id = i32[object + HEADER_TYPE] & TYPE_ID_MASK;
    const type = this.types[id];
    this.columns.serial[node] = i32[object + HEADER_SERIAL];
    this.columns.typeId[node] = id;
    this.columns.firstEdge[node] = this.columns.edgeCount;
    switch (type.kind) {
      case KIND_STRING:
        this.copyText(node, object);
        return;
      case KIND_LIST:
        this.addStorage(node, object);
        if (holdsReference(type.itemSlot)) this.copyItems(object, type.itemSlot);
        return;
      case KIND_DICT:
        this.addStorage(node, object);
        this.copyDict(object, type);
        return;
      case KIND_SET:
        this.addStorage(node, object);
        this.copySet(object, type.keySlot);
        return;
      case KIND_FOREIGN:
        this.addStorage(node, object);
        this.copyForeign(node, object);
        return;
      case KIND_WEAKREF:
        this.columns.detail[node] = this.nodeOf[i32[object + WEAKREF_TARGET] >>> GRANULE_SHIFT];
        this.copyFields(object, type);
        return;
      default:
        this.copyFields(object, type);
    }
  }

  private addStorage(node: number, object: Address): void {
    const storage = storageOf(this.i32, this.context.core.types, object);
    if (storage !== 0) this.columns.words[node] += this.context.core.allocator.blockWords(storage);
  }

  private copyText(node: number, string: Address): void {
    const { i32, columns } = this;
    const lengthWord = i32[string + STRING_LENGTH];
    const start = this.columns.textWords;
    const kept = keptTextWords(lengthWord);
    this.columns.detail[node] = start;
    columns.texts[start] = lengthWord;
    for (let word = 0; word < kept; word++)
      columns.texts[start + 1 + word] = i32[string + STRING_DATA + word];
    this.columns.textWords = start + 1 + kept;
  }

  private copyFields(object: Address, type: TypeInfo): void {
    const { offsets, slots, fields } = type;
    for (let index = 0; index < offsets.length; index++)
      this.addSlot(object + offsets[index], slots[index], fields[index] << Label.SHIFT);
  }

  private copyItems(list: Address, slot: number): void {
    const { i32 } = this;
    const items = i32[list + LIST_ITEMS];
    const length = i32[list + LIST_LENGTH];
    const words = slot === SLOT_ANY ? 2 : 1;
    for (let index = 0; index < length; index++)
      this.addSlot(items + index * words, slot, (index << Label.SHIFT) | Label.SLOT);
  }

  private copySet(set: Address, keySlot: number): void {
    if (!holdsReference(keySlot)) return;
    const { i32 } = this;
    const used = i32[set + TABLE_USED];
    const words = entryWords(SLOT_NONE);
    let entry = i32[set + TABLE_STORAGE] + i32[set + TABLE_MASK] + 1;
    for (let index = 0; index < used; index++, entry += words)
      if (!isDeletedEntry(i32, entry, keySlot)) this.addSlot(entry, keySlot, index << Label.SHIFT);
  }

  private copyDict(dict: Address, { keySlot, itemSlot }: TypeInfo): void {
    if (!holdsReference(keySlot) && !holdsReference(itemSlot)) return;
    const { i32 } = this;
    const used = i32[dict + TABLE_USED];
    const words = entryWords(itemSlot);
    let entry = i32[dict + TABLE_STORAGE] + i32[dict + TABLE_MASK] + 1;
    for (let index = 0; index < used; index++, entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      const keyNode = holdsReference(keySlot) ? this.targetOf(entry, keySlot) : 0;
      if (keyNode !== 0) this.addEdge(keyNode, (index << Label.SHIFT) | Label.SLOT);
      if (!holdsReference(itemSlot)) continue;
      const target = this.targetOf(entry + 2, itemSlot);
      if (target !== 0)
        this.addEdge(target, keyNode === 0 ? this.plainKeyLabel(entry, keySlot) : this.keyLabel(keyNode));
    }
  }

  private keyLabel(keyNode: number): number {
    return (keyNode << Label.SHIFT) | Label.KEY_NODE;
  }

  private plainKeyLabel(entry: Address, keySlot: number): number {
    this.columns.plainKeys.push(this.readPlainKey(entry, keySlot));
    return ((this.columns.plainKeys.length - 1) << Label.SHIFT) | Label.PLAIN_KEY;
  }

  private readPlainKey(word: Address, slot: number): PlainKey {
    const { i32, f32, f64, i64 } = this.context.core.memory;
    switch (slot) {
      case SLOT_STR:
        return "";
      case SLOT_REF:
        return null;
      case SLOT_F64:
        return f64[word >> 1];
      case SLOT_I64:
        return i64[word >> 1];
      case SLOT_F32:
        return f32[word];
      case SLOT_U32:
        return i32[word] >>> 0;
      case SLOT_BOOL:
        return i32[word] !== 0;
      case SLOT_ANY:
        if (i32[word + 1] === TAG_NULL || i32[word + 1] === TAG_OBJECT) return null;
        if (i32[word + 1] === TAG_BOOLEAN) return i32[word] !== 0;
        return i32[word + 1] === TAG_STRING ? "" : f64[word >> 1];
      default:
        return i32[word];
    }
  }

  private copyForeign(node: number, object: Address): void {
    if (this.context.core.types.isHolder(object)) this.copyItems(object, SLOT_REF);
    const record = this.context.foreign.recordOf(object);
    if (record === undefined) return;
    this.columns.detail[node] = this.columns.foreign.length;
    this.columns.foreign.push({ className: classNameOf(record.value), bytes: record.bytes });
    const handles = this.outside.held.get(object) ?? [];
    for (const [index, { target, isFirst }] of handles.entries()) {
      const targetNode = this.nodeOf[target >>> GRANULE_SHIFT];
      this.addEdge(targetNode, (index << Label.SHIFT) | Label.HANDLE);
      if (!isFirst) this.internal[targetNode]--;
    }
  }

  /** The node that a slot refers to, or 0. */
  private targetOf(word: Address, slot: number): number {
    const { i32 } = this;
    const reference = i32[word];
    if (slot === SLOT_ANY) {
      const tag = i32[word + 1];
      if (tag !== TAG_OBJECT && tag !== TAG_STRING) return 0;
    }
    return reference === 0 ? 0 : this.nodeOf[reference >>> GRANULE_SHIFT];
  }

  private addSlot(word: Address, slot: number, label: number): void {
    const target = this.targetOf(word, slot);
    if (target !== 0) this.addEdge(target, label);
  }

  private addEdge(target: number, label: number): void {
    this.columns.addEdge(target, label);
    this.internal[target]++;
  }
}

/** What a value of the host is called. It may be anything, a Proxy that throws included. */
function classNameOf(value: unknown): string {
  try {
    if (typeof value === "function") return "function";
    if (typeof value !== "object" || value === null) return typeof value;
    const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
    return typeof name === "string" && name !== "" ? name : "object";
  } catch {
    return "object";
  }
}
