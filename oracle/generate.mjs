/**
 * Random programs of the operation language. A local's name tells what kind of object it may hold (n node, f fin, l list,
 * t tuple, d dict, w weak reference, z resurrected fin, u whatever was loaded), so that a program never asks an object
 * for what its kind has not. Names without an object are harmless: both sides answer with an error and do nothing.
 */
import { randomFrom } from "./random.mjs";

export const FEATURES = ["freeze", "saveall", "deep", "typed"];
const SLOTS = ["s0", "s1", "s2", "s3"];
const NAMES_PER_KIND = 7;

/** @returns {object[]} a program */
export function generateProgram(seed, length, features = new Set()) {
  return new Generator(seed, length, features).run();
}

class Generator {
  constructor(seed, length, features) {
    this.random = randomFrom(seed);
    this.length = length;
    this.features = features;
    this.isTyped = features.has("typed");
    this.program = [];
    const kinds = this.isTyped ? ["n", "f"] : ["n", "n", "f", "f", "l", "t", "d"];
    this.kinds = kinds;
    this.weights = weigh(features, this.isTyped);
  }

  run() {
    if (this.features.has("deep")) this.deepChain();
    while (this.program.length < this.length) {
      const choice = this.random();
      if (choice < 0.02 && this.features.has("deep")) this.deepChain();
      else if (choice < 0.05) this.island();
      else if (choice < 0.07 && this.features.has("freeze")) this.frozen();
      else if (choice < 0.12 && !this.isTyped) this[this.pick(SCENARIOS)]();
      else this.emit(this[this.pickWeighted(this.weights)]());
    }
    // What is left tells of every earlier difference.
    for (const op of ["order", "garbage", "stats"]) this.emit({ op });
    this.emit({ op: "collect" });
    this.emit({ op: "order" });
    return this.program;
  }

  emit(operation) {
    this.program.push(operation);
  }

  // -- choices --------------------------------------------------------------------------------

  below(limit) {
    return Math.floor(this.random() * limit);
  }
  chance(probability) {
    return this.random() < probability;
  }
  pick(items) {
    return items[this.below(items.length)];
  }
  pickWeighted(weights) {
    const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
    let point = this.random() * total;
    for (const [name, weight] of weights) {
      point -= weight;
      if (point < 0) return name;
    }
    return weights[0][0];
  }
  name(kind) {
    return `${kind}${this.below(NAMES_PER_KIND)}`;
  }
  /** A local that may be stored. */
  anyName() {
    const kinds = this.isTyped
      ? ["n", "n", "f", "f", "z"]
      : ["n", "n", "f", "f", "l", "t", "d", "w", "z", "u"];
    return this.name(this.pick(kinds));
  }
  operand() {
    if (this.isTyped) return { n: this.anyName() };
    if (this.chance(0.12)) return this.pick([null, 1, 7, "text"]);
    return { n: this.anyName() };
  }
  holder() {
    return this.name(
      this.pick(this.isTyped ? ["n", "f", "z"] : ["n", "n", "f", "f", "z", "l", "l", "d", "d", "t"]),
    );
  }
  key(holder, forStore) {
    switch (holder[0]) {
      case "l":
        return this.pick(forStore ? ["append", "append", 0, 1, 2] : ["pop", "clear", 0, 1, 2]);
      case "t":
        return this.below(3);
      case "d":
        return `k${this.below(4)}`;
      default:
        return this.pick(SLOTS);
    }
  }

  // -- operations -----------------------------------------------------------------------------

