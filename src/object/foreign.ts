/** Foreign objects: heap objects that stand for a value of the host, which the heap knows by number. */
import {
  type Address,
  FOREIGN_NUMBER,
  FOREIGN_WEAKREFS,
  LIST_CAPACITY,
  LIST_ITEMS,
  LIST_LENGTH,
  TYPE_ID_FOREIGN,
  TYPE_ID_FOREIGN_HOLDER,
} from "../memory/layout.js";
import type { Lists } from "./list.js";
import type { Objects } from "./objects.js";
import type { ReferenceCounts } from "./refcount.js";

export class ForeignObjects {
  private readonly i32: Int32Array;
  private readonly objects: Objects;
  private readonly lists: Lists;
  private readonly counts: ReferenceCounts;

  constructor(i32: Int32Array, objects: Objects, lists: Lists, counts: ReferenceCounts) {
    this.i32 = i32;
    this.objects = objects;
    this.lists = lists;
    this.counts = counts;
  }

  /**
   * A foreign object without a value yet, owned by the caller.
   * @param holds references that it takes over, even if this throws
   * @param isHolder whether it may come to hold any, through `holds` or `showItems`
   * @throws OutOfMemoryError
   */
  create(holds: readonly Address[], isHolder: boolean): Address {
    const { i32 } = this;
    let object = 0;
    try {
      object = this.objects.create(isHolder ? TYPE_ID_FOREIGN_HOLDER : TYPE_ID_FOREIGN);
      i32[object + FOREIGN_NUMBER] = 0;
      i32[object + FOREIGN_WEAKREFS] = 0;
      i32[object + LIST_ITEMS] = 0;
      i32[object + LIST_LENGTH] = 0;
      i32[object + LIST_CAPACITY] = 0;
      if (holds.length > 0) this.lists.reserve(object, holds.length);
    } catch (error) {
      if (object !== 0) this.counts.decref(object);
      for (const held of holds) this.counts.decref(held);
      throw error;
    }
    i32.set(holds, i32[object + LIST_ITEMS]);
    i32[object + LIST_LENGTH] = holds.length;
    return object;
  }

  /** How many references a holder has, and for how many it has room. */
  itemCount(holder: Address): { length: number; capacity: number } {
    return { length: this.i32[holder + LIST_LENGTH], capacity: this.i32[holder + LIST_CAPACITY] };
  }

  /** Append references to a holder's without counting them: somebody else's handle has them. @throws OutOfMemoryError */
  showItems(holder: Address, targets: readonly Address[]): void {
    const length = this.i32[holder + LIST_LENGTH];
    this.lists.reserve(holder, length + targets.length);
    this.i32.set(targets, this.i32[holder + LIST_ITEMS] + length);
    this.i32[holder + LIST_LENGTH] = length + targets.length;
  }

  /** Take them back, and the room that was made for them. */
  hideItems(holder: Address, before: { readonly length: number; readonly capacity: number }): void {
    this.i32[holder + LIST_LENGTH] = before.length;
    this.lists.shrink(holder, before.capacity);
  }
}
