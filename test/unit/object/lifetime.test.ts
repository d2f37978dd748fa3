import { describe, expect, it } from "vitest";
import { verifyMemory } from "../../../src/gc/verify.js";
import {
  type Address,
  CONTROL_USER_CODE,
  CONTROL_WEAKREFS,
  HEADER_SERIAL,
} from "../../../src/memory/layout.js";
import { fillMemory, makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, pick, randomFrom } from "../../support/random.js";
import { ref } from "../../support/slots.js";

/** What is called from now on, by the names of the objects and the numbers of the callbacks. */
function journal(heap: TestCore, names: Record<string, Address> = {}) {
  const lines: string[] = [];
  const nameOf = (object: Address) =>
    Object.keys(names).find((name) => names[name] === object) ?? String(object);
  const { hooks, allocator } = heap.core;
  const on = {
    finalizer: (_object: Address) => {},
    callback: (_ref: Address, _callback: Address, _number: number) => {},
    forget: (_number: number) => {},
  };
  hooks.runFinalizer = (object) => {
    lines.push(`finalize ${nameOf(object)}`);
    on.finalizer(object);
  };
  hooks.runCallback = (weakref, callback, number) => {
    lines.push(`call ${callback === 0 ? number : nameOf(callback)} of ${nameOf(weakref)}`);
    on.callback(weakref, callback, number);
  };
  hooks.forgetCallback = (number) => {
    lines.push(`forget ${number}`);
    on.forget(number);
  };
  const free = allocator.freeObject.bind(allocator);
  allocator.freeObject = (object) => {
    if (Object.values(names).includes(object)) lines.push(`free ${nameOf(object)}`);
    free(object);
  };
  return { lines, on };
}

/** The heap in the middle of a death: half of an ancestor is gone, all else is whole. */
function verifyInside({ core }: TestCore): void {
  verifyMemory(core.memory, { isInside: true, isCollecting: core.trigger.isCollecting });
}

