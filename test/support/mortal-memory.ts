/** The words of a shared heap as a thread sees them that ends before one of its stores. */
import type { Memory } from "../../src/memory/memory.js";

/** What every store throws from the last one on. */
export class ThreadEnded extends Error {}

export class Life {
  /** Stores so far. Those to side bytes do not count: whoever repairs clears them. */
  stores = 0;
  isOver = false;
  end: number;

  /** @param end it ends before its next store when it has made so many */
  constructor(end = Number.POSITIVE_INFINITY) {
    this.end = end;
  }

  store(): void {
    if (this.isOver || this.stores === this.end) {
      this.isOver = true;
      throw new ThreadEnded(`ended after ${this.stores} stores`);
    }
    this.stores++;
  }
}

type Words = Int32Array | Float64Array | Float32Array | BigInt64Array;
type Call = (...parameters: unknown[]) => unknown;

const ATOMIC_STORES = ["store", "add", "sub", "and", "or", "xor", "exchange", "compareExchange"];
const ATOMICS = [...ATOMIC_STORES, "load", "notify", "wait", "waitAsync"];
/** What is behind the words of a mortal thread, for Atomics. */
const mortals = new WeakMap<object, { readonly words: Words; readonly life: Life }>();

/** The typed arrays of a memory for one thread. They need `useMortalAtomics`. One call of `fill`, `set` or `copyWithin` is one store. */
export function mortalWords({ i32, f64, f32, i64 }: Memory, life: Life) {
  return {
    i32: mortal(i32, life),
    f64: mortal(f64, life),
    f32: mortal(f32, life),
    i64: mortal(i64, life),
  };
}

function mortal<T extends Words>(words: T, life: Life): T {
  const target = words as unknown as Record<string, unknown>;
  const methods: Record<string, Call> = {};
  for (const name of ["fill", "set", "copyWithin"])
    methods[name] = (...parameters) => {
      life.store();
      return (target[name] as Call).apply(words, parameters);
    };
  const proxy = new Proxy(words, {
    get: (_, key: string) => {
      const value = methods[key] ?? target[key];
      return typeof value === "function" && methods[key] === undefined ? (value as Call).bind(words) : value;
    },
    set: (_, key: string, value: unknown) => {
      life.store();
      target[key] = value;
      return true;
    },
  });
  mortals.set(proxy, { words, life });
  return proxy;
}

/** Have `Atomics` take the words of mortal threads. @returns what undoes it */
export function useMortalAtomics(): () => void {
  const functions = Atomics as unknown as Record<string, Call>;
  const real = ATOMICS.filter((name) => name in Atomics).map((name) => [name, functions[name]] as const);
  for (const [name, call] of real)
    functions[name] = (words, ...rest) => {
      const known = mortals.get(words as object);
      if (known === undefined) return call(words, ...rest);
      if (ATOMIC_STORES.includes(name)) known.life.store();
      return call(known.words, ...rest);
    };
  return () => {
    for (const [name, call] of real) functions[name] = call;
  };
}
