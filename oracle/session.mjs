/** One program of the operation language, run in one heap. */
import {
  any,
  DEBUG,
  dict,
  finalizer,
  Heap,
  id,
  list,
  oneOf,
  optional,
  refcount,
  release,
  retain,
  str,
  struct,
  tuple,
  typeName,
} from "ouroheap";
import { verify } from "ouroheap/inspect";
import { unsafe } from "ouroheap/unsafe";

const SLOTS = ["s0", "s1", "s2", "s3"];
const _CONTAINERS = new Set(["Node", "Fin", "list", "tuple", "dict"]);

/** What python3.11 would raise, by name. */
class PythonError extends Error {
  constructor(name, message = "") {
    super(message);
    this.name = name;
  }
}
function noSuch(name) {
  return new PythonError("KeyError", name);
}

/** Structs with four slots, as any values or typed; an unset slot holds what a program never stores. */
function makeTypes(isTyped, runFinalizer) {
  const slot = () => (isTyped ? optional(oneOf(Node, Fin)) : any);
  const shape = () => ({
    get s0() {
      return slot();
    },
    get s1() {
      return slot();
    },
    get s2() {
      return slot();
    },
    get s3() {
      return slot();
    },
  });
  class Node extends struct("Node", shape()) {}
  class Fin extends struct("Fin", shape()) {
    [finalizer]() {
      runFinalizer(this);
    }
  }
  return { Node, Fin };
}

const Items = list(any);
const Entries = dict(str, any);
class Small extends struct("Small", { x: any }) {}

export class Replay {
  constructor({ typed = false, verify: verifies = false } = {}) {
    this.verifies = verifies;
    this.isTyped = typed;
    this.unset = typed ? null : false;
    this.heap = Heap.create({ maximumBytes: 16 << 20, checks: "off" });
    this.types = makeTypes(typed, (self) => this.runFinalizer(self));
    this.locals = new Map();
    this.labels = new Map(); // by address: of live objects; an address that is used again gets a new label
    this.modes = new Map(); // callback modes by the label of the weak reference
    this.actions = new Map(); // finalizer actions by label
    this.events = [];
    this.isTraced = true;
    const { heap } = this;
    heap.gc.disable();
    heap.gc.callbacks.push((phase, info) => {
      if (this.isTraced) this.events.push(["gc", phase, info.generation, info.collected, info.uncollectable]);
      else if (phase === "start") this.trace?.push(info.generation);
    });
    heap.onUnraisable = (error) => this.events.push(["unraisable", error.name]);
    this.raw = unsafe(heap);
    this.raw.onObjectCallback((callback, ref) => {
      if (typeName(callback) !== "Node") throw new PythonError("TypeError");
      this.events.push(["cbobj", this.label(callback), this.label(ref), ref.alive]);
    });
  }

  runLine(line, number) {
    let operation;
    try {
      operation = JSON.parse(line);
    } catch {
      return { i: number, op: null, r: { err: `line ${number + 1} is not JSON` }, ev: [] };
    }
    const op = operation?.op;
    this.events = [];
    let r;
    try {
      const method = typeof op === "string" && Object.hasOwn(OPERATIONS, op) ? OPERATIONS[op] : undefined;
      if (method === undefined) throw noSuch(op);
      r = method.call(this, operation) ?? null;
      if (this.verifies) verify(this.heap);
    } catch (error) {
      if (!(error instanceof PythonError)) throw error;
      r = { err: `no such ${error.message}` };
    }
    return { i: number, op: op ?? null, r, ev: this.events };
  }

  // -- locals and labels ------------------------------------------------------------------------

  get(name) {
    if (!this.locals.has(name)) throw noSuch(name);
    return this.locals.get(name);
  }

  value(operand) {
    return typeof operand === "object" && operand !== null ? this.get(operand.n) : operand;
  }

