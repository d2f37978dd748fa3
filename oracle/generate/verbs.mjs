/** Random operations, one at a time. */
import { Choices, KIND_NAMES } from "./choices.mjs";

export class Verbs extends Choices {
  create() {
    const kind = this.pick(this.kinds);
    const items = Array.from({ length: this.below(4) }, () => this.operandOf(kind));
    const operation = { op: "new", name: this.name(kind), kind: KIND_NAMES[kind], items };
    if (kind === "f") operation.do = Array.from({ length: this.below(4) }, () => this.action());
    return operation;
  }
  set() {
    const obj = this.holder();
    return { op: "set", obj, key: this.key(obj, true), val: this.operandOf(obj[0]) };
  }
  /** A set's members are mostly what may be in it. */
  operandOf(kind) {
    if (kind !== "s" || this.chance(0.05)) return this.operand();
    return { n: this.name(this.pick(["n", "n", "f", "f", "z"])) };
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
}

export function weigh(features) {
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
