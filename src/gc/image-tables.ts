/** Reading an image: the hash tables behind dicts and sets. */
import {
  type Address,
  HASH_DELETED,
  INDEX_DELETED,
  INDEX_FREE,
  SLOT_ANY,
  SLOT_NONE,
  SLOT_STR,
  STRING_HASH,
  TABLE_INDEX_MIN,
  TABLE_MASK,
  TABLE_SIZE,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_FIRST,
  TAG_LAST,
  TAG_STRING,
} from "../memory/layout.js";
import { capacityOf, hashPair, hashWord, indexWord } from "../object/hash-table.js";
import { isDeletedEntry } from "../object/refcount.js";
import { entryWords, slotWords } from "../object/slot.js";
import { hashText } from "../object/string.js";
import type { ImagePages } from "./image-pages.js";
import { refuse } from "./image-plain.js";
import type { ImageSlot, ImageType } from "./image-types.js";

type CheckSlot = (slot: ImageSlot, word: Address, owner: Address) => void;

const HASH_OF_EMPTY = hashText("");
const NO_SLOT: ImageSlot = { slot: SLOT_NONE, one: 0, kinds: 0 };

export class ImageTableCheck {
  private readonly i32: Int32Array;
  private readonly pages: ImagePages;
  private readonly checkSlot: CheckSlot;
  /** By entry number: whether the index has it. */
  private indexed = new Uint8Array(1024);

  constructor(i32: Int32Array, pages: ImagePages, checkSlot: CheckSlot) {
    this.i32 = i32;
    this.pages = pages;
    this.checkSlot = checkSlot;
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
    this.checkIndex(table, keySlot, words);
  }

  /**
   * Linear probing finds an entry exactly when no free word lies between where its hash sends and where it stands. So the
   * distance of each is compared with the number of taken words behind it: one walk round the index, no probing.
   */
  private checkIndex(table: Address, keySlot: number, words: number): void {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    const mask = i32[table + TABLE_MASK];
    const used = i32[table + TABLE_USED];
    if (this.indexed.length <= used) this.indexed = new Uint8Array(used * 2);
    this.indexed.fill(0, 0, used + 1);
    let start = 0;
    while (start <= mask && i32[storage + start] !== INDEX_FREE) start++;
    if (start > mask) refuse(table, "an index without a free word");
    let taken = 0;
    let run = 0;
    let live = 0;
    for (let step = 1; step <= mask + 1; step++) {
      const probe = (start + step) & mask;
      const word = i32[storage + probe];
      if (word === INDEX_FREE) {
        run = 0;
        continue;
      }
      run++;
      taken++;
      if (word === INDEX_DELETED) continue;
      const number = word & mask;
      if (number < 1 || number > used || this.indexed[number] === 1)
        refuse(table, `entry ${number} in its index`);
      this.indexed[number] = 1;
      live++;
      const entry = storage + mask + 1 + (number - 1) * words;
      if (isDeletedEntry(i32, entry, keySlot)) refuse(table, `the deleted entry ${number} in its index`);
      const hash = this.hashOf(entry, keySlot, table);
      if (word !== indexWord(hash, mask, number) || ((probe - hash) & mask) >= run)
        refuse(table, `entry ${number} is not found by its hash`);
    }
    // Each entry ever written took at most one word: so there is always a free one, and every search ends.
    if (taken > used || live !== i32[table + TABLE_SIZE]) refuse(table, `${taken} words of its index in use`);
  }

  private hashOf(entry: Address, keySlot: number, table: Address): number {
    const { i32 } = this;
    const first = i32[entry];
    const second = i32[entry + 1];
    if (slotWords(keySlot) === 2) {
      // Among doubles no key has a tag; whoever moves entries would take it for a string's.
      if (keySlot !== SLOT_ANY && second >= TAG_FIRST && second <= TAG_LAST)
        refuse(table, "a tag among numbers");
      return second === TAG_STRING ? this.textHash(first) : hashPair(first, second);
    }
    const hash = keySlot === SLOT_STR ? this.textHash(first) : hashWord(first);
    if (second !== hash || second === HASH_DELETED) refuse(table, "the hash beside a key is not the key's");
    return hash;
  }

  private textHash(string: Address): number {
    return string === 0 ? HASH_OF_EMPTY : this.i32[string + STRING_HASH];
  }
}

function slotHolds(slot: number): boolean {
  return slot >= SLOT_STR;
}