describe("a finalizer", () => {
  it("runs when the last reference is gone, before what the object holds is dropped", () => {
    const heap = makeQuietCore();
    for (const slot of ["ref", "any"] as const) {
      const child = heap.newList(heap.list("any"), 1);
      const object = heap.newStruct(heap.finalized.struct(slot, "str"), ref(child), "text");
      heap.drop(child);
      const { lines, on } = journal(heap, { object, child });
      on.finalizer = (dying) => {
        lines.push(`${heap.field(dying, 1)} ${heap.items(child)[0]}`);
        verifyInside(heap);
      };
      heap.hold(object);
      heap.drop(object);
      expect(lines).toEqual([]);
      heap.drop(object);
      expect(lines).toEqual(["finalize object", "text 1", "free child", "free object"]);
      expect(heap.i32[CONTROL_USER_CODE]).toBe(0);
    }
  });

  it("sees the object alive, with one reference, in generation 0 and not yet finalized", () => {
    const heap = makeQuietCore();
    const { lifetime, generations } = heap.core;
    const object = heap.newStruct(heap.finalized.struct("ref"));
    const other = heap.newStruct(heap.struct("ref"));
    heap.collect();
    expect([heap.table(0), heap.table(2)]).toEqual([[], [object, other]]);
    const young = heap.newStruct(heap.struct("ref"));
    const { on } = journal(heap);
    let seen: unknown;
    on.finalizer = () => {
      seen = [
        heap.refcount(object),
        heap.isTracked(object),
        generations.generationOf(object),
        lifetime.isFinalized(object),
        heap.table(0),
        heap.table(2),
        heap.i32[CONTROL_USER_CODE] > 0,
      ];
    };
    expect([lifetime.hasFinalizer(object), lifetime.hasFinalizer(other)]).toEqual([true, false]);
    heap.drop(object);
    expect(seen).toEqual([1, true, 0, false, [young, object], [other], true]);
    expect(heap.table(0)).toEqual([young]);
  });

  it("may be of a type whose instances no cycle passes through: they stay out of the tables", () => {
    const heap = makeQuietCore();
    const object = heap.newStruct(heap.finalized.leaf("f64"), 1.5);
    const { lines, on } = journal(heap, { object });
    on.finalizer = () => {
      lines.push(String(heap.isTracked(object)));
      heap.hold(object);
    };
    heap.drop(object);
    expect([heap.field(object, 0), heap.isTracked(object), heap.table(0)]).toEqual([1.5, false, []]);
    heap.drop(object);
    expect(lines).toEqual(["finalize object", "false", "free object"]);
  });

  it("can keep the object, which stays in generation 0, finalized, with all it has and its weak references", () => {
    const heap = makeQuietCore();
    const { lifetime, weakrefs } = heap.core;
    const child = heap.newList(heap.list("any"));
    const object = heap.newStruct(heap.finalized.struct("ref"), ref(child));
    heap.drop(child);
    const weakref = heap.newWeakref(object);
    const called = heap.newWeakref(object, { hostCallback: 1 });
    heap.collect();
    const { lines, on } = journal(heap, { object, child, weakref });
    on.finalizer = () => heap.hold(object);
    heap.drop(object);
    expect(lines).toEqual(["finalize object"]);
    expect([heap.refcount(object), lifetime.isFinalized(object), heap.table(0)]).toEqual([1, true, [object]]);
    expect([weakrefs.target(weakref), weakrefs.target(called)]).toEqual([object, object]);
    heap.verify();
    on.finalizer = () => expect.unreachable();
    heap.drop(object);
    expect(lines.slice(1)).toEqual([`call 1 of ${called}`, "forget 1", "free child", "free object"]);
  });

  it("runs once, however often the object dies", () => {
    const heap = makeQuietCore();
    const object = heap.newStruct(heap.finalized.struct());
    const { lines, on } = journal(heap);
    on.finalizer = () => {
      heap.hold(object);
      for (let again = 0; again < 3; again++) {
        heap.hold(object);
        heap.drop(object);
      }
    };
    heap.drop(object);
    heap.hold(object);
    heap.drop(object, object);
    expect(lines).toEqual([`finalize ${object}`]);
    expect(heap.liveObjects()).toEqual([]);
  });

  it("is over with whatever borrowed the object, before it and in it", () => {
    const heap = makeQuietCore();
    const holder = heap.newStruct(heap.finalized.struct("ref"));
    const object = heap.newStruct(heap.finalized.struct("ref"));
    heap.setField(holder, 0, ref(object));
    heap.drop(object);
    const serial = (of: Address) => heap.i32[of + HEADER_SERIAL];
    const before = [serial(holder), serial(object)];
    const { on } = journal(heap);
    const inside: number[][] = [];
    on.finalizer = () => inside.push([serial(holder), serial(object)]);
    heap.drop(holder);
    // The holder's own finalizer first: what it holds can be borrowed as before.
    expect(inside[0]).toEqual([before[0] + 1, before[1]]);
    expect(inside[1][1]).toBe(before[1] + 1);
    expect(inside[1][0]).toBeGreaterThan(inside[0][0]);
    expect(serial(object)).toBeGreaterThan(inside[1][1] + 1);
  });

  it("may let other objects die, allocate and collect", () => {
    const heap = makeQuietCore();
    const node = heap.finalized.struct("ref");
    const bystander = heap.newStruct(node);
    const object = heap.newStruct(node);
    const { lines, on } = journal(heap, { object, bystander });
    on.finalizer = (dying) => {
      if (dying !== object) return;
      heap.drop(bystander);
      const cycle = heap.newStruct(heap.struct("ref"));
      heap.setField(cycle, 0, ref(cycle));
      heap.drop(cycle);
      lines.push(`collected ${heap.collect()}`);
      verifyInside(heap);
    };
    heap.drop(object);
    expect(lines).toEqual([
      "finalize object",
      "finalize bystander",
      "free bystander",
      "collected 1",
      "free object",
    ]);
  });

  it("of what a dying object holds runs while that object and all above it are out of the collector's sight", () => {
    const heap = makeQuietCore();
    const inner = heap.newStruct(heap.finalized.struct("ref"));
    const middle = heap.newList(heap.list("ref"), ref(inner));
    const outer = heap.newStruct(heap.finalized.struct("ref"), ref(middle));
    heap.drop(inner, middle);
    const { lines, on } = journal(heap, { inner, middle, outer });
    on.finalizer = (dying) => {
      lines.push(`tracked ${[outer, middle, inner].map((object) => heap.isTracked(object))}`);
      verifyInside(heap);
      lines.push(`collected ${heap.collect()}`);
      if (dying === inner) heap.hold(inner);
    };
    heap.drop(outer);
    expect(lines).toEqual([
      "finalize outer",
      "tracked true,true,true",
      "collected 0",
      "finalize inner",
      "tracked false,false,true",
      "collected 0",
      "free middle",
      "free outer",
    ]);
    heap.verify();
    expect(heap.refcount(inner)).toBe(1);
  });
});

