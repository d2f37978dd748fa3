/** The verbs for proxies, weak containers, `weakref.finalize` and the end. `this` is the replay. */
import { id, release, typeName } from "ouroheap";
import { noSuch, PythonError } from "./errors.mjs";
import { isInstance } from "./slots.mjs";

/** What a program has by name that is no heap object. */
export class Library {
  proxies = new Map();
  containers = new Map(); // name -> { kind, table }
  iterators = new Map(); // name -> { iterator, container }
  finalizers = new Map();
  functions = new Map(); // actions of the functions of finalizers, by name

  isIterated(container) {
    return [...this.iterators.values()].some((open) => open.container === container);
  }

  /** Python's WeakValueDictionary removes at every access, and breaks its open iterators: this one never does. */
  isBusy(container) {
    return container.kind === "values" && this.isIterated(container);
  }
}

function find(map, name) {
  if (!map.has(name)) throw noSuch(name);
  return map.get(name);
}

/** What the heap itself makes for `body` has no label, whatever stood at its address before. */
function unlabelled(replay, target, body) {
  const known = replay.weakrefIds(target);
  const result = body();
  for (const ref of replay.weakrefIds(target)) if (!known.has(ref)) replay.labels.delete(ref);
  return result;
}

function makeProxy(replay, name, target, callback) {
  const { weakref } = replay.heap;
  const known = replay.weakrefIds(target);
  const proxy =
    callback === null ? weakref.proxy(target) : weakref.proxy(target, (ref) => replay.runCallback(ref));
  let label;
  for (const ref of weakref.getWeakrefs(target)) {
    if (known.has(id(ref))) continue;
    replay.labels.set(id(ref), name);
    label = name;
    if (callback !== null) replay.modes.set(name, callback);
  }
  return { proxy, label: label ?? sharedProxyLabel(replay, target), users: 0, isDropped: false };
}

/** The shared proxy is the last weak reference without a callback. */
function sharedProxyLabel(replay, target) {
  const refs = replay.heap.weakref.getWeakrefs(target).filter((ref) => !ref.hasCallback);
  return replay.label(refs.at(-1));
}

function dropProxy(replay, name) {
  const { proxies } = replay.library;
  const found = find(proxies, name);
  proxies.delete(name);
  give(found);
}

/** A proxy that is dropped while it is used goes when the use is over: python3.11 holds what it works on. */
function give(found) {
  if (found.users > 0) found.isDropped = true;
  else release(found.proxy);
}

/** A dead proxy is told by name; everything else is thrown on. */
function using(replay, name, body) {
  const found = find(replay.library.proxies, name);
  found.users++;
  try {
    return body(found.proxy);
  } catch (error) {
    if (error.code === "DEAD_REFERENCE") return "ReferenceError";
    throw error;
  } finally {
    found.users--;
    if (found.users === 0 && found.isDropped) release(found.proxy);
  }
}

const proxyOperations = {
  proxy({ name, target, cb = null }) {
    const object = this.get(target);
    if (!isInstance(object)) return "TypeError";
    const { proxies } = this.library;
    const made = makeProxy(this, name, object, cb);
    const old = proxies.get(name);
    proxies.set(name, made);
    if (old !== undefined) give(old);
    return made.label;
  },
  pload({ name, obj, key }) {
    return using(this, obj, (proxy) => {
      if (this.isUnset(proxy, key)) return "AttributeError";
      const value = proxy[key];
      const label = this.label(value);
      if (label === null) return "atom";
      this.holding(value, () => this.bind(name, value));
      return label;
    });
  },
  pset({ obj, key, val }) {
    find(this.library.proxies, obj);
    const value = this.value(val);
    return this.holding(value, () =>
      using(this, obj, (proxy) => {
        proxy[key] = value;
        return null;
      }),
    );
  },
  punset({ obj, key }) {
    return using(this, obj, (proxy) => {
      if (this.isUnset(proxy, key)) return "AttributeError";
      proxy[key] = this.unset;
      return null;
    });
  },
  pdrop({ name }) {
    dropProxy(this, name);
  },
};

function canBeIn(container, target) {
  return isInstance(target) || (container.kind === "values" && typeName(target) === "set");
}

/** An item of an iterator as it is told: labels for objects, and one alone without brackets. */
function shown(replay, { kind }, item) {
  const tell = (part) => (typeof part === "object" ? replay.label(part) : part);
  return kind === "set" ? tell(item) : item.map(tell);
}

function advance(replay, name) {
  const { iterator, container } = find(replay.library.iterators, name);
  const { done, value } = iterator.next();
  if (done) replay.library.iterators.delete(name);
  return done ? "end" : shown(replay, container, value);
}

function close(replay, name) {
  const { iterator } = find(replay.library.iterators, name);
  replay.library.iterators.delete(name);
  iterator.return();
}