  create() {
    const kind = this.pick(this.kinds);
    const items = Array.from({ length: this.below(4) }, () => this.operand());
    const operation = { op: "new", name: this.name(kind), kind: KIND_NAMES[kind], items };
    if (kind === "f") operation.do = Array.from({ length: this.below(4) }, () => this.action());
    return operation;
  }
  set() {
    const obj = this.holder();
    return { op: "set", obj, key: this.key(obj, true), val: this.operand() };
  }
  unset() {
    const obj = this.holder();
    return { op: "unset", obj, key: this.key(obj, false) };
  }
  load() {
    const obj = this.holder();
    const key = obj[0] === "l" ? this.below(3) : this.key(obj, false);
    return { op: "load", name: this.name("u"), obj, key };
  }
  alias() {
    const of = this.anyName();
    return { op: "alias", name: this.name(of[0]), of };
  }
  drop() {
    return { op: "drop", name: this.anyName() };
  }
  weakref() {
    return { op: "weakref", name: this.name("w"), target: this.weakTarget(), cb: this.callback() };
  }
  weakTarget() {
    return this.chance(0.95) ? this.name(this.pick(["n", "f", "z"])) : this.anyName();
  }
  callback() {
    const choice = this.random();
    if (choice < 0.3) return null;
    if (choice < 0.55) return "log";
    if (choice < 0.62) return "raise";
    if (choice < 0.72) return "collect";
    if (choice < 0.88) return { n: this.name("n") };
    return { do: this.pick([["drop", this.anyName()], ["collect", this.below(3)], ["alloc", 2], ["raise"]]) };
  }
  deref() {
    return { op: "deref", name: this.name("w") };
  }
  hasCallback() {
    return { op: "has_cb", name: this.name("w") };
  }
  weakrefs() {
    return { op: "weakrefs", obj: this.anyName() };
  }
  collect() {
    return { op: "collect", gen: this.pick([0, 0, 1, 2, 2]) };
  }
  look() {
    const op = this.pick(["rc", "tracked", "tracked", "finalized", "gen", "referents", "referrers"]);
    return { op, name: op === "referents" ? this.holder() : this.anyName() };
  }
  order() {
    return { op: "order" };
  }
  stats() {
    return { op: "stats" };
  }
  freeze() {
    // After unfreeze the list of gc.garbage would become traversable in python3.11.
    if (this.features.has("saveall") || this.chance(0.5)) return { op: "freeze" };
    return { op: "unfreeze" };
  }
  debug() {
    return { op: "debug", saveall: this.chance(0.6) };
  }
  garbage() {
    return { op: this.pick(["garbage", "garbage", "clear_garbage"]) };
  }

  /** Objects on a cycle that nothing holds in the end, with weak references and finalizers: what a collection is about. */
  island() {
    const names = this.islanders();
    for (let links = this.below(names.length); links > 0; links--)
      this.link(this.pick(names), this.pick(names));
    const refs = [];
    for (let count = this.below(5); count > 0; count--) {
      const name = this.name("w");
      refs.push(name);
      this.emit({ op: "weakref", name, target: this.pick(names), cb: this.islandCallback(names) });
      // A weak reference inside the island is garbage with it.
      if (!this.isTyped && this.chance(0.4)) this.link(this.pick(names), name);
    }
    if (this.chance(0.3)) this.emit({ op: "collect", gen: this.pick([0, 1, 2]) });
    const gone = [...names, ...refs.filter(() => this.chance(0.3))];
    for (const name of new Set(gone)) if (this.chance(0.95)) this.emit({ op: "drop", name });
    if (this.chance(0.7)) this.emit({ op: "collect", gen: this.pick([0, 1, 2, 2, 2]) });
    this.emit({ op: this.pick(["order", "stats", "garbage", "order"]) });
  }

  /** Some new objects, each linked to the next and the last to the first. */
  islanders() {
    const names = [];
    const makes = 2 + this.below(5);
    for (let count = 0; count < makes; count++) {
      const kind = this.pick(this.kinds);
      const name = `${kind}${count}`;
      // A tuple has to be told when it is made whom it holds.
      const items = kind === "t" && names.length > 0 ? [{ n: names.at(-1) }] : [];
      const operation = { op: "new", name, kind: KIND_NAMES[kind], items };
      if (kind === "f") operation.do = Array.from({ length: this.below(3) }, () => this.action());
      this.emit(operation);
      names.push(name);
    }
    for (const [index, name] of names.entries()) this.link(name, names[(index + 1) % names.length]);
    return names;
  }

