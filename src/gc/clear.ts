/** `tp_clear`: drop the references of an object that is garbage, and so break the cycles that it is on. */
import {
  type Address,
  HEADER_WORDS,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_STRUCT,
  KIND_TUPLE,
  KIND_WEAKREF,
  SLOT_ANY,
  TAG_NULL,
  TRAVERSE_EDGES,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_KIND,
  WEAKREF_HOST_CALLBACK,
} from "../memory/layout.js";
import type { HashTables } from "../object/hash-table.js";
import type { Hooks } from "../object/hooks.js";
import type { Lists } from "../object/list.js";
import type { ReferenceCounts } from "../object/refcount.js";
import type { TypeTable } from "../object/type.js";
import type { WeakReferences } from "../object/weakref.js";

export class Clearing {
  private readonly i32: Int32Array;
  private readonly counts: ReferenceCounts;
  private readonly lists: Lists;
  private readonly tables: HashTables;
  private readonly types: TypeTable;
  private readonly weakrefs: WeakReferences;
  private readonly hooks: Hooks;

  constructor(
    i32: Int32Array,
    counts: ReferenceCounts,
    lists: Lists,
    tables: HashTables,
    types: TypeTable,
    weakrefs: WeakReferences,
    hooks: Hooks,
  ) {
    this.i32 = i32;
    this.counts = counts;
    this.lists = lists;
    this.tables = tables;
    this.types = types;
    this.weakrefs = weakrefs;
    this.hooks = hooks;
  }

  /** The caller holds a reference to the object. A tuple has nothing to clear: it dies when a neighbour does. */
  clear(object: Address): void {
    const type = this.types.descriptorOf(object);
    const kind = this.i32[type + TYPE_KIND];
    if (kind === KIND_WEAKREF) this.clearWeakref(object);
    else if (kind === KIND_FOREIGN) this.clearForeign(object);
    else if (kind === KIND_STRUCT) this.clearFields(object, type);
    else if (kind === KIND_LIST) this.lists.clear(object);
    else if (kind > KIND_TUPLE) this.tables.clear(object);
  }

  /** It is cut already; its callback will not be called any more. */
  private clearWeakref(ref: Address): void {
    const hostCallback = this.i32[ref + WEAKREF_HOST_CALLBACK];
    this.i32[ref + WEAKREF_HOST_CALLBACK] = 0;
    if (hostCallback !== 0) this.weakrefs.forget(hostCallback);
    const callback = this.weakrefs.takeCallback(ref);
    if (callback !== 0) this.counts.decref(callback);
  }

  /** Its value may be what the cycle leads through: disposing of it gives up the handles that it holds. */
  private clearForeign(object: Address): void {
    this.hooks.disposeForeign(object);
    this.lists.clear(object);
  }

  /** Field by field in shape order: each is emptied before its reference is dropped. */
  private clearFields(object: Address, type: Address): void {
    const { i32 } = this;
    const drop = i32[type + TYPE_DROP] >> 1;
    if (drop !== TRAVERSE_EDGES) {
      for (let word = object + HEADER_WORDS; word < object + HEADER_WORDS + drop; word++)
        this.clearWord(word);
      return;
    }
    for (let index = 0; index < i32[type + TYPE_EDGE_COUNT]; index++) {
      const edge = i32[i32[type + TYPE_EDGES] + index];
      const word = object + (edge & TYPE_EDGE_OFFSET_MASK);
      if (edge >>> TYPE_EDGE_SLOT_SHIFT === SLOT_ANY) this.clearAny(word);
      else this.clearWord(word);
    }
  }

  private clearWord(word: Address): void {
    const reference = this.i32[word];
    if (reference === 0) return;
    this.i32[word] = 0;
    this.counts.decref(reference);
  }

  private clearAny(word: Address): void {
    const { i32 } = this;
    const low = i32[word];
    const high = i32[word + 1];
    i32[word] = 0;
    i32[word + 1] = TAG_NULL;
    this.counts.decrefAny(low, high);
  }
}
