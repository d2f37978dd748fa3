/**
 * Reading an image: what starts where.
 *
 * "Is this the start of an object of that type?" is asked for every reference. The side bytes of the memory, which the
 * collector does not need before there is a heap, answer it by one comparison:
 *
 *   0        no block starts in the granule
 *   1        a storage block that somebody owns
 *   4 .. 254 an object: type id << 2 | lowest two bits of its address, the last of which is 0.
 *            Types from 63 on share 63: the header has to be asked too.
 */
import { type Address, GRANULE_SHIFT } from "../memory/layout.js";

export const CLAIMED = 1;
const CODE_SHIFT = 2;
const CODE_FIRST = 1 << CODE_SHIFT;
export const CODE_MANY = 63 << CODE_SHIFT;
export const GRANULE_MASK = (1 << GRANULE_SHIFT) - 1;

/** What the side bytes say of objects of a type, but for their addresses. */
export function codeOf(typeId: number): number {
  return Math.min(typeId << CODE_SHIFT, CODE_MANY);
}

/** The side byte of an object. @param code its type's */
export function startCode(code: number, object: Address): number {
  return code + (object & GRANULE_MASK);
}

/** Whether objects of a type have a code that no others have. */
export function hasCode(typeId: number): boolean {
  return typeId << CODE_SHIFT < CODE_MANY;
}

/** Whether the side byte of its granule says that an object starts at an address. */
export function isStart(byte: number, address: number): boolean {
  return byte >= CODE_FIRST && ((byte ^ address) & GRANULE_MASK) === 0;
}
