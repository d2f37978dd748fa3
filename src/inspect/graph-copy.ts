/** Copying the object graph of a heap into columns (graph.ts): three passes over the objects, each in address order. */
import type { Allocator } from "../alloc/allocator.js";
import type { Context } from "../host/context.js";
import {
  type Address,
  CONTROL_GARBAGE,
  FLAG_DYING,
  GRANULE_SHIFT,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  KIND_STORAGE,
  KIND_STRING,
  KIND_WEAKREF,
  LIST_ITEMS,
  LIST_LENGTH,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_LARGE,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
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
  TABLE_SIZE,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_BOOLEAN,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
  TYPE_ID_MASK,
  WEAKREF_TARGET,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { isDeletedEntry } from "../object/refcount.js";
import { storageOf } from "../object/size.js";
import { entryWords, holdsReference } from "../object/slot.js";
import type { TypeTable } from "../object/type.js";
import {
  type ForeignNode,
  keptTextWords,
  Label,
  type ObjectGraph,
  type PlainKey,
  type RootHold,
} from "./graph.js";
import { findHolds, type Holds } from "./graph-roots.js";
import { entriesOfUnreached, walkFrom } from "./reach.js";
import { describeTypes, NO_TYPE, type TypeInfo, typeNameStrings } from "./type-info.js";

/**
 * Copy the graph. Runs user code first: `traverse` of adopted values, which may even collect.
 * O(objects + references), with a word for every 16 bytes of the heap while it runs.
 */
export function copyGraph(context: Context): ObjectGraph {
  const holds = findHolds(context);
  return new GraphCopy(context, holds).run();
}

class GraphCopy {
  private readonly context: Context;
  private readonly memory: Memory;
  private readonly i32: Int32Array;
  private readonly allocator: Allocator;
  private readonly typeTable: TypeTable;
  private readonly types: TypeInfo[];
  private readonly outside: Holds;
  /** By granule of an object's address: its node. Others have 0. */
  private readonly nodeOf: Uint32Array;
  /** References from inside the heap, by node. */
  declare private internal: Int32Array;

  // The columns, and how far they are filled.
  private nodeCount = 1;
  declare private address: Int32Array;
  declare private serial: Int32Array;
  declare private typeId: Uint16Array;
  declare private words: Int32Array;
  declare private detail: Uint32Array;
  declare private firstEdge: Uint32Array;
  declare private edgeTarget: Uint32Array;
  declare private edgeLabel: Int32Array;
  declare private texts: Int32Array;
  private edgeCount = 0;
  private textWords = 0;
  private readonly plainKeys: PlainKey[] = [];
  private readonly foreign: ForeignNode[] = [{ className: "", bytes: 0 }];
  private readonly holds: RootHold[] = [];

  constructor(context: Context, outside: Holds) {
    const { memory, allocator, types } = context.core;
    this.context = context;
    this.memory = memory;
    this.i32 = memory.i32;
    this.allocator = allocator;
    this.typeTable = types;
    this.types = describeTypes(context);
    this.outside = outside;
    this.nodeOf = new Uint32Array((allocator.wordsTouchedMax >>> GRANULE_SHIFT) + 1);
  }

  run(): ObjectGraph {
    const { objects, edgesMax, textWordsMax } = this.numberObjects();
    this.makeColumns(objects, edgesMax, textWordsMax);
    for (let node = 1; node <= objects; node++) this.copyObject(node);
    this.firstEdge[objects + 1] = this.edgeCount;
    this.addRootEdges(objects);
    const { pathEdge, garbageNode } = this.walk();
    this.trim();
    return {
      nodeCount: this.nodeCount,
      firstEdge: this.firstEdge,
      edgeTarget: this.edgeTarget,
      edgeLabel: this.edgeLabel,
      types: this.types,
      address: this.address,
      serial: this.serial,
      typeId: this.typeId,
      words: this.words,
      detail: this.detail,
      texts: this.texts,
      plainKeys: this.plainKeys,
      foreign: this.foreign,
      holds: this.holds,
      garbageNode,
      pathEdge,
    };
  }

  // -- nodes ----------------------------------------------------------------------------------

  /** Give every live object its number, and find out how much room all the rest needs at most. */
  private numberObjects(): { objects: number; edgesMax: number; textWordsMax: number } {
    const { i32, nodeOf } = this;
    const names = typeNameStrings(this.context);
    let objects = 0;
    let edgesMax = 0;
    let textWordsMax = 0;
    for (const { page, descriptor } of this.allocator.pageRuns()) {
      const state = i32[descriptor + PAGE_STATE] & 0xff;
      if (state === PAGE_SMALL + KIND_STORAGE || state === PAGE_LARGE + KIND_STORAGE) continue;
      const words = i32[descriptor + PAGE_BLOCK_WORDS];
      const first = page << PAGE_SHIFT;
      const end = first + i32[descriptor + PAGE_CAPACITY] * words;
      for (let object = first; object < end; object += words) {
        if (!this.isShown(object)) continue;
        const type = this.types[i32[object + HEADER_TYPE] & TYPE_ID_MASK];
        if (type.kind === KIND_STRING) {
          if (names.has(object)) continue;
          textWordsMax += keptTextWords(i32[object + STRING_LENGTH]) + 1;
        } else edgesMax += this.edgesMaxOf(object, type);
        nodeOf[object >>> GRANULE_SHIFT] = ++objects;
      }
    }
    return { objects, edgesMax, textWordsMax };
  }

  /** Not what is dying around a finalizer; nor the list behind `gc.garbage` while nothing is in it. */
  private isShown(object: Address): boolean {
    const { i32 } = this;
    const header = i32[object + HEADER_TYPE];
    if (header === 0 || (header & FLAG_DYING) !== 0 || i32[object + HEADER_REFCOUNT] <= 0) return false;
    return (
      object !== i32[CONTROL_GARBAGE] || i32[object + LIST_LENGTH] > 0 || i32[object + HEADER_REFCOUNT] > 1
    );
  }

  private edgesMaxOf(object: Address, type: TypeInfo): number {
    const { i32 } = this;
    switch (type.kind) {
      case KIND_LIST:
        return holdsReference(type.itemSlot) ? i32[object + LIST_LENGTH] : 0;
      case KIND_DICT:
      case KIND_SET:
        return i32[object + TABLE_SIZE] * 2;
      case KIND_FOREIGN: {
        const own = this.typeTable.isHolder(object) ? i32[object + LIST_LENGTH] : 0;
        return own + (this.outside.held.get(object)?.length ?? 0);
      }
      default:
        return type.offsets.length;
    }
  }

  /** Memory that is never written is never committed, so the upper bounds cost nothing but address space. */
  private makeColumns(objects: number, edgesMax: number, textWordsMax: number): void {
    const nodes = objects + 2; // the root and the garbage
    this.nodeCount = objects + 1;
    this.address = new Int32Array(nodes);
    this.serial = new Int32Array(nodes);
    this.typeId = new Uint16Array(nodes);
    this.words = new Int32Array(nodes);
    this.detail = new Uint32Array(nodes);
    this.firstEdge = new Uint32Array(nodes + 1);
    this.internal = new Int32Array(nodes);
    // Each object may have an edge from the root for unrecorded handles, one for each recorded line, a pool's, and one
    // as an entry to the garbage.
    const fromRoot = 3 * nodes + this.context.handles.records.size;
    this.edgeTarget = new Uint32Array(edgesMax + fromRoot);
    this.edgeLabel = new Int32Array(edgesMax + fromRoot);
    this.texts = new Int32Array(textWordsMax);
    this.listAddresses();
  }

  private listAddresses(): void {
    const { nodeOf, address } = this;
    for (const { page, descriptor } of this.allocator.pageRuns()) {
      const state = this.i32[descriptor + PAGE_STATE] & 0xff;
      if (state === PAGE_SMALL + KIND_STORAGE || state === PAGE_LARGE + KIND_STORAGE) continue;
      const words = this.i32[descriptor + PAGE_BLOCK_WORDS];
      const first = page << PAGE_SHIFT;
      const end = first + this.i32[descriptor + PAGE_CAPACITY] * words;
      for (let object = first; object < end; object += words) {
        const node = nodeOf[object >>> GRANULE_SHIFT];
        if (node === 0) continue;
        address[node] = object;
        this.words[node] = words;
      }
    }
  }

  // -- edges ----------------------------------------------------------------------------------

  private copyObject(node: number): void {
    const { i32 } = this;
    const object = this.address[node];
    const id = i32[object + HEADER_TYPE] & TYPE_ID_MASK;
    const type = this.types[id];
    this.serial[node] = i32[object + HEADER_SERIAL];
    this.typeId[node] = id;
    this.firstEdge[node] = this.edgeCount;
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
        this.detail[node] = this.nodeOf[i32[object + WEAKREF_TARGET] >>> GRANULE_SHIFT];
        this.copyFields(object, type);
        return;
      default:
        this.copyFields(object, type);
    }
  }

  private addStorage(node: number, object: Address): void {
    const storage = storageOf(this.i32, this.typeTable, object);
    if (storage !== 0) this.words[node] += this.allocator.blockWords(storage);
  }

  private copyText(node: number, string: Address): void {
    const { i32, texts } = this;
    const lengthWord = i32[string + STRING_LENGTH];
    const start = this.textWords;
    const kept = keptTextWords(lengthWord);
    this.detail[node] = start;
    texts[start] = lengthWord;
    for (let word = 0; word < kept; word++) texts[start + 1 + word] = i32[string + STRING_DATA + word];
    this.textWords = start + 1 + kept;
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
    this.plainKeys.push(this.readPlainKey(entry, keySlot));
    return ((this.plainKeys.length - 1) << Label.SHIFT) | Label.PLAIN_KEY;
  }

  private readPlainKey(word: Address, slot: number): PlainKey {
    const { i32, f32, f64, i64 } = this.memory;
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
    if (this.typeTable.isHolder(object)) this.copyItems(object, SLOT_REF);
    const record = this.context.foreign.recordOf(object);
    if (record === undefined) return;
    this.detail[node] = this.foreign.length;
    this.foreign.push({ className: classNameOf(record.value), bytes: record.bytes });
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
    const edge = this.edgeCount++;
    this.edgeTarget[edge] = target;
    this.edgeLabel[edge] = label;
    this.internal[target]++;
  }

  // -- the root -------------------------------------------------------------------------------

  /** References that no object has are held from outside. The root's edges are found last and stand first. */
  private addRootEdges(objects: number): void {
    const inside = this.edgeCount;
    for (let node = 1; node <= objects; node++) {
      const count = this.i32[this.address[node] + HEADER_REFCOUNT] - this.internal[node];
      if (count > 0) this.addHolds(node, count);
    }
    const fromRoot = this.edgeCount - inside;
    for (const column of [this.edgeTarget, this.edgeLabel]) {
      const rootEdges = column.slice(inside, this.edgeCount);
      column.copyWithin(fromRoot, 0, inside);
      column.set(rootEdges, 0);
    }
    for (let node = 1; node <= objects + 1; node++) this.firstEdge[node] += fromRoot;
  }

  private addHolds(node: number, count: number): void {
    const object = this.address[node];
    let rest = count;
    if (object === this.i32[CONTROL_GARBAGE]) rest -= this.addHold(node, { kind: "gc.garbage", count: 1 });
    if (this.outside.pooled.has(object)) rest -= this.addHold(node, { kind: "pool", count: 1 });
    for (const hold of this.outside.recorded.get(object) ?? []) rest -= this.addHold(node, hold);
    if (rest > 0) this.addRootEdge(node, (rest << Label.SHIFT) | Label.UNRECORDED);
  }

  private addHold(node: number, hold: RootHold): number {
    this.holds.push(hold);
    this.addRootEdge(node, ((this.holds.length - 1) << Label.SHIFT) | Label.HOLD);
    return hold.count;
  }

  private addRootEdge(node: number, label: number): void {
    const edge = this.edgeCount++;
    this.edgeTarget[edge] = node;
    this.edgeLabel[edge] = label;
  }

  // -- what the root reaches ------------------------------------------------------------------

  /** Garbage that waits for a collection gets a node of its own, from which all of it can be reached. */
  private walk(): { pathEdge: Int32Array; garbageNode: number } {
    const pathEdge = new Int32Array(this.nodeCount + 1).fill(-1);
    const reached = walkFrom(this.flowgraph(), 0, pathEdge);
    if (reached === this.nodeCount) return { pathEdge: pathEdge.subarray(0, this.nodeCount), garbageNode: 0 };
    const entries = entriesOfUnreached(this.flowgraph(), pathEdge);
    const garbageNode = this.addGarbageNode(entries);
    const rootEnd = this.firstEdge[1] - 1;
    // The root has one edge more, behind its others and before all the rest.
    for (let node = 1; node < garbageNode; node++) if (pathEdge[node] >= rootEnd) pathEdge[node]++;
    pathEdge[garbageNode] = rootEnd;
    walkFrom(this.flowgraph(), garbageNode, pathEdge);
    return { pathEdge, garbageNode };
  }

  private addGarbageNode(entries: readonly number[]): number {
    const garbageNode = this.nodeCount;
    const rootEnd = this.firstEdge[1];
    for (const column of [this.edgeTarget, this.edgeLabel])
      column.copyWithin(rootEnd + 1, rootEnd, this.edgeCount);
    this.edgeCount++;
    for (let node = 1; node <= garbageNode; node++) this.firstEdge[node]++;
    this.edgeTarget[rootEnd] = garbageNode;
    this.edgeLabel[rootEnd] = (this.holds.length << Label.SHIFT) | Label.HOLD;
    this.holds.push({ kind: "garbage", count: 1 });
    for (const entry of entries) this.addRootEdge(entry, Label.SLOT);
    this.nodeCount++;
    this.firstEdge[garbageNode + 1] = this.edgeCount;
    return garbageNode;
  }

  private flowgraph() {
    return { nodeCount: this.nodeCount, firstEdge: this.firstEdge, edgeTarget: this.edgeTarget };
  }

  /** Give back what was asked for in vain: address space counts with the engine even where memory was never written. */
  private trim(): void {
    this.types[0] = NO_TYPE;
    this.firstEdge = this.firstEdge.subarray(0, this.nodeCount + 1);
    this.edgeTarget = this.edgeTarget.slice(0, this.edgeCount);
    this.edgeLabel = this.edgeLabel.slice(0, this.edgeCount);
    this.texts = this.texts.slice(0, this.textWords);
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