  /** Finalizers held by one container alone: in which order it lets them go. */
  bunch() {
    const holder = this.pick(["l0", "l0", "d0", "d0", "t0", "n0"]);
    const members = Array.from({ length: 2 + this.below(3) }, (_, index) => `f${index}`);
    for (const name of members)
      this.emit({
        op: "new",
        name,
        kind: "fin",
        do: this.chance(0.6) ? [this.action(), ["peek", holder, this.pick(SLOTS)]] : [],
      });
    this.emit({ op: "new", name: holder, kind: KIND_NAMES[holder[0]], items: members.map((n) => ({ n })) });
    for (const name of members) this.emit({ op: "drop", name });
    if (holder[0] === "l" && this.chance(0.7))
      this.emit({ op: "unset", obj: holder, key: this.pick(["clear", "pop", 0]) });
    this.emit({ op: "drop", name: holder });
  }

  /** A slot is overwritten, and what was in it looks at the slot while it dies. */
  overwrite() {
    const slot = this.below(4);
    this.emit({ op: "new", name: "f1", kind: "fin", do: [["peek", "n0", SLOTS[slot]], this.action()] });
    const items = SLOTS.slice(0, slot + 1).map(() => ({ n: "f1" }));
    this.emit({
      op: "new",
      name: "n0",
      kind: "node",
      items: [...items.slice(0, -1).fill(null), items.at(-1)],
    });
    this.emit({ op: "drop", name: "f1" });
    if (this.chance(0.7)) this.emit({ op: "set", obj: "n0", key: SLOTS[slot], val: this.operand() });
    else this.emit({ op: "unset", obj: "n0", key: SLOTS[slot] });
  }

  /** A finalizer lets go of the last reference to its own object, and goes on. */
  letGo() {
    const actions = [["clear_slot", "s0"], ["isfin"], this.action()];
    this.emit({ op: "new", name: "f1", kind: "fin", do: actions });
    this.emit({ op: "set", obj: "f1", key: "s0", val: { n: "f1" } });
    this.emit({ op: "drop", name: "f1" });
    this.emit({ op: "collect", gen: this.pick([0, 2]) });
  }

  /**
   * What python3.11 itself makes while it makes a weak reference, a tuple of the arguments, is deferred past the 50th
   * nested death and holds the target that long: no action of deep finalizers.
   */
  deepAction() {
    for (;;) {
      const action = this.action();
      if (action[0] !== "mkweak") return action;
    }
  }

  /** Several weak references to one object: what is shared, in which order they are called, and what they then are. */
  observers() {
    this.emit({ op: "new", name: this.chance(0.5) ? "n1" : "f1", kind: "node", items: [] });
    this.program.at(-1).kind = this.program.at(-1).name === "n1" ? "node" : "fin";
    const target = this.program.at(-1).name;
    const names = ["w1", "w2", "w3", "w4"].slice(0, 2 + this.below(3));
    for (const name of names)
      this.emit({ op: "weakref", name, target, cb: this.chance(0.3) ? null : this.observerCallback() });
    this.emit({ op: "weakrefs", obj: target });
    if (this.chance(0.3)) this.emit({ op: "collect", gen: this.below(3) });
    this.emit({ op: "drop", name: target });
    for (const name of names) this.emit({ op: this.pick(["has_cb", "deref"]), name });
    this.emit({ op: "order" });
  }
  observerCallback() {
    const others = { do: ["drop", this.pick(["w1", "w2", "w3", "w4"])] };
    return this.pick(["log", "collect", "collect", others, { n: this.name("n") }]);
  }

  /** A weak reference that is held by a container and by the call that waits for it, while another call collects. */
  pendingCalls() {
    this.emit({ op: "new", name: "n1", kind: "node", items: [] });
    this.emit({ op: "weakref", name: "w1", target: "n1", cb: this.pick(["log", { n: "n1" }]) });
    this.emit({ op: "new", name: "n5", kind: "node", items: [{ n: "w1" }] });
    this.emit({ op: "drop", name: "w1" });
    this.emit({ op: "weakref", name: "w2", target: "n1", cb: "collect" });
    this.emit({ op: "drop", name: "n1" });
    this.emit({ op: "order" });
  }

