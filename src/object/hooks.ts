/**
 * The one upward seam: what the object layer asks of the layers above it. `gc/` and `host/` fill the record in
 * when a heap is put together; until then an allocation collects nothing.
 */
export interface Hooks {
  /**
   * count0 has reached its threshold: collect before the object is made (CPython: `_PyObject_GC_Link`).
   * The triggering allocation itself is not counted.
   */
  beforeAllocation: () => void;
}

export function createHooks(): Hooks {
  return { beforeAllocation: () => {} };
}
