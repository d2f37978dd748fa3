/** Reading an image: side bytes that say what starts where (IMAGE_SIDE_* in memory/layout.ts). */
import { IMAGE_SIDE_MANY, IMAGE_SIDE_SHIFT } from "../memory/image-layout.js";
import { type Address, GRANULE_MASK } from "../memory/layout.js";

const CODE_FIRST = 1 << IMAGE_SIDE_SHIFT;

/** What the side bytes say of objects of a type, but for their addresses. */
export function codeOf(typeId: number): number {
  return Math.min(typeId << IMAGE_SIDE_SHIFT, IMAGE_SIDE_MANY);
}

/** The side byte of an object. @param code its type's */
export function startCode(code: number, object: Address): number {
  return code + (object & GRANULE_MASK);
}

/** Whether objects of a type have a code that no others have. */
export function hasCode(typeId: number): boolean {
  return typeId << IMAGE_SIDE_SHIFT < IMAGE_SIDE_MANY;
}

/** Whether the side byte of its granule says that an object starts at an address. */
export function isStart(byte: number, address: number): boolean {
  return byte >= CODE_FIRST && ((byte ^ address) & GRANULE_MASK) === 0;
}