  /** Frozen for a while: what is garbage meanwhile, and where it all goes. */
  frozen() {
    this.emit({ op: "collect", gen: this.below(3) });
    for (const name of ["n1", "n2"]) this.emit({ op: "new", name, kind: "node", items: [] });
    this.emit({ op: "set", obj: "n1", key: "s0", val: { n: "n2" } });
    this.emit({ op: "set", obj: "n2", key: "s0", val: { n: "n1" } });
    if (this.chance(0.5)) this.emit({ op: "collect", gen: 0 });
    this.emit({ op: "freeze" });
    this.emit({ op: "new", name: "n3", kind: "node", items: [] });
    this.emit({ op: "set", obj: "n1", key: "s1", val: { n: "n3" } });
    for (const name of ["n1", "n2", "n3"]) if (this.chance(0.8)) this.emit({ op: "drop", name });
    this.emit({ op: "collect", gen: this.below(3) });
    this.emit({ op: "order" });
    if (!this.features.has("saveall")) this.emit({ op: "unfreeze" });
    this.emit({ op: "order" });
    this.emit({ op: "collect", gen: 2 });
  }

  /** A callback drops its own weak reference, which is then counted with the garbage. */
  lastCall() {
    this.emit({ op: "new", name: "n1", kind: "node", items: [] });
    this.emit({ op: "set", obj: "n1", key: "s0", val: { n: "n1" } });
    this.emit({ op: "weakref", name: "w1", target: "n1", cb: { do: ["drop", "w1"] } });
    this.emit({ op: "drop", name: "n1" });
    this.emit({ op: "collect", gen: this.pick([0, 2]) });
    this.emit({ op: "stats" });
  }

  /** Dicts and tuples that are tracked for a while. */
  untracking() {
    this.emit({ op: "new", name: "t1", kind: "tuple", items: [1, "text"] });
    this.emit({ op: "new", name: "t2", kind: "tuple", items: [{ n: "t1" }] });
    this.emit({ op: "new", name: "d1", kind: "dict", items: [] });
    this.emit({ op: "collect", gen: this.pick([0, 1, 2]) });
    this.emit({ op: "new", name: "n1", kind: "node", items: [] });
    const value = this.pick(["t1", "t2", "n1", "n1"]);
    this.emit({ op: "set", obj: "d1", key: "k0", val: { n: value } });
    this.emit({ op: "tracked", name: "d1" });
    if (this.chance(0.6)) this.emit({ op: "set", obj: "d1", key: "k0", val: 7 });
    this.emit({ op: "collect", gen: this.pick([1, 2, 2]) });
    for (const name of ["d1", "t1", "t2"]) this.emit({ op: "tracked", name });
    this.emit({ op: "order" });
  }

  /** A weak reference that was garbage and is brought back: its target lives, it does not. */
  revenant() {
    this.emit({ op: "new", name: "n1", kind: "node", items: [] });
    this.emit({ op: "weakref", name: "w1", target: "n1", cb: this.pick([null, "log"]) });
    this.emit({
      op: "new",
      name: "f1",
      kind: "fin",
      items: [{ n: "w1" }],
      do: [["resurrect_slot", "s0", "w2"]],
    });
    this.emit({ op: "set", obj: "f1", key: "s1", val: { n: "f1" } });
    this.emit({ op: "drop", name: "w1" });
    this.emit({ op: "drop", name: "f1" });
    this.emit({ op: "collect", gen: this.pick([0, 2]) });
    this.emit({ op: "deref", name: "w2" });
    this.emit({ op: "weakrefs", obj: "n1" });
    if (this.chance(0.5)) this.emit({ op: "drop", name: "n1" });
  }

