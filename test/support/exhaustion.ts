/** Allocations that fail, and types to try it with. */
import { Allocator } from "../../src/alloc/allocator.js";
import { CLASS_WORDS, SMALL_WORDS_MAX } from "../../src/alloc/size-class.js";
import {
  any,
  bool,
  dict,
  f64,
  Heap,
  list,
  OutOfMemoryError,
  optional,
  set,
  str,
  struct,
  tuple,
  u8,
} from "../../src/index.js";

export class TreeNode extends struct("TreeNode", {
  name: str,
  get parent() {
    return optional(TreeNode);
  },
  get children() {
    return list(TreeNode);
  },
}) {}

export class Mixed extends struct("Mixed", {
  name: str,
  mixed: any,
  nickname: optional(str),
  notes: list(str),
  table: dict(str, any),
  members: set(any),
  get next() {
    return optional(Mixed);
  },
  pair: optional(tuple(str, list(any))),
}) {}

export const Point = struct("Point", { x: f64, label: str });
export const Flags = struct("Flags", { small: u8, on: bool, label: str });
const wideShape = Object.fromEntries(Array.from({ length: 1100 }, (_, index) => [`field${index}`, f64]));
export const Wide = struct("Wide", { title: str, ...wideShape, extra: any, subtitle: str });
export const names = list(str);
export const record = dict(str, any);

/** Texts that are no two the same, so that each needs a string of its own. */
export const texts = (count: number, prefix = "text") =>
  Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

interface Failing {
  readonly failures: number;
  stop(): void;
}

/** Let the n-th allocation from now on fail, and `forGood` all that follow it. */
export function failAt(heap: Heap, n: number, forGood: boolean): Failing {
  const { allocator } = Heap.contextOf(heap).core;
  const { allocate, allocateClass, canAllocate } = Allocator.prototype;
  let allocations = 0;
  let failures = 0;
  const fails = (allocation: number) => (forGood ? allocation >= n : allocation === n);
  const count = (words: number) => {
    allocations++;
    if (!fails(allocations)) return;
    failures++;
    throw new OutOfMemoryError(words * 4, heap.bytesReserved);
  };
  allocator.allocateClass = (kind, sizeClass) => {
    count(CLASS_WORDS[sizeClass]);
    return allocateClass.call(allocator, kind, sizeClass);
  };
  allocator.allocate = (kind, words) => {
    if (words > SMALL_WORDS_MAX) count(words); // smaller ones are counted by class
    return allocate.call(allocator, kind, words);
  };
  allocator.canAllocate = (kind, words) =>
    !fails(allocations + 1) && canAllocate.call(allocator, kind, words);
  return {
    get failures() {
      return failures;
    },
    stop() {
      for (const name of ["allocateClass", "allocate", "canAllocate"] as const)
        delete (allocator as Partial<Pick<Allocator, typeof name>>)[name];
    },
  };
}

export const failingWays = [false, true];

/** Do something without memory, from the n-th allocation on. */
export function withoutMemory<R>(heap: Heap, body: () => R): R {
  const failing = failAt(heap, 1, true);
  try {
    return body();
  } finally {
    failing.stop();
  }
}