describe("the weak references of an object that dies", () => {
  it("are live in its finalizer; then all are dead before the first callback, and the newest is called first", () => {
    const heap = makeQuietCore();
    const { weakrefs } = heap.core;
    const object = heap.newStruct(heap.finalized.struct());
    const callback = heap.newStruct(heap.struct());
    const shared = heap.newWeakref(object);
    const proxy = heap.newWeakref(object, { isProxy: true });
    const first = heap.newWeakref(object, { hostCallback: 1 });
    const second = heap.newWeakref(object, { callback });
    const third = heap.newWeakref(object, { hostCallback: 3, isProxy: true });
    const all = [shared, proxy, third, second, first];
    const { lines, on } = journal(heap, { object, first, second, third, callback });
    const live = () => all.filter((weakref) => weakrefs.target(weakref) !== 0);
    on.finalizer = () => {
      expect([live(), [...weakrefs.list(object)]]).toEqual([all, all]);
    };
    on.callback = () => {
      expect([live(), [...weakrefs.list(object)], heap.i32[CONTROL_WEAKREFS]]).toEqual([[], [], 0]);
      expect(all.map((weakref) => weakrefs.hasCallback(weakref))).toEqual(Array(5).fill(false));
      verifyInside(heap);
    };
    heap.drop(object);
    expect(lines).toEqual([
      "finalize object",
      "call 3 of third",
      "call callback of second",
      "call 1 of first",
      "forget 3",
      "forget 1",
      "free object",
    ]);
    expect([heap.refcount(callback), heap.refcount(second)]).toEqual([1, 1]);
  });

  it("are called though an earlier callback has dropped them, and freed when the last was called, last first", () => {
    const heap = makeQuietCore();
    const object = heap.newStruct(heap.watched.struct());
    const [oldCallback, newCallback] = [1, 2].map(() => heap.newStruct(heap.struct()));
    const oldRef = heap.newWeakref(object, { callback: oldCallback });
    const newRef = heap.newWeakref(object, { callback: newCallback });
    heap.drop(oldCallback, newCallback);
    const { lines, on } = journal(heap, { object, oldRef, newRef, oldCallback, newCallback });
    on.callback = (weakref) => {
      if (weakref === newRef) heap.drop(oldRef, newRef);
    };
    heap.drop(object);
    expect(lines).toEqual([
      "call newCallback of newRef",
      "call oldCallback of oldRef",
      "free oldCallback",
      "free oldRef",
      "free newCallback",
      "free newRef",
      "free object",
    ]);
  });

  it("keep a single callback until it has been called, and forget a function after its call", () => {
    const heap = makeQuietCore();
    const object = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.struct());
    const weakref = heap.newWeakref(object, { callback });
    heap.drop(callback);
    const { lines, on } = journal(heap, { object, weakref, callback });
    on.callback = () => heap.drop(weakref);
    heap.drop(object);
    expect(lines).toEqual(["call callback of weakref", "free weakref", "free callback", "free object"]);
    lines.length = 0;
    const other = heap.newStruct(heap.watched.struct());
    const byNumber = heap.newWeakref(other, { hostCallback: 5 });
    on.callback = () => heap.drop(byNumber);
    heap.drop(other);
    expect(lines).toEqual([`call 5 of ${byNumber}`, "forget 5"]);
  });

  it("are held from outside by one call, and by a tracked list where there are several", () => {
    const heap = makeQuietCore();
    const { on } = journal(heap);
    const seen: number[] = [];
    on.callback = (weakref) => seen.push(heap.table(0).indexOf(weakref), heap.table(0).length);
    const one = heap.newStruct(heap.watched.struct());
    const ref1 = heap.newWeakref(one, { hostCallback: 1 });
    heap.drop(one);
    expect(seen).toEqual([0, 1]);
    const two = heap.newStruct(heap.watched.struct());
    const [ref2, ref3] = [2, 3].map((hostCallback) => heap.newWeakref(two, { hostCallback }));
    heap.drop(two);
    expect(seen.slice(2)).toEqual([2, 4, 1, 4]);
    expect(heap.table(0)).toEqual([ref1, ref2, ref3]);
  });

  it("are held by their own call as well, so that a collection in it finds them where they stand", () => {
    const heap = makeQuietCore();
    const { on } = journal(heap);
    const object = heap.newStruct(heap.watched.struct());
    const collecting = heap.newWeakref(object, { hostCallback: 1 });
    const holder = heap.newList(heap.list("any"));
    heap.append(holder, ref(collecting));
    heap.drop(collecting);
    const other = heap.newWeakref(object, { hostCallback: 2 });
    on.callback = (weakref) => {
      if (weakref === collecting) heap.collect();
    };
    heap.drop(object);
    expect(heap.table(2)).toEqual([collecting, holder, other]);
  });

  it("survive a collection that a callback starts, whatever holds them", () => {
    for (const count of [1, 2, 5]) {
      const heap = makeQuietCore();
      const object = heap.newStruct(heap.watched.struct());
      const made = Array.from({ length: count }, () => {
        const callback = heap.newList(heap.list("any"));
        const weakref = heap.newWeakref(object, { callback });
        heap.append(callback, ref(weakref)); // a cycle that nothing else holds once the call is over
        heap.drop(callback);
        return weakref;
      });
      const { lines, on } = journal(heap);
      on.callback = () => {
        for (const weakref of made.splice(0)) heap.drop(weakref);
        expect(heap.collect()).toBe(0);
        verifyInside(heap);
      };
      heap.drop(object);
      expect(lines.filter((line) => line.startsWith("call"))).toHaveLength(count);
      expect(heap.liveObjects()).toEqual([]); // the callbacks were taken out of their weak references
    }
  });

  it("made by its callbacks are cut without a word, where it has a finalizer", () => {
    const heap = makeQuietCore();
    const { weakrefs } = heap.core;
    const object = heap.newStruct(heap.finalized.struct());
    const weakref = heap.newWeakref(object, { hostCallback: 1 });
    const { lines, on } = journal(heap, { object, weakref });
    const made: Address[] = [];
    on.callback = () => {
      made.push(heap.newWeakref(object), heap.newWeakref(object, { hostCallback: 2 }));
      expect(weakrefs.target(made[0])).toBe(0); // its count is 0
    };
    heap.drop(object);
    expect(lines).toEqual(["finalize object", "call 1 of weakref", "forget 1", "free object"]);
    expect(made.map((one) => [weakrefs.target(one), weakrefs.hasCallback(one)])).toEqual([
      [0, false],
      [0, true],
    ]);
    expect(heap.i32[CONTROL_WEAKREFS]).toBe(0);
    heap.drop(made[1]);
    expect(lines.at(-1)).toBe("forget 2");
  });

  it("are called for a set, too", () => {
    const heap = makeQuietCore();
    const member = heap.newStruct(heap.watched.struct());
    const set = heap.newSet(heap.set("ref"), ref(member));
    heap.drop(member);
    const [ofSet, ofMember] = [set, member].map((object) => heap.newWeakref(object, { hostCallback: 1 }));
    const { lines } = journal(heap, { set, member, ofSet, ofMember });
    heap.drop(set);
    expect(lines).toEqual([
      "call 1 of ofSet",
      "forget 1",
      "call 1 of ofMember",
      "forget 1",
      "free member",
      "free set",
    ]);
  });

  it("are called in a heap without memory for the list of the pending", () => {
    const heap = makeQuietCore(1 << 20);
    const object = heap.newStruct(heap.watched.struct());
    const callbacks = [1, 2, 3].map(() => heap.newStruct(heap.struct()));
    const made = callbacks.map((callback) => heap.newWeakref(object, { callback }));
    heap.drop(...callbacks);
    const pending = heap.core.pendingTypeId;
    const filler = heap.newList(pending);
    const names = { object, r0: made[0], r1: made[1], r2: made[2] };
    fillMemory(heap);
    expect(() => {
      for (;;) heap.newList(pending);
    }).toThrow();
    const { lines, on } = journal(heap, names);
    on.callback = (weakref) => heap.drop(weakref);
    heap.drop(object);
    expect(lines).toEqual([
      ...[2, 1, 0].map((index) => `call ${callbacks[index]} of r${index}`),
      ...["free r0", "free r1", "free r2", "free object"],
    ]);
    expect(heap.liveObjects()).not.toContain(callbacks[0]);
    expect(heap.refcount(filler)).toBe(1);
  });
});

