/** Sets in JavaScript: Set's protocol over a heap set. */
import type { Address } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import { checkIterable, checkVisitor } from "./list-view.js";
import { defineShown } from "./show.js";
import { defineMethods, defineTable, makeTableIterator, reserveFor } from "./table-view.js";
import { addressOf, hide, type View } from "./view.js";

/** Behind every set view, so that tools can tell one. */
export class HashSetView {}

export function defineSet(type: BoundType): void {
  const { context } = type;
  const { counts, tables } = context.core;
  const prototype = Object.create(HashSetView.prototype) as object;
  hide(prototype, "@type", type);
  defineShown(prototype);
  const access = defineTable(prototype, type);
  const { keys } = access;
  const Members = makeTableIterator(type, access, (entry) => keys.read(entry));

  function add(set: Address, member: unknown): void {
    if (keys.find(set, member) === 0) keys.insert(set);
  }

  defineMethods(prototype, type, access, undefined, {
    add(this: View, member: unknown) {
      add(addressOf(this), member);
      return this;
    },
    delete(this: View, member: unknown) {
      const set = addressOf(this);
      const entry = keys.find(set, member);
      if (entry === 0) return false;
      keys.remove(set, entry);
      keys.dropKey();
      return true;
    },
  });
  const values = function (this: View) {
    return new Members(this);
  };
  hide(prototype, "values", values);
  hide(prototype, Symbol.iterator, values);
  hide(prototype, "forEach", function (this: View, visit: (member: unknown) => void) {
    checkVisitor(visit);
    for (const member of new Members(this)) visit(member);
  });

  type.View.prototype = prototype;
  context.handles.defineRelease(type, prototype);
  type.createEmpty = () => tables.create(type.id);
  type.makeCreate = () => (init) => {
    checkIterable(type, init);
    const set = type.createEmpty();
    context.inside++;
    try {
      reserveFor(type, set, init);
      for (const member of init) add(set, member);
    } catch (error) {
      counts.decref(set);
      throw error;
    } finally {
      context.inside--;
    }
    return set;
  };
}
