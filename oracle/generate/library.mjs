/** What the newer features are made of, and operations and scenarios of weak containers, `finalize` and the exit. */
import { SLOTS } from "./choices.mjs";
import { SetsAndProxies } from "./proxies.mjs";

/** By feature: single operations with their weights, scenarios, and finalizer actions. */
const TERRITORIES = {
  sets: {
    weights: [
      ["grow", 10],
      ["discard", 6],
      ["has", 1],
      ["members", 3],
    ],
    scenarios: ["setBunch", "setCycle"],
    actions: [[(g) => ["peek", g.name("s"), "s0"], 1]],
  },
  proxies: {
    weights: [
      ["proxy", 5],
      ["proxyLoad", 3],
      ["proxySet", 4],
      ["proxyUnset", 2],
      ["proxyDrop", 3],
    ],
    scenarios: ["proxyObservers", "proxyLastReference", "runningCall"],
    actions: [
      [(g) => ["pdrop", g.name("p")], 1],
      [(g) => ["pload", g.name("p"), g.pick(SLOTS)], 2],
    ],
  },
  weakcontainers: {
    weights: [
      ["containerNew", 1],
      ["containerSet", 8],
      ["containerDelete", 2],
      ["containerGet", 3],
      ["containerLook", 4],
      ["iterate", 2],
      ["advance", 5],
      ["close", 1],
      ["containerDrop", 0.3],
    ],
    scenarios: ["openIterators", "openIterators", "movingOn", "lastHeld"],
    actions: [[(g) => ["wlen", g.name("c")], 2]],
  },
  finalize: {
    weights: [
      ["finalize", 6],
      ["finalizeCall", 2],
      ["finalizeDetach", 1],
      ["finalizeLook", 2],
    ],
    scenarios: ["finalizeObservers"],
    actions: [
      [(g) => ["fcall", g.name("x")], 1],
      [(g) => ["fdetach", g.name("x")], 1],
      [(g) => ["falive", g.name("x")], 2],
    ],
  },
  shutdown: { weights: [["finalize", 3]], scenarios: [], actions: [] },
};

export class LibraryScenarios extends SetsAndProxies {
  constructor(seed, features) {
    super(seed, features);
    this.territories = Object.keys(TERRITORIES)
      .filter((feature) => features.has(feature))
      .map((feature) => TERRITORIES[feature]);
    this.actions = [...this.actions, ...this.territories.flatMap(({ actions }) => actions)];
  }

  libraryWeights() {
    return this.territories.flatMap(({ weights }) => weights);
  }
  libraryScenarios() {
    return this.territories.flatMap(({ scenarios }) => scenarios);
  }

  // -- weak containers ------------------------------------------------------------------------

  /** The number of a container's name tells its kind. */
  containerKind(name) {
    return ["values", "keys", "set"][Number(name[1]) % 3];
  }
  containerNew() {
    const name = this.name("c");
    return { op: "wnew", name, kind: this.containerKind(name) };
  }
  containerSet() {
    const name = this.existing("c");
    if (!this.live.has(name)) return { op: "wnew", name, kind: this.containerKind(name) };
    const target = this.chance(0.95) ? this.instance() : this.anyName();
    return { op: "wset", name, target, key: `k${this.below(5)}`, val: this.below(100) };
  }
  containerDelete() {
    return { op: "wdel", name: this.existing("c"), target: this.instance(), key: `k${this.below(5)}` };
  }
  containerGet() {
    const op = this.pick(["wget", "whas"]);
    return { op, name: this.existing("c"), target: this.instance(), key: `k${this.below(5)}` };
  }
  containerLook() {
    return { op: this.pick(["wlen", "witems"]), name: this.existing("c") };
  }
  iterate() {
    const iterators = [this.name("i"), this.name("i")].slice(0, 1 + this.below(2));
    return { op: "witer", name: this.existing("c"), iterators: [...new Set(iterators)] };
  }
  advance() {
    return { op: "wnext", name: this.existing("i") };
  }
  close() {
    return { op: "wclose", name: this.existing("i") };
  }
  containerDrop() {
    return { op: "wdrop", name: this.existing("c") };
  }

  /** Objects die by count, in a collection and because an iterator moves on, while iterators are open. */
  openIterators() {
    const name = this.name("c");
    const kind = this.containerKind(name);
    const iterators = ["i7", "i8"].slice(0, 1 + this.below(2));
    const members = Array.from(
      { length: 2 + this.below(5) },
      (_, index) => `${this.pick(["n", "f"])}${index}`,
    );
    this.emit({ op: "wnew", name, kind });
    for (const [index, member] of members.entries()) {
      const actions = [["wlen", name], this.chance(0.3) ? ["drop", this.pick(members)] : this.action()];
      const isFin = member[0] === "f";
      this.emit({
        op: "new",
        name: member,
        kind: isFin ? "fin" : "node",
        items: [],
        do: isFin ? actions : undefined,
      });
      if (this.chance(0.4)) this.emit({ op: "set", obj: member, key: "s0", val: { n: member } });
      this.emit({ op: "wset", name, target: member, key: `k${index}`, val: index });
      if (this.chance(0.3))
        this.emit({ op: "weakref", name: this.name("w"), target: member, cb: { do: ["wlen", name] } });
    }
    this.emit({ op: "weakrefs", obj: this.pick(members) });
    this.emit({ op: "witer", name, iterators });
    for (let steps = 4 + this.below(10); steps > 0; steps--)
      this.emit(this.iterationStep(name, iterators, members));
    for (const own of iterators) this.emit({ op: "wclose", name: own });
    for (const op of ["wlen", "witems", "order"]) this.emit({ op, name });
  }
  /** The iterator holds the last reference to an object that takes the next one with it, if that is not held yet. */
  movingOn() {
    const name = this.name("c");
    this.emit({ op: "wnew", name, kind: this.containerKind(name) });
    const does = {
      f1: [
        ["drop", "n2"],
        ["wlen", name],
      ],
      f3: [["drop", "f1"]],
      n2: undefined,
    };
    for (const [index, member] of ["f3", "f1", "n2"].entries()) {
      this.emit({
        op: "new",
        name: member,
        kind: member === "n2" ? "node" : "fin",
        items: [],
        do: does[member],
      });
      this.emit({ op: "wset", name, target: member, key: `k${index}`, val: index });
    }
    this.emit({ op: "witer", name, iterators: ["i9"] });
    this.emit({ op: "drop", name: "f3" });
    for (let steps = 0; steps < 4; steps++) this.emit({ op: "wnext", name: "i9" });
    this.emit({ op: "wclose", name: "i9" });
  }

