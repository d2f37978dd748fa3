/**
 * Whatever drops a reference or makes an object may run user code: a finalizer, or a weak reference's callback. Each such
 * verb is tried with user code that does its worst to the very objects the verb is working on. The heap stays valid, the
 * result is the one without user code where that touches nothing of it, and nothing is lost.
 */

import { afterEach, describe, expect, it } from "vitest";
import { type Borrowed, DEBUG, HeapError, IdentityMap, type Owned, release } from "../src/index.js";
import { verify } from "../src/inspect/index.js";
import { unsafe } from "../src/unsafe.js";
import { runLevel } from "./support/heaps.js";
import {
  type Action,
  actions,
  Bomb,
  bombs,
  byAny,
  byName,
  explodeNow,
  Holder,
  Leaf,
  members,
  mixedList,
  pair,
  setExplosion,
  World,
} from "./support/worlds.js";
import { liveObjects } from "./unit/host/support.js";

// -- verbs ------------------------------------------------------------------------------------

const verbs: Record<string, (world: World) => unknown> = {
  release: (world) => world.free(world.lone),
  "release of a struct": (world) => world.free(world.holder),
  "release of a list": (world) => world.free(world.list),
  "release of a list of any": (world) => world.free(world.mixed),
  "release of a dict": (world) => world.free(world.dict),
  "release of a dict of any": (world) => world.free(world.table),
  "release of a set": (world) => world.free(world.set),
  "release of a tuple": (world) => {
    const made = world.heap.new(pair, [{ label: 7 }, world.list]);
    world.arm(made[0]);
    release(made);
  },
  "release of a long chain": (world) => {
    let chain = world.own(world.heap.new(Bomb, {}));
    for (let n = 0; n < 130; n++) {
      const next = world.own(world.heap.new(Bomb, { label: n, next: chain }));
      if (n % 7 === 0) world.arm(next);
      world.free(chain);
      chain = next;
    }
    world.free(chain);
  },
  "field = null": ({ holder }) => {
    holder.bomb = null;
  },
  "field = another": ({ holder, lone }) => {
    holder.bomb = lone;
  },
  "field = literal": ({ holder }) => {
    holder.bomb = { label: 50, next: { label: 51 } } as never;
  },
  "any field = number": ({ holder }) => {
    holder.mixed = 1;
  },
  "any field = text": ({ holder }) => {
    holder.mixed = "a text";
  },
  "any field = object": ({ holder, list }) => {
    holder.mixed = list;
  },
  "leaf = null": ({ holder }) => {
    holder.leaf = null;
  },
  "leaf = literal": ({ holder }) => {
    holder.leaf = { label: 4, text: "new leaf" } as never;
  },
  "list field = literal": ({ holder }) => {
    holder.bombs = [{ label: 60 }, { label: 61 }] as never;
  },
  "weak field = object": (world) => {
    world.litter();
    world.holder.weakly = world.lone;
  },
  "weak field = null": (world) => {
    world.holder.weakly = world.lone;
    world.holder.weakly = null;
  },
  "list.set": ({ list, lone }) => list.set(2, lone),
  "list.set literal": ({ list }) => list.set(-1, { label: 70 } as never),
  "list.delete": ({ list }) => [list.delete(0), list.delete(-1), list.delete(1)],
  "list.take": ({ list }) => {
    const taken = list.take(1);
    if (taken !== undefined) release(taken as Owned);
  },
  "list.pop": ({ list }) => {
    const taken = list.pop();
    if (taken !== undefined) release(taken as Owned);
  },
  "list.clear": ({ list }) => list.clear(),
  "list.assign": ({ list, lone }) => list.assign([lone, { label: 80 } as never]),
  "list.assign itself": ({ list }) => list.assign(list as never),
  "list.push": (world) => {
    world.litter();
    return world.list.push({ label: 90, next: { label: 91 } } as never);
  },
  "list.push several": (world) => {
    world.litter();
    return world.list.push({ label: 90 } as never, world.lone, { label: 91 } as never);
  },
  "list.push several, the last wrong": (world) => {
    expect(() =>
      world.list.push({ label: 90 } as never, { label: 91 } as never, { wrong: 1 } as never),
    ).toThrow(HeapError);
  },
  "list.insert": (world) => {
    world.litter();
    world.list.insert(1, { label: 100 } as never);
  },
  "any list.set": ({ mixed }) => [mixed.set(1, "text"), mixed.set(3, 2.5), mixed.set(5, null)],
  "any list.delete": ({ mixed }) => [mixed.delete(1), mixed.delete(2)],
  "any list.clear": ({ mixed }) => mixed.clear(),
  "any list.assign": ({ mixed, list }) => mixed.assign(["x", list, 1]),
  "any list.push several": (world) => {
    world.litter();
    return world.mixed.push("x", world.list, 1.5, null, true);
  },
  "dict.set": ({ dict, lone }) => void dict.set("a", lone),
  "dict.set literal": (world) => {
    world.litter();
    world.dict.set("b", { label: 110 } as never);
    world.dict.set("new", { label: 111 } as never);
  },
  "dict.delete": ({ dict }) => [dict.delete("a"), dict.delete("zz"), dict.delete("c")],
  "dict.take": ({ dict }) => {
    const taken = dict.take("b");
    if (taken !== undefined) release(taken as Owned);
  },
  "dict.clear": ({ dict }) => dict.clear(),
  "any dict.set": ({ table, list }) =>
    [table.set(1, "a text"), table.set("text", list), table.set(list, 4)].length,
  "any dict.delete": ({ table }) => {
    for (const key of [...table.keys()]) table.delete(key);
  },
  "any dict.clear": ({ table }) => table.clear(),
  "any dict while iterated": ({ table }) => {
    let seen = 0;
    for (const [key] of table) {
      seen++;
      table.delete(key);
    }
    return seen;
  },
  "set.add": ({ set, lone }) => void set.add(lone).add("text").add(1),
  "set.delete": ({ set }) => {
    for (const member of [...set]) set.delete(member);
  },
  "set.clear": ({ set }) => set.clear(),
  "heap.new": (world) => {
    world.litter();
    release(
      world.heap.new(Holder, {
        bomb: { label: 1 },
        mixed: world.list,
        leaf: { text: "leaf" },
        bombs: [{}, {}],
      }),
    );
  },
  "heap.new of containers": (world) => {
    for (const make of [
      () => world.heap.new(mixedList, [world.list, "text", 1]),
      () => world.heap.new(byName, [["a", { label: 1 } as never]]),
      () => world.heap.new(byAny, [[world.list, "text"]]),
      () => world.heap.new(members, [world.list, "text"]),
      () => world.heap.new(pair, [{ label: 1 }, "text"]),
    ]) {
      world.litter();
      release(make());
    }
  },
  "heap.new of a wrong literal": (world) => {
    expect(() =>
      world.heap.new(Holder, { bomb: { label: 3 }, leaf: { text: "x" }, mixed: "a", wrong: 1 } as never),
    ).toThrow(HeapError);
    expect(() => world.heap.new(bombs, [{ label: 3 }, 4] as never)).toThrow(HeapError);
    expect(() => world.heap.new(byName, [["a", { label: 3 }], 4] as never)).toThrow(HeapError);
    expect(() => world.heap.new(pair, [{ label: 3 }, undefined, 4] as never)).toThrow(HeapError);
  },
  "heap.from": (world) => {
    world.litter();
    release(world.heap.from({ a: [1, "text", world.list], b: new Map([["x", new Set([1])]]) }));
  },
  "heap.from of a wrong graph": (world) => {
    const leaf = world.own(world.heap.new(Leaf, { text: "x" }));
    const graph = {
      get first() {
        return 1;
      },
    };
    expect(() => world.heap.from([[leaf, world.lone], graph])).toThrow(HeapError);
    world.free(leaf);
  },
  "heap.scope": (world) => {
    world.heap.scope((scope) => {
      for (let n = 0; n < 3; n++) scope.new(Bomb, { label: n });
      scope.defer(() => {});
      return 1;
    });
  },
  IdentityMap: (world) => {
    using map = new IdentityMap<Borrowed, number>(world.heap);
    for (let n = 0; n < 4; n++) {
      const key = world.heap.new(Bomb, { label: n });
      map.set(key, n);
      release(key);
    }
    const [[first]] = map;
    map.delete(first);
  },
  "weakref.ref": (world) => {
    world.litter();
    release(world.heap.weakref.ref(world.lone));
    world.litter();
    release(world.heap.weakref.ref(world.lone, () => {}));
    world.litter();
    release(world.heap.weakref.proxy(world.lone) as never);
  },
  "weakref.finalize": (world) => {
    world.litter();
    const last = world.heap.weakref.finalize(world.lone, () => 1);
    last.detach();
    world.heap.weakref.finalize(world.lone, () => 2);
    world.free(world.lone);
  },
  "weakref.valueDictionary": (world) => {
    const values = world.heap.weakref.valueDictionary<string, Bomb>();
    world.litter();
    values.set("a", world.lone as never);
    world.litter();
    values.set("a", world.neighbours[0] as never);
    for (const [, value] of values) if (value) world.free(world.neighbours[0]);
    world.free(world.lone);
    if (isOpen(world)) values[Symbol.dispose]();
  },
  "weakref.keyDictionary": (world) => {
    const keys = world.heap.weakref.keyDictionary<Bomb, number>();
    world.litter();
    keys.set(world.lone as never, 1).set(world.neighbours[0] as never, 2);
    world.free(world.lone);
    keys.delete(world.neighbours[0] as never);
    if (isOpen(world)) keys[Symbol.dispose]();
  },
  "unsafe.weakref": (world) => {
    const raw = unsafe(world.heap);
    raw.onObjectCallback(() => explodeNow());
    world.litter();
    world.own(raw.weakref(world.lone as never, world.list as never));
    world.free(world.lone);
  },
  "unsafe.store": (world) => {
    const raw = unsafe(world.heap);
    const type = raw.type(Holder as never);
    raw.store(raw.addressOf(world.holder as never), type.offsetOf("bomb" as never), 0);
  },
  "gc.collect": (world) => {
    world.litter();
    world.heap.gc.collect();
  },
  "gc.collect of many": (world) => {
    world.heap.gc.disable();
    const all = Array.from({ length: 60 }, (_, n) => world.heap.new(Bomb, { label: n }));
    for (const [n, bomb] of all.entries()) {
      bomb.next = all[(n + 1) % all.length];
      bomb.others = [bomb, all[(n * 7) % all.length]] as never;
      if (n % 5 === 0) world.arm(bomb);
    }
    const holder = world.heap.new(Holder, { bomb: all[0], leaf: { text: "x" } });
    all[0].others?.push(...all);
    holder.mixed = holder;
    release(holder);
    for (const bomb of all) release(bomb);
    world.heap.gc.collect();
  },
  "gc.garbage.clear": (world) => {
    world.heap.gc.setDebug(DEBUG.SAVEALL);
    world.litter();
    world.heap.gc.collect();
    world.heap.gc.setDebug(0);
    world.heap.gc.garbage.clear();
    world.heap.gc.collect();
  },
  "heap.shutdown": ({ heap }) => heap.shutdown(),
};

