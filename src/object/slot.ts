/** What each kind of slot occupies and means: shared by everything that walks fields, items, keys and values. */
import { SLOT_ANY, SLOT_F64, SLOT_I64, SLOT_NONE, SLOT_REF, SLOT_STR } from "../memory/layout.js";

/** Words that a slot takes: 1 or 2 (0 for no slot). */
export function slotWords(slot: number): number {
  if (slot === SLOT_NONE) return 0;
  return slot === SLOT_F64 || slot === SLOT_I64 || slot === SLOT_ANY ? 2 : 1;
}

/** Whether a slot may hold a counted reference. */
export function holdsReference(slot: number): boolean {
  return slot === SLOT_REF || slot === SLOT_STR || slot === SLOT_ANY;
}

/** Words of a hash table entry: one-word keys carry their hash beside them, so the key part is two words either way. */
export function entryWords(itemSlot: number): number {
  return itemSlot === SLOT_NONE ? 2 : 4;
}
