/**
 * What random programs are put together from. A local's name tells what kind of object it may hold (n node, f fin, l list,
 * t tuple, d dict, s set, w weak reference, z resurrected fin, u whatever was loaded), so that a program never asks an object
 * for what its kind has not. Names without an object are harmless: both sides answer with an error and do nothing.
 */
import { randomFrom } from "../random.mjs";

export const SLOTS = ["s0", "s1", "s2", "s3"];
export const KIND_NAMES = { n: "node", f: "fin", l: "list", t: "tuple", d: "dict", s: "set" };
const NAMES_PER_KIND = 7;

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

export class Choices {
  constructor(seed, features) {
    this.random = randomFrom(seed);
    this.features = features;
    this.isTyped = features.has("typed");
    this.program = [];
    /** Sets do not fit into typed slots: there they are made, but never stored. */
    this.hasSets = features.has("sets") && !this.isTyped;
    this.kinds = this.isTyped
      ? ["n", "f"]
      : ["n", "n", "f", "f", "l", "t", "d", ...(this.hasSets ? ["s"] : [])];
    this.actions = ACTIONS;
  }

  emit(operation) {
    this.program.push(operation);
  }

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
      : ["n", "n", "f", "f", "l", "t", "d", "w", "z", "u", ...(this.hasSets ? ["s"] : [])];
    return this.name(this.pick(kinds));
  }
  operand() {
    if (this.isTyped) return { n: this.anyName() };
    if (this.chance(0.12)) return this.pick([null, 1, 7, "text"]);
    return { n: this.anyName() };
  }
  holder() {
    return this.name(
      this.pick(
        this.isTyped
          ? ["n", "f", "z"]
          : ["n", "n", "f", "f", "z", "l", "l", "d", "d", "t", ...(this.hasSets ? ["s", "s"] : [])],
      ),
    );
  }
  key(holder, forStore) {
    switch (holder[0]) {
      case "l":
        return this.pick(forStore ? ["append", "append", 0, 1, 2] : ["pop", "clear", 0, 1, 2]);
      case "t":
        return this.below(3);
      case "s":
        return forStore ? "add" : "clear";
      case "d":
        return `k${this.below(4)}`;
      default:
        return this.pick(SLOTS);
    }
  }

  /** A finalizer's action. */
  action() {
    return this.pickWeighted(this.actions)(this);
  }
}