function isOpen({ heap }: World): boolean {
  try {
    return heap.bytesReserved > 0;
  } catch {
    return false;
  }
}

// -- the table --------------------------------------------------------------------------------

/** Whether the verb threw one of the library's errors; anything else fails the test. */
function attempt(body: () => unknown): { result?: unknown; error?: HeapError } {
  try {
    return { result: body() };
  } catch (error) {
    for (let last = error; ; last = (last as { suppressed: unknown }).suppressed) {
      const first = (last as { error?: unknown }).error ?? last;
      if (!(first instanceof HeapError)) throw error;
      if (first === last) return { error: first };
    }
  }
}

function runVerb(world: World, verb: (world: World) => unknown, action: Action) {
  let runs = 0;
  setExplosion((dead) => {
    if (++runs <= 3) action.run(world, dead);
  });
  try {
    return { ...attempt(() => verb(world)), runs };
  } finally {
    setExplosion(undefined);
  }
}

function endWorld(world: World): void {
  verify(world.heap);
  world.heap.gc.enable();
  world.heap.gc.setThreshold(700);
  world.freeAll();
  world.heap.gc.collect();
  world.freeAll();
  world.heap.gc.collect();
  verify(world.heap);
  expect(liveObjects(world.heap)).toBe(world.baseline);
}

