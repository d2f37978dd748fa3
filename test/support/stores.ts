/**
 * An operation as the list of its stores, so that a test can stop it after any of them: what a thread that ends in the
 * middle leaves behind is a prefix of that list. `fill`, `set` and `copyWithin` count element by element (`copyWithin`
 * pairs of words where they lie so), in the order in which memory is moved: more than can happen, because no thread ends
 * inside of one call.
 */
import { Memory } from "../../src/memory/memory.js";

type Words = Int32Array | Float64Array | Float32Array | BigInt64Array | Uint8Array;
const ARRAYS = ["i32", "f64", "f32", "i64", "side", "sideWords"] as const;
type ArrayName = (typeof ARRAYS)[number];

export interface Store {
  readonly array: ArrayName;
  readonly index: number;
  readonly value: number | bigint;
}

/** A heap of its own with the same words. */
export function copyMemory({ buffer, side }: Memory): Memory {
  return new Memory(
    new Uint8Array(buffer).slice().buffer as ArrayBuffer,
    new Uint8Array(side.buffer).slice().buffer as ArrayBuffer,
  );
}

/** Store the words of one memory in another of the same size. */
export function copyInto(target: Memory, source: Memory): void {
  new Uint8Array(target.buffer).set(new Uint8Array(source.buffer));
  target.side.set(source.side);
}

/** The same words, and a list of what is stored to them. */
export function recordMemory(memory: Memory): { memory: Memory; stores: readonly Store[] } {
  const stores: Store[] = [];
  const recorded = Object.assign(Object.create(Memory.prototype) as Memory, memory);
  const pairs = recording(memory.i64, "i64", stores) as unknown as Record<number, bigint>;
  for (const name of ARRAYS) {
    const value = recording(memory[name], name, stores, name === "i32" ? pairs : undefined);
    Object.defineProperty(recorded, name, { value });
  }
  return { memory: recorded, stores };
}

/** Do one of the stores. */
export function replay(memory: Memory, { array, index, value }: Store): void {
  (memory[array] as { [index: number]: number | bigint })[index] = value;
}

/** Whether the heap itself is stored to: side bytes are cleared by whoever repairs, whatever they are. */
export function isInHeap({ array }: Store): boolean {
  return array !== "side" && array !== "sideWords";
}

/** @param pairs the same words two by two, as they are moved where they can be */
function recording<T extends Words>(
  words: T,
  array: ArrayName,
  stores: Store[],
  pairs?: Record<number, number | bigint>,
): T {
  const target = words as unknown as Record<number, number | bigint>;
  const put = (index: number, value: number | bigint) => {
    target[index] = value;
    stores.push({ array, index, value: target[index] });
  };
  const methods: Record<string, unknown> = {
    fill(value: number | bigint, start = 0, end = words.length) {
      for (let index = start; index < end; index++) put(index, value);
    },
    set(values: ArrayLike<number | bigint>, offset = 0) {
      for (let index = 0; index < values.length; index++) put(offset + index, values[index]);
    },
    copyWithin(to: number, start: number, end: number) {
      const isPairs = ((to | start | end) & 1) === 0 && pairs !== undefined;
      const moved = isPairs ? pairs : (recorded as unknown as Record<number, number | bigint>);
      const shift = isPairs ? 1 : 0;
      const count = (end - start) >> shift;
      for (let step = 0; step < count; step++) {
        const index = to < start ? step : count - 1 - step;
        moved[(to >> shift) + index] = moved[(start >> shift) + index];
      }
    },
  };
  const recorded = new Proxy(words, {
    get: (_, key) => {
      if (typeof key !== "string") return Reflect.get(words, key) as unknown;
      const first = key.charCodeAt(0);
      if (first >= 48 && first <= 57) return target[key as unknown as number];
      const found = methods[key] ?? (Reflect.get(words, key) as unknown);
      return typeof found === "function" ? found.bind(words) : found;
    },
    set: (_, key, value: number | bigint) => {
      put(Number(key), value);
      return true;
    },
  });
  return recorded;
}
