/**
 * Repair: what the roots reach. Every reference is followed only if an object starts where it leads, and is counted; the
 * counts found here, and the handles, are the counts that objects have from now on. A reference that leads nowhere
 * becomes null.
 */
import { HeapCorruptionError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_TYPE_COUNT,
  CONTROL_TYPE_TABLE,
  GRANULE_MASK,
  GRANULE_SHIFT,
  HEADER_TYPE,
  HEADER_WORDS,
  IMAGE_SIDE_SHIFT,
  IMAGE_SIDE_TYPES,
  KIND_WEAKREF,
  LIST_CAPACITY,
  LIST_ITEMS,
  LIST_LENGTH,
  SLOT_ANY,
  SLOT_REF,
  SLOT_STR,
  TAG_BOOLEAN,
  TAG_FIRST,
  TAG_LAST,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
  TRAVERSE_EDGES,
  TRAVERSE_LIST,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_ID_MASK,
  TYPE_ID_STRING,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_KIND,
  TYPE_NAME,
  TYPE_SCHEMA,
  TYPE_SHIFT,
  TYPE_TRAVERSE,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { holdsReference, slotWords } from "../object/slot.js";
import { AddressList } from "./address-list.js";
import { codeOf, hasCode } from "./image-codes.js";
import type { RepairPages } from "./repair-pages.js";
import type { RepairLog } from "./repair-report.js";
import { TableRepair } from "./repair-tables.js";

/** Side bytes from here on are those of objects that are no strings. */
const OBJECT_FIRST = codeOf(TYPE_ID_STRING + 1);

export class RepairContents {
  /** Weak references that are reached. */
  readonly weakrefs = new AddressList();
  private readonly i32: Int32Array;
  private readonly pages: RepairPages;
  private readonly log: RepairLog;
  private readonly typeTable: Address;
  private readonly tables: TableRepair;
  private readonly side: Uint8Array;
  /** By what a side byte says of a type: whether there may be a reference in its objects. */
  private readonly holds = new Uint8Array(IMAGE_SIDE_TYPES).fill(1);
  /** Reached, and not yet visited. */
  private readonly stack = new AddressList();

  constructor({ i32, side }: Memory, pages: RepairPages, log: RepairLog) {
    this.i32 = i32;
    this.side = side;
    this.pages = pages;
    this.log = log;
    this.typeTable = i32[CONTROL_TYPE_TABLE];
    this.tables = new TableRepair(i32, pages, this, log);
  }

  /** So many handles hold an object. @returns whether there is one */
  addRoot(object: Address, handles: number): boolean {
    if (!this.pages.isObject(object)) {
      this.log.missing.push(object);
      return false;
    }
    this.refer(object, handles);
    return true;
  }

  /** A storage block that is no object's, or one more reference to an object. */
  keep(address: Address): void {
    if (this.pages.isObject(address)) this.refer(address);
    else if (this.pages.claim(address) === 0) this.log.missing.push(address);
  }

  /** What the type table refers to. Types are registered whole or not at all. @throws HeapCorruptionError */
  addTypes(): void {
    const { i32, pages } = this;
    for (let id = 1; id < i32[CONTROL_TYPE_COUNT]; id++) {
      const type = this.typeTable + (id << TYPE_SHIFT);
      const edges = i32[type + TYPE_EDGES];
      if (hasCode(id) && i32[type + TYPE_DROP] >> 1 === 0) this.holds[id] = 0;
      if (
        !pages.isString(i32[type + TYPE_NAME]) ||
        (edges !== 0 && pages.claim(edges) < i32[type + TYPE_EDGE_COUNT])
      )
        throw new HeapCorruptionError(
          "I4 types",
          type,
          `the description of type ${id} is damaged, and without it no object of the type can be read`,
        );
      this.refer(i32[type + TYPE_NAME]);
      this.checkWord(SLOT_STR, type + TYPE_SCHEMA, type);
    }
  }

  /** Visit everything that is reached, and what it reaches. */
  trace(): void {
    const { i32, stack } = this;
    while (stack.count > 0) {
      const object = stack.pop();
      const type = this.typeTable + ((i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT);
      const drop = i32[type + TYPE_DROP] >> 1;
      if (drop >= 0) this.checkWords(object, type, drop);
      else if (drop === TRAVERSE_EDGES) this.checkEdges(object, type);
      else if (drop === TRAVERSE_LIST) this.checkItems(object, i32[type + TYPE_ITEM_SLOT]);
      else this.tables.check(object, i32[type + TYPE_KEY_SLOT], i32[type + TYPE_ITEM_SLOT]);
    }
  }

  /** References to an object that is there. */
  private refer(object: Address, references = 1): void {
    if (
      this.pages.count(object, references) &&
      this.holds[this.side[object >>> GRANULE_SHIFT] >> IMAGE_SIDE_SHIFT] !== 0
    )
      this.stack.push(object);
  }

  // -- slots ------------------------------------------------------------------------------------

  /** Whether what a slot holds is a value that it may hold. */
  isValid(slot: number, word: Address): boolean {
    const { i32, pages } = this;
    const low = i32[word];
    if (slot === SLOT_REF) return low === 0 || (pages.isObject(low) && !pages.isString(low));
    if (slot === SLOT_STR) return low === 0 || pages.isString(low);
    if (slot !== SLOT_ANY) return true;
    const high = i32[word + 1];
    if (high < TAG_FIRST || high > TAG_LAST || high === TAG_NULL) return true;
    if (high === TAG_BOOLEAN) return low === 0 || low === 1;
    if (high === TAG_STRING) return low === 0 || pages.isString(low);
    return high === TAG_OBJECT && pages.isObject(low) && !pages.isString(low);
  }

  /** Count what a slot holds, which is valid. */
  count(slot: number, word: Address): void {
    const low = this.i32[word];
    const high = this.i32[word + 1];
    const isReference =
      slot === SLOT_REF ||
      slot === SLOT_STR ||
      (slot === SLOT_ANY && (high === TAG_OBJECT || high === TAG_STRING));
    if (isReference && low !== 0) this.refer(low);
  }

  /** Count what a slot holds, or make it null. */
  checkWord(slot: number, word: Address, object: Address): void {
    if (this.isValid(slot, word)) {
      this.count(slot, word);
      return;
    }
    this.log.nulled.push({ object, word, was: this.i32[word] });
    this.i32[word] = 0;
    if (slot === SLOT_ANY) this.i32[word + 1] = TAG_NULL;
  }

  // -- kinds ------------------------------------------------------------------------------------

  /** References to objects first, then to strings. */
  private checkWords(object: Address, type: Address, drop: number): void {
    const { i32, side } = this;
    const objects = object + HEADER_WORDS + i32[type + TYPE_TRAVERSE];
    const end = object + HEADER_WORDS + drop;
    for (let word = object + HEADER_WORDS; word < objects; word++) {
      const target = i32[word];
      if (target === 0) continue;
      const byte = side[target >>> GRANULE_SHIFT];
      if (byte >= OBJECT_FIRST && ((byte ^ target) & GRANULE_MASK) === 0) this.refer(target);
      else this.checkWord(SLOT_REF, word, object);
    }
    for (let word = objects; word < end; word++) this.checkWord(SLOT_STR, word, object);
    if (i32[type + TYPE_KIND] === KIND_WEAKREF) this.weakrefs.push(object);
  }

  private checkEdges(object: Address, type: Address): void {
    const edges = this.i32[type + TYPE_EDGES];
    for (let index = 0; index < this.i32[type + TYPE_EDGE_COUNT]; index++) {
      const edge = this.i32[edges + index];
      this.checkWord(edge >>> TYPE_EDGE_SLOT_SHIFT, object + (edge & TYPE_EDGE_OFFSET_MASK), object);
    }
  }

  /** A list's items, or a foreign holder's. */
  private checkItems(list: Address, slot: number): void {
    const { i32, log } = this;
    const items = i32[list + LIST_ITEMS];
    const length = i32[list + LIST_LENGTH];
    const words = slotWords(slot);
    const capacity = items === 0 ? 0 : Math.floor(this.pages.claim(items) / words);
    if (capacity === 0) i32[list + LIST_ITEMS] = 0;
    // What it says is right, but where it was about to move.
    const said = i32[list + LIST_CAPACITY];
    if (capacity === 0 || said < 1 || said < length || said > capacity) i32[list + LIST_CAPACITY] = capacity;
    const kept = Math.max(0, Math.min(length, capacity));
    if (kept !== length) {
      i32[list + LIST_LENGTH] = kept;
      log.containers.push({
        object: list,
        change: capacity === 0 ? "emptied" : "shortened",
        lost: length - kept,
      });
    }
    if (!holdsReference(slot)) return;
    for (let word = items, end = items + kept * words; word < end; word += words)
      if (i32[word] !== 0 || slot === SLOT_ANY) this.checkWord(slot, word, list);
  }
}