afterEach(() => {
  setExplosion(undefined);
});

/** At the level that this run of the tests is about: all of them take minutes. */
for (const checks of [runLevel()])
  for (const kind of ["finalizer", "callback"] as const)
    describe(`checks ${checks}, user code in a ${kind}`, () => {
      for (const [name, verb] of Object.entries(verbs))
        it(name, () => {
          const control = new World(kind, checks, 1 << 20);
          const usual = runVerb(control, verb, actions["does nothing"]);
          const expected = isOpen(control) && !usual.error ? attempt(() => control.snapshot()) : undefined;
          if (isOpen(control)) endWorld(control);
          for (const [what, action] of Object.entries(actions)) {
            const world = new World(kind, checks, what === "takes all memory" ? 512 << 10 : 1 << 20);
            try {
              const { result, error, runs } = runVerb(world, verb, action);
              if (!isOpen(world)) continue;
              if (action.isInert) {
                expect({ result, error: error?.code }).toEqual({
                  result: usual.result,
                  error: usual.error?.code,
                });
                if (expected !== undefined)
                  expect(attempt(() => world.snapshot()).result).toEqual(expected.result);
              }
              if (what === "throws") expect(world.reported.length).toBe(Math.min(runs, 3));
              endWorld(world);
            } catch (error) {
              throw new Error(`when user code ${what}: ${error instanceof Error ? error.message : error}`, {
                cause: error,
              });
            }
          }
        });
    });
