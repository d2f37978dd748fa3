/**
 * Where the fields of a struct or a tuple lie. References come first and side by side, in visit order, so that a
 * traversal needs no table; strings behind them, which only a death visits; then what is not a reference, wide words on
 * even addresses and the holes filled with narrow ones.
 */
import {
  HEADER_WORDS,
  SLOT_ANY,
  SLOT_BOOL,
  SLOT_REF,
  SLOT_STR,
  SLOT_U8,
  TRAVERSE_EDGES,
  TYPE_EDGE_SLOT_SHIFT,
} from "../memory/layout.js";
import { slotWords } from "./slot.js";

export interface FieldPlace {
  /** Word offset from the object's address. */
  readonly offset: number;
  /** Bits that a byte field is shifted within its word; 0 for all others. */
  readonly shift: number;
}

export interface FieldLayout {
  /** In the order of the slots given. */
  readonly places: readonly FieldPlace[];
  readonly objectWords: number;
  /** Words that alignment leaves over: whatever the block held before stands there. */
  readonly unused: readonly number[];
  /** Word of the weak reference list, or 0. */
  readonly weakrefOffset: number;
  readonly traverse: number;
  readonly drop: number;
  readonly edges: readonly number[];
}

/**
 * Lay out fields of these slot kinds.
 * @param visitOrder the slots' indices in the order in which references are visited and dropped
 */
export function layoutFields(
  slots: readonly number[],
  visitOrder: readonly number[],
  hasWeakrefs: boolean,
): FieldLayout {
  const places: FieldPlace[] = new Array(slots.length);
  const room = new Room(HEADER_WORDS);
  const ofKind = (slot: number) => visitOrder.filter((index) => slots[index] === slot);
  for (const index of [...ofKind(SLOT_REF), ...ofKind(SLOT_STR)])
    places[index] = { offset: room.take(1), shift: 0 };
  const bytes = [...slots.keys()].filter((index) => slots[index] === SLOT_U8 || slots[index] === SLOT_BOOL);
  const isPlain = (index: number) => places[index] === undefined && !bytes.includes(index);
  // The one word of the weak reference list goes first: after three references it fills the hole before a double.
  const weakrefOffset = hasWeakrefs ? room.take(1) : 0;
  for (const index of slots.keys())
    if (isPlain(index) && slotWords(slots[index]) === 2) places[index] = { offset: room.take(2), shift: 0 };
  for (const index of slots.keys()) if (isPlain(index)) places[index] = { offset: room.take(1), shift: 0 };
  for (let first = 0; first < bytes.length; first += 4) {
    const offset = room.take(1);
    for (let byte = first; byte < Math.min(first + 4, bytes.length); byte++)
      places[bytes[byte]] = { offset, shift: (byte - first) * 8 };
  }
  return {
    places,
    objectWords: room.end,
    unused: room.unused,
    weakrefOffset,
    ...references(slots, visitOrder, places),
  };
}

/** Words handed out from low to high; an odd word left over by alignment is the next to go. */
class Room {
  private next: number;
  private hole = 0;
  constructor(start: number) {
    this.next = start;
  }
  take(words: number): number {
    if (words === 1 && this.hole !== 0) {
      const offset = this.hole;
      this.hole = 0;
      return offset;
    }
    if (words === 2 && (this.next & 1) !== 0) this.hole = this.next++;
    const offset = this.next;
    this.next += words;
    return offset;
  }
  /** Words that nobody took. */
  get unused(): number[] {
    return [...(this.hole === 0 ? [] : [this.hole]), ...(this.next === this.end ? [] : [this.next])];
  }
  /** The words of the whole, rounded up to even. */
  get end(): number {
    return (this.next + 1) & ~1;
  }
}

/** Without `any` slots the references are a run of words; with one, a table keeps the visit order. */
function references(
  slots: readonly number[],
  visitOrder: readonly number[],
  places: readonly FieldPlace[],
): Pick<FieldLayout, "traverse" | "drop" | "edges"> {
  const count = (slot: number) => slots.filter((other) => other === slot).length;
  if (count(SLOT_ANY) === 0) {
    const traverse = count(SLOT_REF);
    return { traverse, drop: traverse + count(SLOT_STR), edges: [] };
  }
  const edges = visitOrder
    .filter((index) => slots[index] === SLOT_REF || slots[index] === SLOT_STR || slots[index] === SLOT_ANY)
    .map((index) => places[index].offset | (slots[index] << TYPE_EDGE_SLOT_SHIFT));
  return { traverse: TRAVERSE_EDGES, drop: TRAVERSE_EDGES, edges };
}
