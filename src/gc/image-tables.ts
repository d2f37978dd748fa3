/** Reading an image: the hash tables behind dicts and sets. */
import {
  type Address,
  SLOT_NONE,
  SLOT_STR,
  TABLE_INDEX_MIN,
  TABLE_MASK,
  TABLE_SIZE,
  TABLE_STORAGE,
  TABLE_USED,
} from "../memory/layout.js";
import { capacityOf } from "../object/hash-table.js";
import { isDeletedEntry } from "../object/refcount.js";
import { entryWords } from "../object/slot.js";
import type { ImagePages } from "./image-pages.js";
import { refuse } from "./image-plain.js";
import type { ImageSlot, ImageType } from "./image-types.js";
import { TableIndex } from "./table-index.js";

type CheckSlot = (slot: ImageSlot, word: Address, owner: Address) => void;

const NO_SLOT: ImageSlot = { slot: SLOT_NONE, one: 0, kinds: 0 };

export class ImageTableCheck {
  private readonly i32: Int32Array;
  private readonly pages: ImagePages;
  private readonly checkSlot: CheckSlot;
  private readonly index: TableIndex;

  constructor(i32: Int32Array, pages: ImagePages, checkSlot: CheckSlot) {
    this.i32 = i32;
    this.pages = pages;
    this.checkSlot = checkSlot;
    this.index = new TableIndex(i32);
  }

  /** Entries, index, and that each entry is found by its hash. O(index), whatever the hashes are. */
  check(table: Address, type: ImageType): void {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    const mask = i32[table + TABLE_MASK];
    const size = i32[table + TABLE_SIZE];
    const used = i32[table + TABLE_USED];
    if (storage === 0) {
      if (mask !== 0 || size !== 0 || used !== 0) refuse(table, "entries without storage");
      return;
    }
    const keySlot = type.key!.slot;
    const item = type.item ?? NO_SLOT;
    const words = entryWords(item.slot);
    if (mask < TABLE_INDEX_MIN - 1 || ((mask + 1) & mask) !== 0)
      refuse(table, `an index of ${mask + 1} words`);
    if (size < 0 || size > used || used > capacityOf(mask))
      refuse(table, `${size} of ${used} entries, index of ${mask + 1}`);
    this.pages.claim(storage, mask + 1 + capacityOf(mask) * words, table);
    const first = storage + mask + 1;
    let live = 0;
    for (let entry = first; entry < first + used * words; entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      live++;
      if (slotHolds(keySlot)) this.checkSlot(type.key!, entry, table);
      if (slotHolds(item.slot)) this.checkSlot(item, entry + 2, table);
    }
    if (live !== size) refuse(table, `it counts ${size} entries and has ${live}`);
    const fault = this.index.fault(table, keySlot, words);
    if (fault !== undefined) refuse(table, fault);
  }
}

function slotHolds(slot: number): boolean {
  return slot >= SLOT_STR;
}
