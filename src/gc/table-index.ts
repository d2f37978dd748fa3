/**
 * Whether the index of a hash table and its entries agree, asked of memory that is not believed yet: an image's, or what a
 * thread has left behind. Reads only; every loop ends.
 */
import {
  type Address,
  HASH_DELETED,
  INDEX_DELETED,
  INDEX_FREE,
  SLOT_ANY,
  SLOT_STR,
  STRING_HASH,
  TABLE_MASK,
  TABLE_SIZE,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_FIRST,
  TAG_LAST,
  TAG_STRING,
} from "../memory/layout.js";
import { hashPair, hashWord, indexWord } from "../object/hash-table.js";
import { isDeletedEntry } from "../object/refcount.js";
import { slotWords } from "../object/slot.js";
import { hashText } from "../object/string.js";

const HASH_OF_EMPTY = hashText("");

export class TableIndex {
  private readonly i32: Int32Array;
  /** By entry number: whether the index has it. */
  private indexed = new Uint8Array(1024);

  constructor(i32: Int32Array) {
    this.i32 = i32;
  }

  /**
   * Linear probing finds an entry exactly when no free word lies between where its hash sends and where it stands. So the
   * distance of each is compared with the number of taken words behind it: one walk round the index, no probing.
   * The storage is large enough for mask and entries, and every key is a value that its slot may hold.
   * @returns what is wrong, or undefined. O(index), whatever the hashes are
   */
  fault(table: Address, keySlot: number, words: number): string | undefined {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    const mask = i32[table + TABLE_MASK];
    const used = i32[table + TABLE_USED];
    if (this.indexed.length <= used) this.indexed = new Uint8Array(used * 2);
    this.indexed.fill(0, 0, used + 1);
    let start = 0;
    while (start <= mask && i32[storage + start] !== INDEX_FREE) start++;
    if (start > mask) return "an index without a free word";
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
      if (number < 1 || number > used || this.indexed[number] === 1) return `entry ${number} in its index`;
      this.indexed[number] = 1;
      live++;
      const entry = storage + mask + 1 + (number - 1) * words;
      if (isDeletedEntry(i32, entry, keySlot)) return `the deleted entry ${number} in its index`;
      const hash = this.hashOf(entry, keySlot);
      if (hash === HASH_DELETED) return `the words of entry ${number}: they are those of no key`;
      if (word !== indexWord(hash, mask, number) || ((probe - hash) & mask) >= run)
        return `entry ${number} is not found by its hash`;
    }
    // Each entry ever written took at most one word: so there is always a free one, and every search ends.
    if (taken > used || live !== i32[table + TABLE_SIZE]) return `${taken} words of its index in use`;
    return undefined;
  }

  /** The hash that an entry is found by, or HASH_DELETED, which is nobody's, where its key words are those of no key. */
  hashOf(entry: Address, keySlot: number): number {
    const { i32 } = this;
    const first = i32[entry];
    const second = i32[entry + 1];
    if (slotWords(keySlot) === 2) {
      // Among doubles no key has a tag; whoever moves entries would take it for a string's.
      if (keySlot !== SLOT_ANY && second >= TAG_FIRST && second <= TAG_LAST) return HASH_DELETED;
      return second === TAG_STRING ? this.textHash(first) : hashPair(first, second);
    }
    const hash = keySlot === SLOT_STR ? this.textHash(first) : hashWord(first);
    return second === hash ? hash : HASH_DELETED;
  }

  private textHash(string: Address): number {
    return string === 0 ? HASH_OF_EMPTY : this.i32[string + STRING_HASH];
  }
}
