/** Several operations that together lead to what a single one rarely does. */
import { KIND_NAMES, SLOTS } from "./choices.mjs";
import { Verbs } from "./verbs.mjs";

export class Scenarios extends Verbs {
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
    if (from[0] === "s" && !["n", "f", "z"].includes(to[0])) return;
    const key = from[0] === "l" ? "append" : this.key(from, true);
    this.emit({ op: "set", obj: from, key, val: { n: to } });
  }

  islandCallback(names) {
    const nodes = names.filter((name) => name[0] === "n");
    if (nodes.length > 0 && this.chance(0.15)) return { n: this.pick(nodes) };
    return this.callback();
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

export const SCENARIOS = [
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
