/** Repair: the lists of weak references, made anew in the order that they had. */
import {
  type Address,
  CONTROL_TYPE_TABLE,
  HEADER_TYPE,
  TYPE_ID_MASK,
  TYPE_ID_WEAKREF,
  TYPE_SHIFT,
  TYPE_WEAKREF_OFFSET,
  WEAKREF_CALLBACK,
  WEAKREF_HOST_CALLBACK,
  WEAKREF_IS_PROXY,
  WEAKREF_NEXT,
  WEAKREF_PREVIOUS,
  WEAKREF_TARGET,
  WEAKREF_WORDS,
} from "../memory/layout.js";
import type { AddressList } from "./address-list.js";
import type { RepairPages } from "./repair-pages.js";
import type { RepairLog } from "./repair-report.js";

/** Of a weak reference that stands in no list yet: its predecessor. */
const UNLISTED = -1;

export class WeakrefRepair {
  private readonly i32: Int32Array;
  private readonly pages: RepairPages;

  constructor(i32: Int32Array, pages: RepairPages) {
    this.i32 = i32;
    this.pages = pages;
  }

  /**
   * Cut the weak references whose target is gone, and link those that are left.
   * @param weakrefs all that are kept
   * @returns how many have a target
   */
  relink({ items, count }: AddressList, log: RepairLog): number {
    const { i32 } = this;
    let linked = 0;
    for (let index = 0; index < count; index++) {
      const ref = items[index];
      const target = i32[ref + WEAKREF_TARGET];
      if (this.isTarget(target)) {
        i32[ref + WEAKREF_PREVIOUS] = UNLISTED;
        linked++;
        continue;
      }
      if (target !== 0) log.cutWeakrefs.push(ref);
      i32[ref + WEAKREF_TARGET] = 0;
      i32[ref + WEAKREF_NEXT] = 0;
      i32[ref + WEAKREF_PREVIOUS] = 0;
    }
    for (let index = 0; index < count; index++)
      if (i32[items[index] + WEAKREF_PREVIOUS] === UNLISTED)
        this.relinkList(i32[items[index] + WEAKREF_TARGET]);
    for (let index = 0; index < count; index++)
      if (i32[items[index] + WEAKREF_PREVIOUS] === UNLISTED) this.insert(items[index]);
    return linked;
  }

  /** Offset of the list's head in an object, or 0. */
  headOffset(object: Address): number {
    const { i32 } = this;
    const id = i32[object + HEADER_TYPE] & TYPE_ID_MASK;
    return i32[i32[CONTROL_TYPE_TABLE] + (id << TYPE_SHIFT) + TYPE_WEAKREF_OFFSET];
  }

  /** The head of a kept object's list is one that leads back, or none. @returns it, or 0 */
  checkHead(object: Address, offset: number): Address {
    const { i32 } = this;
    const head = i32[object + offset];
    const isHead =
      this.isWeakref(head) &&
      this.pages.isKept(head) &&
      i32[head + WEAKREF_TARGET] === object &&
      i32[head + WEAKREF_PREVIOUS] === 0;
    if (!isHead) i32[object + offset] = 0;
    return isHead ? head : 0;
  }

  private isTarget(object: Address): boolean {
    return (
      object !== 0 &&
      this.pages.isObject(object) &&
      this.pages.isKept(object) &&
      this.headOffset(object) !== 0
    );
  }

  private isWeakref(address: Address): boolean {
    return (
      this.pages.isObject(address) && (this.i32[address + HEADER_TYPE] & TYPE_ID_MASK) === TYPE_ID_WEAKREF
    );
  }

  /** Walk the old list, those of it that are gone included, as far as it leads. */
  private relinkList(target: Address): void {
    const { i32 } = this;
    const stepsMax = i32.length / WEAKREF_WORDS;
    const head = target + this.headOffset(target);
    let last = 0;
    let ref = i32[head];
    i32[head] = 0;
    for (
      let steps = 0;
      steps < stepsMax && this.isWeakref(ref) && i32[ref + WEAKREF_TARGET] === target;
      steps++
    ) {
      const next = i32[ref + WEAKREF_NEXT];
      if (this.pages.isKept(ref) && i32[ref + WEAKREF_PREVIOUS] === UNLISTED) {
        this.link(ref, head, last, 0);
        last = ref;
      }
      ref = next;
    }
  }

  /** One that its target's list did not lead to: behind those that come before it in CPython's order. */
  private insert(ref: Address): void {
    const { i32 } = this;
    const target = i32[ref + WEAKREF_TARGET];
    const head = target + this.headOffset(target);
    let previous = 0;
    let next = this.checkHead(target, head - target);
    for (; next !== 0 && this.rank(next) <= this.rank(ref); next = i32[next + WEAKREF_NEXT]) previous = next;
    this.link(ref, head, previous, next);
  }

  private link(ref: Address, head: Address, previous: Address, next: Address): void {
    const { i32 } = this;
    i32[ref + WEAKREF_PREVIOUS] = previous;
    i32[ref + WEAKREF_NEXT] = next;
    i32[previous === 0 ? head : previous + WEAKREF_NEXT] = ref;
    if (next !== 0) i32[next + WEAKREF_PREVIOUS] = ref;
  }

  /** The shared reference, the shared proxy, those with a callback. */
  private rank(ref: Address): number {
    const { i32 } = this;
    if (i32[ref + WEAKREF_CALLBACK] !== 0 || i32[ref + WEAKREF_HOST_CALLBACK] !== 0) return 2;
    return i32[ref + WEAKREF_IS_PROXY];
  }
}
