/** Promises, whoever made them. */
import { isHeapObject } from "./view.js";

/**
 * Whether a value is a promise, or would be taken for one. A heap object is none, whatever its fields and methods are
 * called; what cannot be asked is none either. Never throws.
 */
export function isThenable(value: unknown): boolean {
  if (value === null || value === undefined || isHeapObject(value)) return false;
  try {
    return typeof (value as { then?: unknown }).then === "function";
  } catch {
    return false;
  }
}
