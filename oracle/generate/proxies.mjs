/** Operations and scenarios of sets and proxies, and names that have objects, for programs with these features. */
import { SLOTS } from "./choices.mjs";
import { Scenarios } from "./scenarios.mjs";

const MAKERS = new Set(["new", "alias", "load", "weakref", "proxy", "pload", "wnew", "finalize"]);
const ENDERS = new Set(["drop", "pdrop", "wdrop", "wclose"]);

export class SetsAndProxies extends Scenarios {
  constructor(seed, features) {
    super(seed, features);
    /** Names that probably have an object: finalizers and failures are not followed. */
    this.live = new Set();
  }

  emit(operation) {
    super.emit(operation);
    const { op, name } = operation;
    if (MAKERS.has(op)) this.live.add(name);
    else if (ENDERS.has(op)) this.live.delete(name);
    for (const iterator of operation.iterators ?? []) this.live.add(iterator);
  }

  /** A name of one of some kinds, mostly one that has an object. */
  existing(...kinds) {
    const names = [...this.live].filter((name) => kinds.includes(name[0]));
    return names.length > 0 && this.chance(0.85) ? this.pick(names) : this.name(this.pick(kinds));
  }

  instance() {
    return this.existing("n", "f", "z");
  }
  /** What callbacks of the library's kinds do: they have no object of their own. */
  plainCallback() {
    const choice = this.random();
    if (choice < 0.4) return "log";
    if (choice < 0.5) return "raise";
    if (choice < 0.65) return "collect";
    return { do: this.functionAction() };
  }
  functionAction() {
    const actions = [["drop", this.anyName()], ["collect", this.below(3)], ["alloc", 2], ["raise"]];
    if (this.features.has("finalize") || this.features.has("shutdown")) {
      actions.push(["fcall", this.name("x")], ["fdetach", this.name("x")], ["falive", this.name("x")]);
      actions.push(["fnew", this.name("x"), this.name("n")]);
    }
    if (this.features.has("weakcontainers")) actions.push(["wlen", this.name("c")]);
    if (this.features.has("proxies")) actions.push(["pdrop", this.name("p")]);
    return this.pick(actions);
  }

  // -- sets -----------------------------------------------------------------------------------

  grow() {
    const obj = this.existing("s");
    if (this.live.has(obj)) return { op: "set", obj, key: "add", val: { n: this.instance() } };
    const items = Array.from({ length: this.below(4) }, () => ({ n: this.instance() }));
    return { op: "new", name: obj, kind: "set", items };
  }
  discard() {
    return { op: "discard", obj: this.existing("s"), val: { n: this.instance() } };
  }
  has() {
    return { op: "has", obj: this.existing("s"), val: { n: this.instance() } };
  }
  members() {
    return { op: "members", obj: this.existing("s") };
  }

  /** Finalizers held by one set alone, also by one whose table has grown: in which order it lets them go. */
  setBunch() {
    const names = Array.from(
      { length: 1 + this.below(this.chance(0.2) ? 24 : 5) },
      (_, index) => `f${index}`,
    );
    this.emit({ op: "new", name: "s0", kind: "set", items: [] });
    for (const name of names) {
      const actions = this.chance(0.6) ? [["peek", "s0", "s0"], this.action()] : [];
      this.emit({ op: "new", name, kind: "fin", items: [], do: actions });
      this.emit({ op: "set", obj: "s0", key: "add", val: { n: name } });
    }
    if (this.chance(0.5)) this.emit({ op: "discard", obj: "s0", val: { n: this.pick(names) } });
    this.emit({ op: "referents", name: "s0" });
    if (this.chance(0.3))
      this.emit({ op: "weakref", name: "w0", target: "s0", cb: this.pick([null, "log", "collect"]) });
    for (const name of names) this.emit({ op: "drop", name });
    if (this.chance(0.4)) this.emit({ op: "unset", obj: "s0", key: "clear" });
    this.emit({ op: "drop", name: "s0" });
    this.emit({ op: "order" });
  }

  /** A set on a cycle with its members. */
  setCycle() {
    const names = ["n1", "f1", "n2", "f2"].slice(0, 2 + this.below(3));
    for (const name of names)
      this.emit({
        op: "new",
        name,
        kind: name[0] === "n" ? "node" : "fin",
        items: [],
        do: name[0] === "f" ? [this.action()] : undefined,
      });
    this.emit({ op: "new", name: "s1", kind: "set", items: names.map((n) => ({ n })) });
    if (!this.isTyped)
      for (const name of names)
        if (this.chance(0.6)) this.emit({ op: "set", obj: name, key: this.pick(SLOTS), val: { n: "s1" } });
    if (this.chance(0.4)) this.emit({ op: "weakref", name: "w1", target: "s1", cb: "log" });
    for (const name of [...names, "s1"]) if (this.chance(0.95)) this.emit({ op: "drop", name });
    this.emit({ op: "order" });
    this.emit({ op: "collect", gen: this.pick([0, 1, 2]) });
    this.emit({ op: "order" });
  }

