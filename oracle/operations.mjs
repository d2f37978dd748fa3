/** The verbs of the operation language for objects, containers, weak references and the collector. */
import { any, DEBUG, dict, id, list, refcount, release, set, str, struct, tuple, typeName } from "ouroheap";
import { discard, isInstance, loadKey, setKey, unsetKey } from "./slots.mjs";

const SLOTS = ["s0", "s1", "s2", "s3"];
const Items = list(any);
const Entries = dict(str, any);
const Members = set(any);
class Small extends struct("Small", { x: any }) {}

/** The verbs of the language, by name. */
export const OPERATIONS = {
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
    else if (kind === "set") {
      if (!values.every(isInstance)) return "TypeError";
      handle = heap.new(Members, values);
    } else {
      const slots = Object.fromEntries(
        SLOTS.map((slot, index) => [slot, index < values.length ? values[index] : this.unset]),
      );
      handle = heap.new(kind === "fin" ? this.types.Fin : this.types.Node, slots);
      if (kind === "fin") this.actions.set(name, actions);
    }
    this.labels.set(id(handle), name);
    this.give(name, handle);
    return null;
  },
  set({ obj, key, val }) {
    return this.holding(this.get(obj), () => setKey(this, this.get(obj), key, val));
  },
  unset({ obj, key }) {
    return this.holding(this.get(obj), () => unsetKey(this, this.get(obj), key));
  },
  load({ name, obj, key }) {
    const found = loadKey(this, this.get(obj), key);
    if (typeof found === "string") return found;
    const label = this.label(found.value);
    if (label === null) return "atom";
    this.holding(found.value, () => this.bind(name, found.value));
    return label;
  },
  discard({ obj, val }) {
    return this.holding(this.get(obj), () => discard(this, this.get(obj), val));
  },
  has({ obj, val }) {
    const [object, value] = [this.get(obj), this.value(val)];
    if (typeName(object) !== "set") return "TypeError";
    return isInstance(value) && object.has(value);
  },
  members({ obj }) {
    const object = this.get(obj);
    return typeName(object) === "set" ? [...object].map((member) => this.label(member)) : "TypeError";
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