describe("deaths that are seen, in random graphs", () => {
  it("are seen once each, in a heap that is whole but for what dies, and leave nothing behind", () => {
    for (let seed = 0; seed < Math.max(25, size(100)); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(2 << 20);
      const { lines, on } = journal(heap);
      const types = [
        heap.finalized.struct("ref", "ref"),
        heap.watched.struct("ref", "any"),
        heap.finalized.struct("any", "ref"),
        heap.struct("ref", "ref"),
      ];
      const objects = Array.from({ length: 60 }, () => heap.newStruct(pick(random, types)));
      let number = 0;
      for (let edge = 0; edge < 120; edge++)
        heap.setField(pick(random, objects), below(random, 2), ref(pick(random, objects)));
      const watchable = objects.filter((object) => heap.core.weakrefs.isReferenceable(object));
      for (let index = 0; index < 40; index++) {
        const callback = random() < 0.4 ? pick(random, objects) : 0;
        const hostCallback = callback === 0 && random() < 0.7 ? ++number : 0;
        const weakref = heap.newWeakref(pick(random, watchable), { callback, hostCallback });
        if (random() < 0.4) heap.drop(weakref);
      }
      const disturb = () => {
        verifyInside(heap);
        if (random() < 0.2) heap.collect(below(random, 3));
        if (random() < 0.3 && heap.roots.size > 0) heap.drop(pick(random, [...heap.roots.keys()]));
        if (random() < 0.2) heap.newList(heap.list("any"));
      };
      on.finalizer = (object) => {
        if (random() < 0.2) heap.hold(object);
        disturb();
      };
      on.callback = disturb;
      for (const object of objects) if (heap.roots.has(object)) heap.drop(object);
      const dropRest = () => {
        while (heap.roots.size > 0) heap.drop([...heap.roots.keys()].at(-1)!);
      };
      for (let rounds = 0; rounds < 5; rounds++) {
        dropRest();
        heap.collect();
        heap.verify();
      }
      on.finalizer = on.callback = () => {};
      dropRest();
      heap.collect();
      expect(heap.liveObjects()).toEqual([]);
      expect(heap.i32[CONTROL_WEAKREFS]).toBe(0);
      // Every function is forgotten once, be it called or not.
      const forgotten = lines.filter((line) => line.startsWith("forget"));
      expect(new Set(forgotten).size).toBe(number);
      expect(forgotten).toHaveLength(number);
    }
  });
});