  // -- proxies --------------------------------------------------------------------------------

  proxy() {
    const cb = this.chance(0.4) ? null : this.plainCallback();
    return { op: "proxy", name: this.name("p"), target: this.instance(), cb };
  }
  proxyLoad() {
    return { op: "pload", name: this.name("u"), obj: this.existing("p"), key: this.pick(SLOTS) };
  }
  proxySet() {
    return {
      op: "pset",
      obj: this.existing("p"),
      key: this.pick(SLOTS),
      val: this.chance(0.8) ? { n: this.instance() } : this.operand(),
    };
  }
  proxyUnset() {
    return { op: "punset", obj: this.existing("p"), key: this.pick(SLOTS) };
  }
  proxyDrop() {
    return { op: "pdrop", name: this.existing("p") };
  }

  /** References and proxies of one object: what is shared, in which order they stand and are called. */
  proxyObservers() {
    const target = this.pick(["n1", "f1"]);
    this.emit({ op: "new", name: target, kind: target === "n1" ? "node" : "fin", items: [], do: [] });
    for (const number of [1, 2, 3, 4]) {
      const cb = this.chance(0.4) ? null : this.plainCallback();
      if (this.chance(0.5)) this.emit({ op: "proxy", name: `p${number}`, target, cb });
      else this.emit({ op: "weakref", name: `w${number}`, target, cb });
      if (this.chance(0.2)) this.emit({ op: "pdrop", name: `p${1 + this.below(4)}` });
    }
    this.emit({ op: "weakrefs", obj: target });
    this.emit({ op: "order" });
    if (this.chance(0.3)) this.emit({ op: "set", obj: target, key: "s0", val: { n: target } });
    this.emit({ op: "drop", name: target });
    if (this.chance(0.5)) this.emit({ op: "collect", gen: this.pick([0, 2]) });
    for (const number of [1, 2, 3, 4]) this.emit({ op: "pload", name: "u0", obj: `p${number}`, key: "s0" });
    this.emit({ op: "order" });
  }

  /** Several calls are pending, and one of them collects while nothing holds its weak reference from outside but itself. */
  runningCall() {
    this.emit({ op: "new", name: "n1", kind: "node", items: [] });
    this.emit({ op: "weakref", name: "w1", target: "n1", cb: "collect" });
    if (!this.isTyped) {
      this.emit({ op: "new", name: "n5", kind: "node", items: [{ n: "w1" }] });
      this.emit({ op: "drop", name: "w1" });
    }
    if (this.chance(0.5))
      this.emit({ op: "weakref", name: "w2", target: "n1", cb: this.pick(["log", { n: "n5" }]) });
    else this.emit({ op: "proxy", name: "p2", target: "n1", cb: this.plainCallback() });
    this.emit({ op: "drop", name: "n1" });
    this.emit({ op: "order" });
  }

  /** What a proxy's target holds in a slot holds the target: overwriting the slot through the proxy ends both. */
  proxyLastReference() {
    const finalizer = () => (this.chance(0.5) ? [this.action()] : []);
    this.emit({ op: "new", name: "f1", kind: "fin", items: [], do: finalizer() });
    this.emit({ op: "new", name: "f2", kind: "fin", items: [{ n: "f1" }], do: finalizer() });
    this.emit({ op: "new", name: "f3", kind: "fin", items: [], do: [] });
    this.emit({ op: "set", obj: "f2", key: "s1", val: { n: "f3" } });
    this.emit({ op: "set", obj: "f1", key: "s2", val: { n: "f2" } });
    this.emit({ op: "proxy", name: "p1", target: "f1", cb: this.pick([null, "log"]) });
    for (const name of ["f1", "f2", "f3"]) this.emit({ op: "drop", name });
    if (this.chance(0.5)) this.emit({ op: "punset", obj: "p1", key: "s2" });
    else this.emit({ op: "pset", obj: "p1", key: "s2", val: this.operand() });
    this.emit({ op: "pload", name: "u1", obj: "p1", key: "s2" });
  }
}