  link(from, to) {
    if (from[0] === "t") return;
    const key = from[0] === "l" ? "append" : this.key(from, true);
    this.emit({ op: "set", obj: from, key, val: { n: to } });
  }

  islandCallback(names) {
    const nodes = names.filter((name) => name[0] === "n");
    if (nodes.length > 0 && this.chance(0.15)) return { n: this.pick(nodes) };
    return this.callback();
  }

  /** A finalizer's action. */
  action() {
    return this.pickWeighted(ACTIONS)(this);
  }

  /** Nodes nested past the trashcan's limit, some of them with a finalizer at their side; then the head goes. */
  deepChain() {
    const depth = this.pick([60, 110, 160]) + this.below(60);
    const finalizers = this.pick([0.3, 0.6, 1]);
    // Behind the next link, a finalizer tells when the links above it are through.
    const isBehind = this.chance(0.5);
    const link = (kind) => (this.isTyped || isBehind ? kind : this.pick([kind, kind, "l", "t", "d"]));
    this.emit({ op: "new", name: "n8", kind: "node", items: [] });
    let last = "n8";
    for (let level = 0; level < depth; level++) {
      const kind = link("n");
      const items = [{ n: last }];
      const fin = `f${10 + level}`;
      if (this.chance(finalizers)) {
        const actions = this.chance(0.15) ? [this.deepAction()] : this.chance(0.5) ? [["deref", "w7"]] : [];
        this.emit({ op: "new", name: fin, kind: "fin", do: actions });
        isBehind || this.chance(0.5) ? items.push({ n: fin }) : items.unshift({ n: fin });
        this.emit({ op: "weakref", name: "w9", target: fin, cb: this.pick(["log", null]) });
      }
      const name = `${kind}${8 + (level % 2)}`;
      this.emit({ op: "new", name, kind: KIND_NAMES[kind], items });
      // What is deferred is looked at meanwhile.
      if (depth - level === 51 && kind === "n")
        this.emit({ op: "weakref", name: "w7", target: name, cb: null });
      if (last !== name) this.emit({ op: "drop", name: last });
      if (items.length > 1) this.emit({ op: "drop", name: fin });
      last = name;
    }
    this.emit({ op: "drop", name: last });
    this.emit({ op: "order" });
  }
}

const SCENARIOS = [
  "bunch",
  "bunch",
  "untracking",
  "revenant",
  "overwrite",
  "letGo",
  "lastCall",
  "observers",
  "observers",
];
const KIND_NAMES = { n: "node", f: "fin", l: "list", t: "tuple", d: "dict" };

const ACTIONS = [
  [(g) => ["resurrect", g.name("z")], 3],
  [(g) => ["resurrect_slot", g.pick(SLOTS), g.name("u")], 2],
  [(g) => ["clear_slot", g.pick(SLOTS)], 2],
  [(g) => ["store", g.pick(SLOTS), g.anyName()], 2],
  [(g) => ["drop", g.anyName()], 3],
  [(g) => ["collect", g.below(3)], 2],
  [(g) => ["deref", g.name("w")], 2],
  [(g) => ["alloc", 1 + g.below(3)], 1],
  [(g) => ["mkweak", g.name("w"), g.pick(["self", "self", ...SLOTS]), g.pick([null, "log", "raise"])], 2],
  [() => ["isfin"], 2],
  [(g) => ["peek", g.holder(), g.pick(SLOTS)], 1],
  [() => ["raise"], 1],
];

function weigh(features) {
  const weights = [
    ["create", 14],
    ["set", 18],
    ["unset", 5],
    ["load", 4],
    ["alias", 2],
    ["drop", 16],
    ["weakref", 9],
    ["deref", 3],
    ["hasCallback", 1],
    ["weakrefs", 2],
    ["collect", 6],
    ["look", 8],
    ["order", 4],
    ["stats", 1],
  ];
  if (features.has("freeze")) weights.push(["freeze", 1.5]);
  if (features.has("saveall")) weights.push(["debug", 1.5], ["garbage", 3]);
  return weights;
}