  /** name := a new reference; the old one goes last. */
  bind(name, ref) {
    const old = this.locals.get(name);
    this.locals.set(name, isObject(ref) ? retain(ref) : ref);
    if (isObject(old)) release(old);
  }

  /** The same for a handle that the caller gives up, but not before the old object is gone: as a local of oracle.py. */
  give(name, handle) {
    try {
      this.bind(name, handle);
    } finally {
      release(handle);
    }
  }

  /** Do something while holding what a local or a temporary of oracle.py holds. */
  holding(ref, body) {
    if (!isObject(ref)) return body();
    const held = retain(ref);
    try {
      return body();
    } finally {
      release(held);
    }
  }

  drop(name) {
    const handle = this.get(name);
    this.locals.delete(name);
    if (isObject(handle)) release(handle);
  }

  label(ref) {
    return isObject(ref) ? (this.labels.get(id(ref)) ?? null) : null;
  }

  labelsOf(refs) {
    return refs.map((ref) => this.label(ref)).filter((label) => label !== null);
  }

  // -- finalizers and callbacks -----------------------------------------------------------------

  runFinalizer(self) {
    const label = this.label(self);
    this.events.push(["del", label]);
    for (const action of this.actions.get(label) ?? []) this.act(self, action);
  }

  runCallback(ref) {
    const label = this.label(ref);
    this.events.push(["cb", label, null]);
    const mode = this.modes.get(label);
    if (mode === "raise") throw new PythonError("ValueError");
    if (mode === "collect") this.events.push(["r", "collect", this.heap.gc.collect()]);
    else if (typeof mode === "object" && mode !== null) this.act(null, mode.do);
  }

  act(self, [kind, first, second, third]) {
    const has = (name) => this.locals.has(name);
    switch (kind) {
      case "raise":
        throw new PythonError("RuntimeError");
      case "resurrect":
        this.bind(first, self);
        break;
      case "resurrect_slot":
        if (isObject(self?.[first])) this.bind(second, self[first]);
        break;
      case "clear_slot":
        if (self !== null && !this.isUnset(self, first)) this.setSlot(self, first, this.unset);
        break;
      case "store":
        if (!has(second)) break;
        if (self === null) throw new PythonError("AttributeError");
        this.holding(this.get(second), () => this.setSlot(self, first, this.get(second)));
        break;
      case "drop":
        if (has(first)) this.drop(first);
        break;
      case "collect":
        this.events.push(["r", "collect", this.heap.gc.collect(first)]);
        break;
      case "deref":
        if (has(first)) this.events.push(["r", "deref", this.deref(this.get(first))]);
        break;
      case "alloc":
        this.allocateCycles(first);
        break;
      case "mkweak": {
        const target =
          second === "self" ? self : self === null || this.isUnset(self, second) ? null : self[second];
        if (target !== null) this.holding(target, () => this.makeWeak(first, target, third));
        break;
      }
      case "isfin":
        this.events.push(["r", "isfin", self !== null && this.heap.gc.isFinalized(self)]);
        break;
      case "peek":
        if (has(first)) this.peek(this.get(first), second);
        break;
      default:
        throw new Error(`unknown action ${kind}`);
    }
  }

  /** What a container looks like while something of it dies. */
  peek(object, slot) {
    const kind = typeName(object);
    if (kind === "Node" || kind === "Fin") this.events.push(["r", "peek", this.label(object[slot])]);
    else if (kind === "dict") this.events.push(["r", "peek", object.size]);
    else if (kind !== "weakref") this.events.push(["r", "peek", object.length - 1]);
  }

  allocateCycles(count) {
    for (let index = 0; index < count; index++) {
      const cycle = this.heap.new(Items, ["tmp"]);
      this.labels.set(id(cycle), "tmp");
      cycle.push(cycle);
      release(cycle);
    }
  }

  deref(ref) {
    if (typeName(ref) !== "weakref") throw new PythonError("TypeError");
    const target = ref.deref();
    if (target === undefined) return null;
    const label = this.label(target);
    release(target);
    return label;
  }