  /** The last object that an iterator holds dies at its end, and its finalizer collects others of the container. */
  lastHeld() {
    const name = this.name("c");
    this.emit({ op: "wnew", name, kind: this.containerKind(name) });
    this.emit({
      op: "new",
      name: "f1",
      kind: "fin",
      items: [],
      do: [
        ["wlen", name],
        ["collect", 2],
      ],
    });
    this.emit({ op: "wset", name, target: "f1", key: "k1", val: 1 });
    this.emit({ op: "new", name: "n2", kind: "node", items: [] });
    this.emit({ op: "set", obj: "n2", key: "s0", val: { n: "n2" } });
    this.emit({ op: "wset", name, target: "n2", key: "k2", val: 2 });
    this.emit({ op: "witer", name, iterators: ["i9"] });
    for (const member of ["n2", "f1"]) this.emit({ op: "drop", name: member });
    this.emit({ op: "wclose", name: "i9" });
    this.emit({ op: "wlen", name });
  }

  iterationStep(name, iterators, members) {
    const choice = this.random();
    if (choice < 0.35) return { op: "wnext", name: this.pick(iterators) };
    if (choice < 0.7) return { op: "drop", name: this.pick(members) };
    if (choice < 0.8) return { op: "collect", gen: this.pick([0, 2]) };
    if (choice < 0.9) return { op: "wlen", name };
    if (choice < 0.95) return { op: "order" };
    return { op: "wget", name, target: this.pick(members), key: `k${this.below(5)}` };
  }

  // -- finalize -------------------------------------------------------------------------------

  finalize() {
    const actions = Array.from({ length: this.below(3) }, () => this.functionAction());
    const target = this.chance(0.95) ? this.instance() : this.anyName();
    return { op: "finalize", name: this.name("x"), target, do: actions, atexit: this.chance(0.8) };
  }
  finalizeCall() {
    return { op: "fcall", name: this.existing("x") };
  }
  finalizeDetach() {
    return { op: "fdetach", name: this.existing("x") };
  }
  finalizeLook() {
    if (this.chance(0.5)) return { op: "falive", name: this.existing("x") };
    return this.chance(0.5)
      ? { op: "fatexit", name: this.existing("x") }
      : { op: "fatexit", name: this.existing("x"), value: this.chance(0.5) };
  }

  /** What is left for the exit: of objects that are held to the end, some with functions that make one more. */
  lastFinalizers() {
    for (const number of [0, 1, 2, 3]) {
      const node = `n${number}`;
      this.emit({ op: "new", name: node, kind: "node", items: [] });
      const actions = [this.functionAction()];
      if (this.chance(0.4)) actions.unshift(["fnew", `x${4 + number}`, "n6"]);
      this.emit({ op: "finalize", name: `x${number}`, target: node, do: actions, atexit: this.chance(0.8) });
    }
  }

  /** Objects of different generations that are held to the end. */
  apart() {
    for (const [index, name] of ["f5", "f6", "f4"].entries()) {
      this.emit({ op: "new", name, kind: "fin", items: [], do: this.chance(0.3) ? [this.action()] : [] });
      if (index < 2) this.emit({ op: "collect", gen: this.pick([0, 1 - index]) });
    }
  }

  /** Several finalizers and weak references of one object: who is called when, and who takes whose turn away. */
  finalizeObservers() {
    const target = this.pick(["n1", "f1"]);
    this.emit({ op: "new", name: target, kind: target === "n1" ? "node" : "fin", items: [], do: [] });
    const own = ["x1", "x2", "x3"];
    const turns = () =>
      this.pick([
        ["fdetach", this.pick(own)],
        ["fcall", this.pick(own)],
        ["falive", this.pick(own)],
      ]);
    for (const name of own) {
      this.emit({ op: "finalize", name, target, do: this.chance(0.7) ? [turns()] : [] });
      if (this.chance(0.4)) this.emit({ op: "weakref", name: this.name("w"), target, cb: { do: turns() } });
    }
    this.emit({ op: "weakrefs", obj: target });
    if (this.chance(0.3)) this.emit({ op: this.pick(["fcall", "fdetach"]), name: this.pick(own) });
    const isCycle = this.chance(0.5);
    if (isCycle) this.emit({ op: "set", obj: target, key: "s0", val: { n: target } });
    this.emit({ op: "drop", name: target });
    if (isCycle) this.emit({ op: "collect", gen: this.pick([0, 2]) });
    for (const name of own) this.emit({ op: "falive", name });
  }
}
