/** One program of the operation language, run in one heap. */
import { any, finalizer, Heap, id, list, oneOf, optional, release, retain, struct, typeName } from "ouroheap";
import { verify } from "ouroheap/inspect";
import { unsafe } from "ouroheap/unsafe";
import { isObject, noSuch, PythonError } from "./errors.mjs";
import { LIBRARY_ACTIONS, LIBRARY_OPERATIONS, Library } from "./library.mjs";
import { OPERATIONS } from "./operations.mjs";
import { isInstance } from "./slots.mjs";

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

const VERBS = { ...OPERATIONS, ...LIBRARY_OPERATIONS };

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
    this.library = new Library();
    /** Once the end has begun names are no more, and what is bound is only held. */
    this.isEnding = false;
    this.isOver = false;
    this.held = [];
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
      const method = typeof op === "string" && Object.hasOwn(VERBS, op) ? VERBS[op] : undefined;
      if (method === undefined) throw noSuch(op);
      r = method.call(this, operation) ?? null;
      if (this.verifies && !this.isOver) verify(this.heap);
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
    if (this.isEnding) {
      this.held.push(retain(ref));
      return;
    }
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
        if (self !== null && !this.isUnset(self, first)) self[first] = this.unset;
        break;
      case "store":
        if (!has(second)) break;
        if (self === null) throw new PythonError("AttributeError");
        this.holding(this.get(second), () => {
          self[first] = this.get(second);
        });
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
        LIBRARY_ACTIONS[kind].call(this, first, second);
    }
  }

  /** What a container looks like while something of it dies. */
  peek(object, slot) {
    const kind = typeName(object);
    if (kind === "Node" || kind === "Fin") this.events.push(["r", "peek", this.label(object[slot])]);
    else if (kind === "dict" || kind === "set") this.events.push(["r", "peek", object.size]);
    else if (kind !== "weakref") this.events.push(["r", "peek", object.length - 1]);
  }

  allocateCycles(count) {
    for (let index = 0; index < count; index++) {
      const cycle = this.heap.new(list(any), ["tmp"]);
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
    if (!isObject(target) || !(isInstance(target) || typeName(target) === "set"))
      throw new PythonError("TypeError");
    const { weakref } = this.heap;
    let handle;
    if (callback === null || callback === undefined) {
      const known = this.weakrefIds(target);
      handle = weakref.ref(target);
      if (!known.has(id(handle))) this.labels.set(id(handle), name);
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

  weakrefIds(target) {
    return new Set(this.heap.weakref.getWeakrefs(target).map(id));
  }

  isUnset(node, slot) {
    return node[slot] === this.unset;
  }
}