  makeWeak(name, target, callback) {
    const object = typeof callback === "object" && callback !== null && "n" in callback;
    if (object) this.get(callback.n);
    if (!isObject(target) || !["Node", "Fin"].includes(typeName(target))) throw new PythonError("TypeError");
    const { weakref } = this.heap;
    let handle;
    if (callback === null || callback === undefined) {
      const first = weakref.getWeakrefs(target)[0];
      const isFresh = first === undefined || first.hasCallback;
      handle = weakref.ref(target);
      if (isFresh) this.labels.set(id(handle), name);
    } else {
      if (object) handle = this.raw.weakref(target, this.get(callback.n));
      else {
        handle = weakref.ref(target, (ref) => this.runCallback(ref));
        this.modes.set(name, callback);
      }
      this.labels.set(id(handle), name);
    }
    const label = this.label(handle);
    this.give(name, handle);
    return label;
  }

  // -- slots, items, entries ----------------------------------------------------------------------

  isUnset(node, slot) {
    return node[slot] === this.unset;
  }

  setSlot(node, slot, value) {
    node[slot] = value;
  }

  load(object, key) {
    switch (typeName(object)) {
      case "list":
      case "tuple": {
        const value = object.at(key + 1);
        return value === undefined ? "IndexError" : { value };
      }
      case "dict":
        return object.has(key) ? { value: object.get(key) } : "KeyError";
      case "weakref":
        return "AttributeError";
      default:
        return this.isUnset(object, key) ? "AttributeError" : { value: object[key] };
    }
  }

  set(object, key, val) {
    switch (typeName(object)) {
      case "tuple":
      case "weakref":
        return "TypeError";
      case "list": {
        const value = this.value(val);
        if (key !== "append" && key + 1 >= object.length) return "IndexError";
        this.holding(value, () => (key === "append" ? object.push(value) : object.set(key + 1, value)));
        return null;
      }
      case "dict":
        this.holding(this.value(val), () => object.set(key, this.value(val)));
        return null;
      default:
        this.holding(this.value(val), () => this.setSlot(object, key, this.value(val)));
        return null;
    }
  }

