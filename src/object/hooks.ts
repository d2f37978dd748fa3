/**
 * The one upward seam: what the object layer asks of the layers above it. `gc/` and `host/` fill the record in
 * when a heap is put together; until then an allocation collects nothing and nobody observes a death.
 */
import type { Address } from "../memory/layout.js";

export interface Hooks {
  /**
   * count0 has reached its threshold: collect before the object is made (CPython: `_PyObject_GC_Link`).
   * The triggering allocation itself is not counted.
   */
  beforeAllocation: () => void;
  /**
   * An observed object's count is 0 and it stands in no table: run its finalizer, clear its weak references, call
   * their callbacks (lifetime.ts). @returns whether it was resurrected
   */
  beforeDeath: (object: Address) => boolean;
  /** A weak reference is about to be freed. @returns its callback, with the reference to it, or 0 */
  endWeakref: (ref: Address) => Address;

  /** Call the finalizer of an object. What it throws is reported and does not come back. */
  runFinalizer: (object: Address) => void;
  /** Call a weak reference's callback: a heap object, or (0) the JavaScript function of this number. The same of errors. */
  runCallback: (ref: Address, callback: Address, hostCallback: number) => void;
  /**
   * A pooled object has been finalized and its weak references are cut: drop its fields and offer it again.
   * @returns false where the pool does not want it back: it is then freed like any other
   */
  returnToPool: (object: Address) => boolean;
  /** A foreign object goes: dispose its value, unless that was done before. What a disposer throws is reported. */
  disposeForeign: (object: Address) => void;
  /** What foreign values hold through handles, as a collection has to see it. */
  held: HeldReferences;
  /** A JavaScript function will not be called any more. */
  forgetCallback: (hostCallback: number) => void;
  /**
   * Whether an operation under way holds references that stand nowhere yet. Makers of structs and tuples are not asked: they
   * say themselves what they have stored.
   */
  isHolding: () => boolean;
}

/** References that the host holds in the name of foreign objects. */
export interface HeldReferences {
  /**
   * The candidates are about to be split: let each foreign object have, as items, what its value holds through handles.
   * Runs user code. @param generation the oldest one collected
   */
  show(generation: number): void;
  /** The same for every foreign object, outside of a collection of generations. */
  showAll(): void;
  /** The same once more for those shown last, because user code has run: the garbage is split again. */
  showAgain(): void;
  /** The split is done: take those items back. Touches nothing else. */
  hide(): void;
  /** The serials of the unreachable were raised, so that borrows of them end: handles among the garbage stay valid. */
  keepValid(): void;
  /** The collection is over. */
  forget(): void;
  /** Whether no value names any. */
  isEmpty(): boolean;
}

export function createHooks(): Hooks {
  const nothing = () => {};
  return {
    beforeAllocation: nothing,
    beforeDeath: () => false,
    endWeakref: () => 0,
    runFinalizer: nothing,
    runCallback: nothing,
    disposeForeign: nothing,
    returnToPool: () => false,
    held: {
      show: nothing,
      showAll: nothing,
      showAgain: nothing,
      hide: nothing,
      keepValid: nothing,
      forget: nothing,
      isEmpty: () => true,
    },
    forgetCallback: nothing,
    isHolding: () => false,
  };
}
