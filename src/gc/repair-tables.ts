/**
 * Repair: the hash tables behind dicts and sets. What is found by the index is there; an entry that the index has not, or
 * whose key is not that of its hash, was being put in or taken out. A table that was being moved has storage of which the
 * header does not know the mask yet: the mask is then that by which most entries are found.
 */
import {
  type Address,
  ENTRY_VALUE,
  HASH_DELETED,
  INDEX_FREE,
  TABLE_EPOCH,
  TABLE_INDEX_MIN,
  TABLE_MASK,
  TABLE_SIZE,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_EMPTY,
} from "../memory/layout.js";
import { capacityOf, indexWord } from "../object/hash-table.js";
import { isDeletedEntry } from "../object/refcount.js";
import { entryWords, slotWords } from "../object/slot.js";
import type { RepairPages } from "./repair-pages.js";
import type { RepairLog } from "./repair-report.js";
import { TableIndex } from "./table-index.js";

/** What a table asks of whoever traces. */
export interface SlotCheck {
  isValid(slot: number, word: Address): boolean;
  count(slot: number, word: Address): void;
  checkWord(slot: number, word: Address, object: Address): void;
}

export class TableRepair {
  private readonly i32: Int32Array;
  private readonly pages: RepairPages;
  private readonly slots: SlotCheck;
  private readonly log: RepairLog;
  private readonly index: TableIndex;

  constructor(i32: Int32Array, pages: RepairPages, slots: SlotCheck, log: RepairLog) {
    this.i32 = i32;
    this.pages = pages;
    this.slots = slots;
    this.log = log;
    this.index = new TableIndex(i32);
  }

  /** Check a table that is reached for the first time, and count what its entries hold. O(index) where it is sound. */
  check(table: Address, keySlot: number, itemSlot: number): void {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    const blockWords = storage === 0 ? 0 : this.pages.claim(storage);
    if (blockWords === 0) this.empty(table);
    else {
      if (!this.isSound(table, keySlot, itemSlot, blockWords))
        this.rebuild(table, keySlot, itemSlot, blockWords);
      this.countEntries(table, keySlot, itemSlot);
    }
  }

  private empty(table: Address): void {
    const { i32 } = this;
    const size = i32[table + TABLE_SIZE];
    if ((i32[table + TABLE_STORAGE] | i32[table + TABLE_MASK] | i32[table + TABLE_USED] | size) === 0) return;
    i32.fill(0, table + TABLE_STORAGE, table + TABLE_EPOCH);
    i32[table + TABLE_EPOCH]++;
    this.log.containers.push({ object: table, change: "emptied", lost: size });
  }

  /** Whether header, index and entries agree. */
  private isSound(table: Address, keySlot: number, itemSlot: number, blockWords: number): boolean {
    const { i32 } = this;
    const mask = i32[table + TABLE_MASK];
    const used = i32[table + TABLE_USED];
    const words = entryWords(itemSlot);
    if (!fits(mask, words, blockWords) || used < 0 || used > capacityOf(mask)) return false;
    const first = i32[table + TABLE_STORAGE] + mask + 1;
    let live = 0;
    for (let entry = first, end = first + used * words; entry < end; entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      live++;
      if (!this.slots.isValid(keySlot, entry)) return false;
    }
    return live === i32[table + TABLE_SIZE] && this.index.fault(table, keySlot, words) === undefined;
  }

  private countEntries(table: Address, keySlot: number, itemSlot: number): void {
    const { i32, slots } = this;
    const words = entryWords(itemSlot);
    const first = i32[table + TABLE_STORAGE] + i32[table + TABLE_MASK] + 1;
    for (let entry = first, end = first + i32[table + TABLE_USED] * words; entry < end; entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      slots.count(keySlot, entry);
      if (words > ENTRY_VALUE) slots.checkWord(itemSlot, entry + ENTRY_VALUE, table);
    }
  }