  unsetKey(object, key) {
    switch (typeName(object)) {
      case "tuple":
      case "weakref":
        return "TypeError";
      case "list":
        if (key === "clear") object.assign([this.labels.get(id(object))]);
        else if (key === "pop") {
          if (object.length < 2) return "IndexError";
          object.delete(object.length - 1);
        } else {
          if (key + 1 >= object.length) return "IndexError";
          object.delete(key + 1);
        }
        return null;
      case "dict":
        return object.delete(key) ? null : "KeyError";
      default:
        if (this.isUnset(object, key)) return "AttributeError";
        this.setSlot(object, key, this.unset);
        return null;
    }
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null;
}

/** The verbs of the language, by name. */
const OPERATIONS = {
  new({ name, kind, items = [], do: actions = [] }) {
    for (const item of items) this.value(item);
    const values = items.map((item) => this.value(item));
    const { heap } = this;
    let handle;
    if (kind === "list") handle = heap.new(Items, [name, ...values]);
    else if (kind === "tuple") handle = heap.new(tuple(any, ...values.map(() => any)), [name, ...values]);
    else if (kind === "dict")
      handle = heap.new(
        Entries,
        values.map((value, index) => [`k${index}`, value]),
      );
    else {
      const slots = Object.fromEntries(
        SLOTS.map((slot, index) => [slot, index < values.length ? values[index] : this.unset]),
      );
      handle = heap.new(kind === "fin" ? this.types.Fin : this.types.Node, slots);
      if (kind === "fin") this.actions.set(name, actions);
    }
    this.labels.set(id(handle), name);
    this.give(name, handle);
  },
  set({ obj, key, val }) {
    return this.holding(this.get(obj), () => this.set(this.get(obj), key, val));
  },
  unset({ obj, key }) {
    return this.holding(this.get(obj), () => this.unsetKey(this.get(obj), key));
  },
  load({ name, obj, key }) {
    const found = this.load(this.get(obj), key);
    if (typeof found === "string") return found;
    const label = this.label(found.value);
    if (label === null) return "atom";
    this.holding(found.value, () => this.bind(name, found.value));
    return label;
  },
  alias({ name, of }) {
    this.bind(name, this.get(of));
  },
  drop({ name }) {
    this.drop(name);
  },
  weakref({ name, target, cb }) {
    try {
      return this.makeWeak(name, this.get(target), cb);
    } catch (error) {
      if (error.name === "TypeError") return "TypeError";
      throw error;
    }
  },
  deref({ name }) {
    const ref = this.get(name);
    return typeName(ref) === "weakref" ? this.deref(ref) : "TypeError";
  },
  has_cb({ name }) {
    const ref = this.get(name);
    return typeName(ref) === "weakref" ? ref.hasCallback : "TypeError";
  },
  weakrefs({ obj }) {
    return this.heap.weakref.getWeakrefs(this.get(obj)).map((ref) => this.label(ref));
  },
  collect({ gen = 2 }) {
    return this.heap.gc.collect(gen);
  },
  rc({ name }) {
    return refcount(this.get(name));
  },
  tracked({ name }) {
    return this.heap.gc.isTracked(this.get(name));
  },
  finalized({ name }) {
    return this.heap.gc.isFinalized(this.get(name));
  },
  gen({ name }) {
    const ref = this.get(name);
    if (!this.heap.gc.isTracked(ref)) return "untracked";
    for (const generation of [0, 1, 2])
      if (this.heap.gc.getObjects(generation).some((other) => id(other) === id(ref))) return generation;
    return "permanent";
  },
  order() {
    return [0, 1, 2].map((generation) => this.labelsOf(this.heap.gc.getObjects(generation)));
  },
  referents({ name }) {
    return this.labelsOf(this.heap.gc.getReferents(this.get(name)));
  },
  referrers({ name }) {
    return this.labelsOf(this.heap.gc.getReferrers(this.get(name)));
  },
  freeze() {
    const count = this.labelsOf(this.heap.gc.getObjects()).length;
    this.heap.gc.freeze();
    return count;
  },
  unfreeze() {
    this.heap.gc.unfreeze();
  },
  debug({ saveall }) {
    this.heap.gc.setDebug(saveall ? DEBUG.SAVEALL : 0);
  },
  garbage() {
    return this.labelsOf([...this.heap.gc.garbage]);
  },
  clear_garbage() {
    this.heap.gc.garbage.clear();
  },
  stats() {
    return this.heap.gc.getStats().map(({ collections, collected }) => [collections, collected]);
  },
  /** Automatic collections while n instances are made. `total` long-lived ones stand for those of the interpreter. */
  burst({ n, thr, keep = true, c0 = 0, total = 0 }) {
    const { heap } = this;
    const before = heap.gc.getThreshold();
    this.isTraced = false;
    const longLived = heap.new(Items, []);
    const kept = heap.new(Items, Array(n).fill(null));
    heap.gc.collect();
    const missing = total - heap.gc.getObjects(2).length;
    for (let index = 0; index < missing; index++) {
      const dummy = heap.new(Small, { x: null });
      longLived.push(dummy);
      release(dummy);
    }
    heap.gc.setThreshold(...thr);
    heap.gc.collect();
    this.trace = [];
    this.raw.setCount0(c0);
    heap.gc.enable();
    for (let index = 0; index < n; index++) {
      const instance = heap.new(Small, { x: null });
      kept.set(keep ? index : 0, instance);
      release(instance);
    }
    heap.gc.disable();
    heap.gc.setThreshold(...before);
    const gens = this.trace.join("");
    this.trace = undefined;
    this.isTraced = true;
    release(kept);
    release(longLived);
    return { c0, total, gens };
  },
};
