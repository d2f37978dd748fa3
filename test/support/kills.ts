/** A thread that ends after each store of an operation, and what the next owner of the heap must find. */
import { expect } from "vitest";
import { Core } from "../../src/gc/core.js";
import { repair } from "../../src/gc/repair.js";
import type { RepairReport } from "../../src/gc/repair-report.js";
import { verifyMemory } from "../../src/gc/verify.js";
import { type Address, TAG_NULL } from "../../src/memory/layout.js";
import { type Memory, reserveMemory } from "../../src/memory/memory.js";
import { TestCore } from "./core.js";
import { type Part, type Picture, partText, pictureOf } from "./pictures.js";
import { copyInto, copyMemory, isInHeap, recordMemory, replay, type Store } from "./stores.js";

/** Small, so that copying and verifying it is quick. */
const BYTES = 448 << 10;
/** Every so many stores to side bytes one is a place to end at. */
const SIDE_STEP = 97;
/**
 * Of longer operations so many places, spread over them, and all of the first and the last: most of the stores between are
 * those of a loop. OUROHEAP_KILLS=all ends after every one.
 */
const PLACES_MAX = process.env.OUROHEAP_KILLS === "all" ? Number.POSITIVE_INFINITY : 100;
const PLACES_AT_ENDS = 40;

export interface Killing {
  /** What the thread that ends holds itself; all else that the test owns is held by the living. */
  readonly mine?: readonly Address[];
  /** What it does, step by step, through a core of the thread's own. */
  readonly steps: readonly ((heap: TestCore) => void)[];
  /** Whether objects may change their generation meanwhile. */
  readonly collects?: boolean;
  /** After which stores to end, of so many; without it after all, or of long operations as many as `PLACES_MAX` says. */
  readonly choose?: (count: number) => ReadonlySet<number>;
  /** Whether the thread's core poisons what it frees. */
  readonly isStress?: boolean;
  /** More to be asked of a repaired heap. */
  readonly check?: (memory: Memory, report: RepairReport, damaged: Memory) => void;
}

/** Collects only when told to. */
export function makeSmallCore(isStress = false): TestCore {
  const heap = new TestCore(new Core(reserveMemory(BYTES), { isStress }), false);
  heap.core.trigger.setEnabled(false);
  return heap;
}

/** @returns after how many stores a thread has ended */
export function killAtEveryStore(heap: TestCore, killing: Killing): number {
  const { mine = [], steps, collects = false, isStress = false, choose, check } = killing;
  const { memory } = heap.core;
  const living = livingRoots(heap, mine);
  const state = copyMemory(memory);
  const victim = copyMemory(state);
  const pictures = [pictureOf(state, living.keys())];
  /** How many stores each step has made with those before it. */
  const ends = [0];
  const { memory: recorded, stores } = recordMemory(memory);
  const thread = heap.over(new Core(recorded, { isAttached: true, isStress }));
  for (const step of steps) {
    step(thread);
    ends.push(stores.length);
    pictures.push(pictureOf(memory, living.keys()));
  }
  const chosen = choose?.(stores.length);
  let kills = 0;
  let step = 0;
  for (let done = 0; done <= stores.length; done++) {
    if (done > 0) replay(state, stores[done - 1]);
    while (done > ends[step + 1]) step++;
    if (chosen !== undefined ? !chosen.has(done) : !isPlace(stores, done)) continue;
    kills++;
    copyInto(victim, state);
    try {
      const report = repair(victim, living);
      expectWhole(victim, living);
      expectBetween(pictures[step], pictures[step + 1], pictureOf(victim, living.keys()), collects);
      check?.(victim, report, state);
    } catch (error) {
      (error as Error).message =
        `after ${done} of ${stores.length} stores, in step ${step}: ${(error as Error).message}`;
      throw error;
    }
  }
  return kills;
}

function isPlace(stores: readonly Store[], done: number): boolean {
  if (done > 0 && !isInHeap(stores[done - 1]) && done % SIDE_STEP !== 0) return false;
  const step = Math.ceil(stores.length / PLACES_MAX);
  return done % step === 0 || done < PLACES_AT_ENDS || done > stores.length - PLACES_AT_ENDS;
}

function livingRoots(heap: TestCore, mine: readonly Address[]): Map<Address, number> {
  const living = new Map(heap.roots);
  for (const object of mine) {
    const count = living.get(object)!;
    if (count === 1) living.delete(object);
    else living.set(object, count - 1);
  }
  return living;
}

/** Every invariant holds, and side bytes are zeros. */
export function expectWhole(memory: Memory, roots: ReadonlyMap<Address, number>): void {
  verifyMemory(memory, { roots });
  expect(memory.sideWords.findLast((word) => word !== 0n)).toBeUndefined();
}

/**
 * What the living reach is as it was before the operation or as it is after it, object by object; what both agree on is
 * there, and in a slot that the operation was changing may be null.
 */
function expectBetween(
  before: ReadonlyMap<Address, Picture>,
  after: ReadonlyMap<Address, Picture>,
  now: ReadonlyMap<Address, Picture>,
  collects: boolean,
): void {
  for (const [object, picture] of now) {
    const known = [before.get(object), after.get(object)].filter((one) => one !== undefined);
    const wrong = known.length === 0 ? "nobody knew of it" : difference(picture, known, collects);
    if (wrong !== undefined) throw new Error(`object ${object}: ${wrong}`);
  }
}

function difference(now: Picture, known: readonly Picture[], collects: boolean): string | undefined {
  const [before] = known;
  const after = known[known.length - 1];
  if (now.type !== before.type && now.type !== after.type) return "its type is another one";
  if (now.serial < before.serial || now.serial > after.serial) return "its serial is another one";
  if (!collects && now.generation !== before.generation && now.generation !== after.generation)
    return `it is in generation ${now.generation}, and was in ${before.generation}`;
  const [was, becomes, is] = [before, after, now].map(({ parts }) => parts.map(partText));
  if (was.join(";") === becomes.join(";"))
    return was.join(";") === is.join(";") ? undefined : `${is.join("; ")} instead of ${was.join("; ")}`;
  const stays = new Set(becomes);
  const found = new Set(is);
  const missing = was.find((text) => stays.has(text) && !found.has(text));
  if (missing !== undefined) return `${missing} is missing`;
  const strange = now.parts.find(
    (part, index) => !stays.has(is[index]) && !isOneOf(part, [...before.parts, ...after.parts]),
  );
  return strange === undefined
    ? undefined
    : `${partText(strange)} was never there, but ${was.join("; ")} and ${becomes.join("; ")}`;
}

/** Whether a part is one of these, or has halves of them, or is null. */
function isOneOf({ key, low, high }: Part, candidates: readonly Part[]): boolean {
  const own = candidates.filter((candidate) => candidate.key === key);
  if (high === TAG_NULL) return own.length > 0;
  const hasLow = low === 0 || own.some((candidate) => candidate.low === low);
  const hasHigh = high === undefined || own.some((candidate) => candidate.high === high);
  return own.length > 0 && hasLow && hasHigh;
}