  // -- making an index anew -----------------------------------------------------------------------

  /** Entries keep their numbers: those that are not found become holes. */
  private rebuild(table: Address, keySlot: number, itemSlot: number, blockWords: number): void {
    const { i32 } = this;
    const words = entryWords(itemSlot);
    const found = this.findMask(table, keySlot, words, blockWords);
    if (found === undefined) {
      i32[table + TABLE_STORAGE] = 0; // too small for any index: nobody's
      this.empty(table);
      return;
    }
    const { mask, hashes, size, used } = found;
    const storage = i32[table + TABLE_STORAGE];
    i32.fill(INDEX_FREE, storage, storage + mask + 1);
    for (let number = 0; number < used; number++) {
      const hash = hashes[number];
      if (hash === HASH_DELETED) {
        const entry = storage + mask + 1 + number * words;
        i32[entry + 1] = slotWords(keySlot) === 2 ? TAG_EMPTY : HASH_DELETED;
        continue;
      }
      let probe = hash & mask;
      while (i32[storage + probe] !== INDEX_FREE) probe = (probe + 1) & mask;
      i32[storage + probe] = indexWord(hash, mask, number + 1);
    }
    const lost = Math.max(0, i32[table + TABLE_SIZE] - size);
    i32[table + TABLE_MASK] = mask;
    i32[table + TABLE_SIZE] = size;
    i32[table + TABLE_USED] = used;
    i32[table + TABLE_EPOCH]++;
    this.log.containers.push({ object: table, change: "rebuilt", lost });
  }

  /** The mask by which most entries are found: the header's, if none is better, else the largest. */
  private findMask(table: Address, keySlot: number, words: number, blockWords: number): Found | undefined {
    const said = this.i32[table + TABLE_MASK];
    let best = fits(said, words, blockWords) ? this.findEntries(table, said, keySlot, words) : undefined;
    const isSaid = best !== undefined;
    for (let mask = TABLE_INDEX_MIN - 1; fits(mask, words, blockWords); mask = mask * 2 + 1) {
      if (mask === said) continue;
      const found = this.findEntries(table, mask, keySlot, words);
      const isBetter = best === undefined || found.size > best.size || (found.size === best.size && !isSaid);
      if (isBetter) best = found;
    }
    return best;
  }

  /** The entries to which an index of this size leads. */
  private findEntries(table: Address, mask: number, keySlot: number, words: number): Found {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    const written = Math.max(0, Math.min(i32[table + TABLE_USED], capacityOf(mask)));
    const hashes = new Int32Array(written).fill(HASH_DELETED);
    let size = 0;
    let used = 0;
    for (let probe = 0; probe <= mask; probe++) {
      const word = i32[storage + probe];
      const number = word & mask;
      if (word <= 0 || number < 1 || number > written || hashes[number - 1] !== HASH_DELETED) continue;
      const entry = storage + mask + 1 + (number - 1) * words;
      if (isDeletedEntry(i32, entry, keySlot) || !this.slots.isValid(keySlot, entry)) continue;
      const hash = this.index.hashOf(entry, keySlot);
      if (hash === HASH_DELETED || word !== indexWord(hash, mask, number)) continue;
      hashes[number - 1] = hash;
      size++;
      used = Math.max(used, number);
    }
    return { mask, hashes, size, used };
  }
}

interface Found {
  readonly mask: number;
  /** By entry number from 0 on: the hash that it is found by, or HASH_DELETED: it is not found. */
  readonly hashes: Int32Array;
  /** How many are found, and one past the last of them. */
  readonly size: number;
  readonly used: number;
}

/** Whether a table with this mask fits into a block. */
function fits(mask: number, words: number, blockWords: number): boolean {
  const isMask = mask >= TABLE_INDEX_MIN - 1 && ((mask + 1) & mask) === 0;
  return isMask && mask + 1 + capacityOf(mask) * words <= blockWords;
}
