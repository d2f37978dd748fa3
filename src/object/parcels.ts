/**
 * Parcels: references under way from one thread to another, each in a slot of a table (layout.ts draws it). All under the exclusive lock,
 * but that a parcel may be found and taken under a shared one.
 */
import type { Allocator } from "../alloc/allocator.js";
import { HeapError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_PARCELS,
  CONTROL_ROOT_COUNT,
  KIND_STORAGE,
  PARCEL_NEXT,
  PARCEL_OBJECT,
  PARCEL_SERIAL,
  PARCEL_SITE,
  PARCEL_SLOT_BITS,
  PARCEL_WORDS,
  PARCELS_COUNT,
  PARCELS_EMPTIED,
  PARCELS_FREE,
  PARCELS_HEADER_WORDS,
  PARCELS_SLOTS,
} from "../memory/layout.js";

const SLOTS_MIN = 31;
const SLOTS_MAX = 2 ** PARCEL_SLOT_BITS;

export class Parcels {
  private readonly allocator: Allocator;
  private readonly i32: Int32Array;

  constructor(allocator: Allocator) {
    this.allocator = allocator;
    this.i32 = allocator.memory.i32;
  }

  /** Slots that readers have emptied are free again. @returns the strings that say where their parcels were sent, the caller's now */
  reclaim(): Address[] {
    const { i32 } = this;
    const sites: Address[] = [];
    const table = i32[CONTROL_PARCELS];
    if (table === 0) return sites;
    for (let slot = i32[table + PARCELS_EMPTIED] - 1; slot >= 0; slot = i32[table + PARCELS_EMPTIED] - 1) {
      const at = slotAddress(table, slot);
      i32[table + PARCELS_EMPTIED] = i32[at + PARCEL_NEXT];
      sites.push(i32[at + PARCEL_SITE]);
      this.free(table, slot);
    }
    return sites;
  }

  /** Make sure that `add` has a slot. @throws OutOfMemoryError, HeapError "TOO_MANY_PARCELS" */
  reserve(): void {
    const { i32 } = this;
    const table = i32[CONTROL_PARCELS];
    if (table !== 0 && i32[table + PARCELS_FREE] !== 0) return;
    const slots = table === 0 ? 0 : i32[table + PARCELS_SLOTS];
    if (slots === SLOTS_MAX)
      throw new HeapError(
        "TOO_MANY_PARCELS",
        `${SLOTS_MAX} parcels were sent and not received: receive some first.`,
      );
    this.grow(slots);
  }

  /**
   * Put a reference, and the string that says where, into a slot, which owns both. `reserve` was called.
   * @returns the number of the parcel
   */
  add(object: Address, site: Address): number {
    const { i32 } = this;
    const table = i32[CONTROL_PARCELS];
    const slot = i32[table + PARCELS_FREE] - 1;
    const at = slotAddress(table, slot);
    i32[table + PARCELS_FREE] = i32[at + PARCEL_NEXT];
    i32[table + PARCELS_COUNT]++;
    i32[at + PARCEL_SITE] = site;
    i32[at + PARCEL_OBJECT] = object;
    i32[CONTROL_ROOT_COUNT]++;
    return slot + i32[at + PARCEL_SERIAL] * 2 ** PARCEL_SLOT_BITS;
  }

  /** The object of a parcel; 0: there is no such parcel (any more). */
  find(parcel: number): Address {
    const { i32 } = this;
    const table = i32[CONTROL_PARCELS];
    if (table === 0 || !Number.isSafeInteger(parcel) || parcel < 0) return 0;
    const slot = parcel % 2 ** PARCEL_SLOT_BITS;
    if (slot >= i32[table + PARCELS_SLOTS]) return 0;
    const at = slotAddress(table, slot);
    const serial = (parcel - slot) / 2 ** PARCEL_SLOT_BITS;
    return i32[at + PARCEL_SERIAL] === serial ? i32[at + PARCEL_OBJECT] : 0;
  }

  /** Take a parcel out of its slot. Its reference is the caller's. @returns the string that says where it was sent, the caller's too, or 0 */
  take(parcel: number): Address {
    const { i32 } = this;
    const table = i32[CONTROL_PARCELS];
    const slot = parcel % 2 ** PARCEL_SLOT_BITS;
    const at = slotAddress(table, slot);
    const site = i32[at + PARCEL_SITE];
    this.free(table, slot);
    i32[table + PARCELS_COUNT]--;
    i32[CONTROL_ROOT_COUNT]--;
    return site;
  }