const containerOperations = {
  wnew({ name, kind }) {
    const { library } = this;
    const old = library.containers.get(name);
    if (old !== undefined && library.isIterated(old)) return "iterating";
    const { weakref } = this.heap;
    const makers = { values: "valueDictionary", keys: "keyDictionary", set: "set" };
    library.containers.set(name, { kind, table: weakref[makers[kind]]() });
    old?.table[Symbol.dispose]();
    return null;
  },
  wset({ name, target, key, val }) {
    const container = find(this.library.containers, name);
    const object = this.get(target);
    if (this.library.isIterated(container)) return "iterating";
    if (!canBeIn(container, object)) return "TypeError";
    const { kind, table } = container;
    unlabelled(this, object, () => {
      if (kind === "values") table.set(key, object);
      else if (kind === "keys") table.set(object, val);
      else table.add(object);
    });
    return null;
  },
  wdel({ name, target, key }) {
    const container = find(this.library.containers, name);
    if (this.library.isIterated(container)) return "iterating";
    if (container.kind === "values") return container.table.delete(key);
    const object = this.get(target);
    return isInstance(object) && container.table.delete(object);
  },
  wget({ name, target, key }) {
    const container = find(this.library.containers, name);
    const { kind, table } = container;
    if (this.library.isBusy(container)) return "iterating";
    if (kind === "values") {
      const value = table.get(key);
      const label = value === undefined ? null : this.label(value);
      if (value !== undefined) release(value);
      return label;
    }
    const object = this.get(target);
    if (!isInstance(object)) return "TypeError";
    return kind === "keys" ? (table.get(object) ?? null) : table.has(object);
  },
  whas({ name, target, key }) {
    const container = find(this.library.containers, name);
    if (this.library.isBusy(container)) return "iterating";
    if (container.kind === "values") return container.table.has(key);
    const object = this.get(target);
    return isInstance(object) && container.table.has(object);
  },
  wlen({ name }) {
    const container = find(this.library.containers, name);
    return this.library.isBusy(container) ? "iterating" : container.table.size;
  },
  witems({ name }) {
    const container = find(this.library.containers, name);
    if (this.library.isBusy(container)) return "iterating";
    const told = [];
    for (const item of container.table) told.push(shown(this, container, item));
    return told;
  },
  /** Open iterators and take the first item of each. */
  witer({ name, iterators }) {
    const { library } = this;
    const container = find(library.containers, name);
    if (library.isBusy(container) || iterators.some((own) => library.iterators.has(own))) return "iterating";
    for (const own of iterators)
      library.iterators.set(own, { container, iterator: container.table[Symbol.iterator]() });
    return iterators.map((own) => advance(this, own));
  },
  wnext({ name }) {
    return advance(this, name);
  },
  wclose({ name }) {
    close(this, name);
  },
  wdrop({ name }) {
    const container = find(this.library.containers, name);
    if (this.library.isIterated(container)) return "iterating";
    this.library.containers.delete(name);
    container.table[Symbol.dispose]();
    return null;
  },
};

function makeFinalizer(replay, name, target, actions) {
  const { library, heap } = replay;
  library.functions.set(name, actions);
  const run = () => {
    replay.events.push(["fz", name]);
    for (const action of library.functions.get(name)) replay.act(null, action);
    return name;
  };
  const made = unlabelled(replay, target, () => heap.weakref.finalize(target, run));
  library.finalizers.set(name, made);
  return made;
}

const finalizeOperations = {
  finalize({ name, target, do: actions = [], atexit = true }) {
    const object = this.get(target);
    if (!isInstance(object) && typeName(object) !== "set") return "TypeError";
    const made = makeFinalizer(this, name, object, actions);
    if (!atexit) made.atexit = false;
    return null;
  },
  fcall({ name }) {
    try {
      return find(this.library.finalizers, name)() ?? null;
    } catch (error) {
      if (error instanceof PythonError && error.name !== "KeyError") return error.name;
      throw error;
    }
  },
  fdetach({ name }) {
    return find(this.library.finalizers, name).detach();
  },
  falive({ name }) {
    return find(this.library.finalizers, name).alive;
  },
  fatexit({ name, value }) {
    const made = find(this.library.finalizers, name);
    if (value !== undefined) made.atexit = value;
    return made.atexit;
  },
  /** Iterators are closed and containers go; what locals and proxies hold is only held from now on. The last operation. */
  shutdown({ gc }) {
    const { library, heap } = this;
    for (const name of [...library.iterators.keys()]) close(this, name);
    for (const { table } of library.containers.values()) table[Symbol.dispose]();
    library.containers.clear();
    this.held.push(...this.locals.values(), ...library.proxies.values());
    this.locals.clear();
    library.proxies.clear();
    this.isEnding = true;
    heap.gc.setThreshold(0);
    if (gc) heap.gc.enable();
    heap.shutdown();
    this.isOver = true;
    return null;
  },
};

export const LIBRARY_OPERATIONS = { ...proxyOperations, ...containerOperations, ...finalizeOperations };

/** What finalizers and callbacks do with all that: nothing where a name has none. */
export const LIBRARY_ACTIONS = {
  pdrop(name) {
    if (this.library.proxies.has(name)) dropProxy(this, name);
  },
  pload(name, key) {
    if (!this.library.proxies.has(name)) return;
    const value = using(this, name, (proxy) => proxy[key]);
    if (value === "ReferenceError") throw new PythonError("ReferenceError");
    this.events.push(["r", "pload", this.label(value)]);
  },
  wlen(name) {
    const container = this.library.containers.get(name);
    if (container === undefined || this.library.isBusy(container)) return;
    this.events.push(["r", "wlen", container.table.size]);
  },
  fcall(name) {
    const made = this.library.finalizers.get(name);
    if (made !== undefined) this.events.push(["r", "fcall", made() ?? null]);
  },
  fdetach(name) {
    const made = this.library.finalizers.get(name);
    if (made !== undefined) this.events.push(["r", "fdetach", made.detach()]);
  },
  falive(name) {
    const made = this.library.finalizers.get(name);
    if (made !== undefined) this.events.push(["r", "falive", made.alive]);
  },
  /** A finalizer made by a running one, on a new node. */
  fnew(name, node) {
    const { unset } = this;
    const handle = this.heap.new(this.types.Node, { s0: unset, s1: unset, s2: unset, s3: unset });
    this.labels.set(id(handle), node);
    makeFinalizer(this, name, handle, []);
    this.give(node, handle);
  },
};
