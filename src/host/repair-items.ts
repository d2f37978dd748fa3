/**
 * After a repair: an item that was being put in when its thread ended is null, also where the schema wants an object. Such items and
 * entries go; what is below the host does not know what a schema wants.
 */

import type { RepairedContainer } from "../gc/repair-report.js";
import { type Address, ENTRY_VALUE, LIST_LENGTH, SLOT_ANY, SLOT_REF } from "../memory/layout.js";
import { entryWords, holdsReference } from "../object/slot.js";
import type { BoundType } from "./bound-type.js";
import type { Context } from "./context.js";

/** O(objects + items of such containers). @returns the containers that have lost something */
export function dropMissingItems({ core, binder }: Context): RepairedContainer[] {
  const changed: RepairedContainer[] = [];
  for (const object of core.allocator.objects()) {
    const type = binder.typeOf(object);
    if (type === undefined || !needsObjects(type)) continue;
    const lost = type.descriptor["@kind"] === "list" ? dropItems(type, object) : dropEntries(type, object);
    if (lost > 0) changed.push({ object, change: "shortened", lost });
  }
  return changed;
}

/** Whether the items of a list, or the values of a dict, are objects and never null. */
function needsObjects({ descriptor, slots }: BoundType): boolean {
  const kind = descriptor["@kind"];
  const spec = kind === "list" ? slots[0]?.spec : kind === "dict" ? slots[1]?.spec : undefined;
  return spec !== undefined && spec.slot === SLOT_REF && !spec.isOptional && spec.targets.length > 0;
}

function dropItems({ context }: BoundType, list: Address): number {
  const { lists, memory } = context.core;
  let lost = 0;
  for (let index = memory.i32[list + LIST_LENGTH] - 1; index >= 0; index--) {
    if (memory.i32[lists.itemAddress(list, index)] !== 0) continue;
    lists.closeGap(list, index);
    lost++;
  }
  return lost;
}

function dropEntries({ context, slots }: BoundType, dict: Address): number {
  const { tables, counts, memory } = context.core;
  const keySlot = slots[0].spec.slot;
  const words = entryWords(slots[1].spec.slot);
  let lost = 0;
  for (let from = 0; ; ) {
    const entry = tables.nextEntry(dict, from, keySlot, words);
    if (entry === 0) return lost;
    from = tables.entryNumber(dict, entry, words) + 1;
    if (memory.i32[entry + ENTRY_VALUE] !== 0) continue;
    const [low, high] = [memory.i32[entry], memory.i32[entry + 1]];
    tables.remove(dict, entry, keySlot, words);
    if (keySlot === SLOT_ANY) counts.decrefAny(low, high);
    else if (holdsReference(keySlot) && low !== 0) counts.decref(low);
    lost++;
  }
}
