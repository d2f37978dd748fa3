/**
 * Reading an image, the second half: what its objects hold. Every reference is followed to an object of a type that its slot
 * may hold, and counted; the counts are those that the heap begins with. The naive witness (verify.ts) accepts what passes
 * here; this visits each object once, and has no loop that a hostile image could make long.
 */
import {
  IMAGE_ANY_BOOLEAN,
  IMAGE_ANY_NULL,
  IMAGE_ANY_NUMBER,
  IMAGE_ANY_OBJECT,
  IMAGE_ANY_STRING,
  IMAGE_TYPE_REFERENCES,
  IMAGE_TYPE_SHIFT,
  IMAGE_TYPE_TARGETS,
  IMAGE_TYPE_WEAKREF,
} from "../memory/image-layout.js";
import {
  type Address,
  CHUNK_WORDS,
  CONTROL_WEAKREFS,
  FLAG_OBSERVED,
  FOREIGN_NUMBER,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  KIND_STRING,
  KIND_WEAKREF,
  LIST_CAPACITY,
  LIST_ITEMS,
  LIST_LENGTH,
  SLOT_ANY,
  STRING_DATA,
  STRING_HASH,
  STRING_LENGTH,
  TAG_BOOLEAN,
  TAG_FIRST,
  TAG_LAST,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
  TYPE_ID_MASK,
  TYPE_ID_STRING,
  TYPE_ID_WEAKREF,
  WEAKREF_CALLBACK,
  WEAKREF_HOST_CALLBACK,
  WEAKREF_IS_PROXY,
  WEAKREF_NEXT,
  WEAKREF_PREVIOUS,
  WEAKREF_TARGET,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { holdsReference, slotWords } from "../object/slot.js";
import { hashUnits } from "../object/string.js";
import type { ImagePages } from "./image-pages.js";
import {
  count,
  countOne,
  countReferences,
  noObject,
  otherType,
  refuse,
  trackObjects,
} from "./image-plain.js";
import { ImageTableCheck } from "./image-tables.js";
import type { ImageColumns, ImageSlot, ImageType } from "./image-types.js";
import { stringDataWords } from "./image-write.js";

const ANY_OBJECT: ImageSlot = { slot: SLOT_ANY, one: 0, kinds: 0 };
const ANY_STRING: ImageSlot = { slot: SLOT_ANY, one: TYPE_ID_STRING, kinds: 0 };

export class ImageContents {
  /** Foreign objects, in address order once `finish` has run. */
  readonly foreign: Address[] = [];
  private readonly i32: Int32Array;
  private readonly side: Uint8Array;
  private readonly pages: ImagePages;
  private readonly types: readonly (ImageType | undefined)[];
  private readonly columns: ImageColumns;
  /** What `trackObjects` leaves to `checkObject`: how many, and which. */
  private readonly rest = new Int32Array(CHUNK_WORDS);
  /** Objects that something refers to. */
  private referred = 0;
  private readonly tables: ImageTableCheck;
  /** Weak references with a target; and those found in the lists of targets. */
  private weakrefs = 0;
  private listed = 0;

  constructor(
    memory: Memory,
    pages: ImagePages,
    types: readonly (ImageType | undefined)[],
    columns: ImageColumns,
  ) {
    this.i32 = memory.i32;
    this.side = memory.side;
    this.pages = pages;
    this.types = types;
    this.columns = columns;
    this.tables = new ImageTableCheck(memory.i32, pages, (slot, word, owner) =>
      this.checkSlot(slot, word, owner),
    );
  }

  /**
   * Track the objects [from, to) of `entries`, and check and count what they hold.
   * @param entry where the first of them stands in its table
   */
  trackAll(entries: Int32Array, from: number, to: number, entry: Address, flags: number): void {
    const { i32, rest } = this;
    this.referred += trackObjects(i32, this.side, this.columns, entries, from, to, entry, flags, rest);
    for (let index = 1; index <= rest[0]; index++) this.checkObject(rest[index]);
  }

  /** Check an object of which the header was checked, and count what it refers to. */
  checkObject(object: Address): void {
    const { i32, types } = this;
    const { table } = this.columns;
    const column = this.typeIdOf(object) << IMAGE_TYPE_SHIFT;
    if (table[column + IMAGE_TYPE_REFERENCES] < 0) {
      this.checkRare(object, types[this.typeIdOf(object)]!);
      return;
    }
    this.referred += countReferences(
      i32,
      this.side,
      this.columns.targets,
      table[column + IMAGE_TYPE_TARGETS],
      table[column + IMAGE_TYPE_REFERENCES],
      object,
    );
    if (table[column + IMAGE_TYPE_WEAKREF] !== 0)
      this.checkWeakrefs(object, table[column + IMAGE_TYPE_WEAKREF]);
  }

  /** A reference from outside. */
  countRoot(object: Address): void {
    if (!this.pages.isObject(object) || this.typeIdOf(object) === TYPE_ID_STRING)
      refuse(object, "a root that is no object");
    this.referred += count(this.i32, object);
  }

  /** Every object and every root has been counted. @throws ImageError if an object is left that nothing refers to */
  finish(): void {
    const { i32 } = this;
    if (this.listed !== this.weakrefs)
      refuse(
        CONTROL_WEAKREFS,
        `${this.weakrefs} weak references have a target, ${this.listed} are in its list`,
      );
    i32[CONTROL_WEAKREFS] = this.weakrefs;
    this.numberForeign();
    if (this.referred === this.pages.objects) return;
    this.pages.forEachPage((first, end, words) => {
      for (let object = first; object < end; object += words)
        if (i32[object + HEADER_TYPE] !== 0 && i32[object + HEADER_REFCOUNT] === 0)
          refuse(object, "an object to which nothing refers: it would never be freed");
    });
  }

  private checkRare(object: Address, type: ImageType): void {
    const { fields } = type;
    for (let index = 0; index < fields.length; index++)
      this.checkSlot(fields[index].slot, object + fields[index].offset, object);
    if (type.weakrefOffset !== 0) this.checkWeakrefs(object, type.weakrefOffset);
    switch (type.kind) {
      case KIND_STRING:
        this.checkString(object);
        break;
      case KIND_LIST:
        this.checkItems(object, type.item!);
        break;
      case KIND_DICT:
      case KIND_SET:
        this.tables.check(object, type);
        break;
      case KIND_WEAKREF:
        this.checkWeakref(object, type);
        break;
      case KIND_FOREIGN:
        this.checkForeign(object, type);
    }
  }

  // -- references -----------------------------------------------------------------------------

  private checkSlot(slot: ImageSlot, word: Address, owner: Address): void {
    if (slot.slot === SLOT_ANY) {
      this.checkAny(slot.kinds, word, owner);
      return;
    }
    const value = this.i32[word];
    if (value === 0) return;
    this.countReference(value, slot, owner);
    if (slot.weakTargets === undefined) return;
    const target = this.i32[value + WEAKREF_TARGET];
    if (target !== 0 && (!this.pages.isObject(target) || !slot.weakTargets.has(this.typeIdOf(target))))
      refuse(owner, `its weak reference leads to ${target}, which it may not`);
  }

  private typeIdOf(object: Address): number {
    return this.i32[object + HEADER_TYPE] & TYPE_ID_MASK;
  }

  private countReference(target: number, slot: ImageSlot, owner: Address): void {
    if (slot.one !== 0) {
      this.referred += countOne(this.i32, this.side, target, slot.one, owner);
      return;
    }
    if (!this.pages.isObject(target)) refuse(owner, noObject(target));
    const id = this.typeIdOf(target);
    if (slot.several === undefined ? id === TYPE_ID_STRING : !slot.several.has(id))
      refuse(owner, otherType(target));
    this.referred += count(this.i32, target);
  }

  private checkAny(kinds: number, word: Address, owner: Address): void {
    const low = this.i32[word];
    const high = this.i32[word + 1];
    let kind = 0;
    if (high < TAG_FIRST || high > TAG_LAST) kind = IMAGE_ANY_NUMBER;
    else if (high === TAG_NULL) kind = IMAGE_ANY_NULL;
    else if (high === TAG_BOOLEAN && (low === 0 || low === 1)) kind = IMAGE_ANY_BOOLEAN;
    else if (high === TAG_STRING) kind = IMAGE_ANY_STRING;
    else if (high === TAG_OBJECT) kind = IMAGE_ANY_OBJECT;
    if ((kind & kinds) === 0) refuse(owner, `a value with the tag ${high} where none can be`);
    if (kind === IMAGE_ANY_OBJECT) this.countReference(low, ANY_OBJECT, owner);
    if (kind === IMAGE_ANY_STRING && low !== 0) this.countReference(low, ANY_STRING, owner);
  }

  // -- kinds ----------------------------------------------------------------------------------

  private checkString(string: Address): void {
    const { i32 } = this;
    const length = i32[string + STRING_LENGTH];
    if (length < 2 || STRING_DATA + stringDataWords(length) > this.pages.blockWords(string))
      refuse(string, `a string of ${length >>> 1} units`);
    if (hashUnits(i32, string + STRING_DATA, length) !== i32[string + STRING_HASH])
      refuse(string, "the hash of a string is not that of its text");
  }

  private checkItems(list: Address, item: ImageSlot): void {
    const { i32 } = this;
    const items = i32[list + LIST_ITEMS];
    const length = i32[list + LIST_LENGTH];
    const capacity = i32[list + LIST_CAPACITY];
    const words = slotWords(item.slot);
    if (length < 0 || length > capacity || (items === 0) !== (capacity === 0))
      refuse(list, `length ${length}, capacity ${capacity}, storage ${items}`);
    if (items === 0) return;
    this.pages.claim(items, capacity * words, list);
    if (!holdsReference(item.slot)) return;
    for (let word = items; word < items + length * words; word += words) this.checkSlot(item, word, list);
  }

  /** A holder's items are laid out as a list's. */
  private checkForeign(object: Address, type: ImageType): void {
    this.foreign.push(object);
    if (type.item !== undefined) this.checkItems(object, type.item);
    else if (this.i32[object + LIST_ITEMS] !== 0)
      refuse(object, "a foreign value that may hold nothing holds something");
  }

  /** They were found in the order of the tables, and are numbered in that of their addresses. */
  private numberForeign(): void {
    const { i32, foreign } = this;
    foreign.sort((first, second) => first - second);
    for (const [index, object] of foreign.entries()) {
      if (i32[object + FOREIGN_NUMBER] !== index + 1)
        refuse(object, `the number ${i32[object + FOREIGN_NUMBER]} of a foreign value`);
      i32[object + FOREIGN_NUMBER] = 0;
    }
  }

  // -- weak references ------------------------------------------------------------------------

  private checkWeakref(ref: Address, type: ImageType): void {
    const { i32 } = this;
    this.checkSlot(type.item!, ref + WEAKREF_CALLBACK, ref);
    const proxy = i32[ref + WEAKREF_IS_PROXY];
    if (i32[ref + WEAKREF_HOST_CALLBACK] !== 0 || proxy < 0 || proxy > 1)
      refuse(ref, "a weak reference's own words");
    const target = i32[ref + WEAKREF_TARGET];
    if (target !== 0) {
      const hasList =
        this.pages.isObject(target) &&
        this.types[i32[target + HEADER_TYPE] & TYPE_ID_MASK]!.weakrefOffset !== 0;
      if (!hasList) refuse(ref, `it leads to ${target}, which cannot be weakly referenced`);
      this.weakrefs++;
    } else if (i32[ref + WEAKREF_NEXT] !== 0 || i32[ref + WEAKREF_PREVIOUS] !== 0)
      refuse(ref, "a dead weak reference in a list");
  }

  /** Each has its predecessor's address, so none can come twice: the walk ends. */
  private checkWeakrefs(object: Address, offset: number): void {
    const { i32 } = this;
    let previous = 0;
    for (let ref = i32[object + offset]; ref !== 0; ref = i32[ref + WEAKREF_NEXT]) {
      if (!this.pages.isObject(ref) || (i32[ref + HEADER_TYPE] & TYPE_ID_MASK) !== TYPE_ID_WEAKREF)
        refuse(object, `its list of weak references leads to ${ref}, which is none`);
      if (i32[ref + WEAKREF_TARGET] !== object || i32[ref + WEAKREF_PREVIOUS] !== previous)
        refuse(ref, `it stands in the list of ${object}, and says otherwise`);
      previous = ref;
      this.listed++;
    }
    if (previous !== 0) i32[object + HEADER_TYPE] |= FLAG_OBSERVED;
  }
}