  /**
   * The same under a shared lock, where other readers may be taking too: one of them empties the slot, and whoever writes next reclaims
   * it. The caller sees to it that the heap is repaired if its thread ends before it has the reference (THREAD_UNSETTLED).
   * @returns whether this thread has taken it; its reference is then the caller's
   */
  takeShared(parcel: number): boolean {
    const { i32 } = this;
    const object = this.find(parcel);
    const table = i32[CONTROL_PARCELS];
    const slot = parcel % 2 ** PARCEL_SLOT_BITS;
    const at = slotAddress(table, slot);
    if (object === 0 || Atomics.compareExchange(i32, at + PARCEL_OBJECT, object, 0) !== object) return false;
    Atomics.sub(i32, table + PARCELS_COUNT, 1);
    Atomics.sub(i32, CONTROL_ROOT_COUNT, 1);
    for (;;) {
      const first = Atomics.load(i32, table + PARCELS_EMPTIED);
      i32[at + PARCEL_NEXT] = first;
      if (Atomics.compareExchange(i32, table + PARCELS_EMPTIED, first, slot + 1) === first) return true;
    }
  }

  private free(table: Address, slot: number): void {
    const { i32 } = this;
    const at = slotAddress(table, slot);
    // First: a parcel that has another number than its sender knows would be there for good. The serial is raised by a repair too.
    i32[at + PARCEL_OBJECT] = 0;
    this.raiseSerial(at);
    i32[at + PARCEL_SITE] = 0;
    i32[at + PARCEL_NEXT] = i32[table + PARCELS_FREE];
    i32[table + PARCELS_FREE] = slot + 1;
  }

  /** Make the list of free slots anew: a thread may have ended while it was changed. A slot without an object is free. */
  relink(): void {
    const { i32 } = this;
    const table = i32[CONTROL_PARCELS];
    if (table === 0) return;
    let free = 0;
    let count = 0;
    for (let slot = i32[table + PARCELS_SLOTS] - 1; slot >= 0; slot--) {
      const at = slotAddress(table, slot);
      if (i32[at + PARCEL_OBJECT] !== 0) {
        count++;
        continue;
      }
      // Emptied by a reader: the number of its parcel must not be that of the next one.
      if (i32[at + PARCEL_SITE] !== 0) this.raiseSerial(at);
      i32[at + PARCEL_SITE] = 0;
      i32[at + PARCEL_NEXT] = free;
      free = slot + 1;
    }
    i32[table + PARCELS_FREE] = free;
    i32[table + PARCELS_EMPTIED] = 0;
    i32[table + PARCELS_COUNT] = count;
  }

  private raiseSerial(slot: Address): void {
    this.i32[slot + PARCEL_SERIAL] = (this.i32[slot + PARCEL_SERIAL] + 1) & 0x7fffffff;
  }

  private grow(slots: number): void {
    const { i32, allocator } = this;
    const more = Math.min(SLOTS_MAX, Math.max(SLOTS_MIN, slots * 2));
    const table = allocator.allocate(KIND_STORAGE, PARCELS_HEADER_WORDS + more * PARCEL_WORDS);
    const old = i32[CONTROL_PARCELS];
    i32.fill(0, table, table + PARCELS_HEADER_WORDS + more * PARCEL_WORDS);
    if (old !== 0) i32.copyWithin(table, old, slotAddress(old, slots));
    i32[table + PARCELS_SLOTS] = more;
    let free = 0;
    for (let slot = more - 1; slot >= slots; slot--) {
      i32[slotAddress(table, slot) + PARCEL_NEXT] = free;
      free = slot + 1;
    }
    i32[table + PARCELS_FREE] = free;
    i32[CONTROL_PARCELS] = table;
    if (old !== 0) allocator.free(old);
  }
}

/** Every parcel under way: its object, the string that says where it was sent, and its number. */
export function forEachParcel(
  i32: Int32Array,
  visit: (object: Address, site: Address, parcel: number) => void,
): void {
  const table = i32[CONTROL_PARCELS];
  if (table === 0) return;
  for (let slot = 0; slot < i32[table + PARCELS_SLOTS]; slot++) {
    const at = slotAddress(table, slot);
    if (i32[at + PARCEL_OBJECT] !== 0)
      visit(
        i32[at + PARCEL_OBJECT],
        i32[at + PARCEL_SITE],
        slot + i32[at + PARCEL_SERIAL] * 2 ** PARCEL_SLOT_BITS,
      );
  }
}

function slotAddress(table: Address, slot: number): Address {
  return table + PARCELS_HEADER_WORDS + slot * PARCEL_WORDS;
}
