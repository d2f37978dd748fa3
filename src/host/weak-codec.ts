/** Weak slots: what is stored is the shared weak reference of an object, what is read and written is the object. */
import { TypeMismatchError } from "../memory/errors.js";
import { type Address, HEADER_REFCOUNT } from "../memory/layout.js";
import type { Codec } from "./codec.js";
import type { Context } from "./context.js";
import { typeText } from "./fields.js";
import { type ObjectDescriptor, show } from "./schema.js";
import { addressOf, asView } from "./view.js";

export function weakCodec(context: Context, descriptors: readonly ObjectDescriptor[], where: string): Codec {
  const { counts, weakrefs } = context.core;
  const { i32 } = context.core.memory;
  const targets = descriptors.flatMap((descriptor) => context.binder.allOf(descriptor));
  const expected = `${descriptors.map(typeText).join(" or ")}, or null`;
  const targetOf = (word: Address) => (i32[word] === 0 ? 0 : weakrefs.target(i32[word]));
  const drop = (ref: number) => {
    if (ref !== 0) counts.decref(ref);
  };

  function own(value: unknown): Address {
    if (value === null) return 0;
    const view = asView(value);
    if (view === undefined)
      throw new TypeMismatchError(
        `${where} must be ${expected}, got ${show(value)}: a weak reference keeps nothing alive, so there is nothing it could build.`,
      );
    if (view["@type"].context !== context)
      throw new TypeMismatchError(
        `${where} cannot refer to a ${view["@type"].name} of another heap.`,
        "FOREIGN_HEAP",
      );
    if (!targets.includes(view["@type"]))
      throw new TypeMismatchError(`${where} must be ${expected}, got a ${view["@type"].text}.`);
    const target = addressOf(view);
    // The allocation may collect, and the last other reference may go meanwhile.
    i32[target + HEADER_REFCOUNT]++;
    try {
      return weakrefs.create(target);
    } finally {
      counts.decref(target);
    }
  }

  return {
    own,
    read: (word) => {
      const target = targetOf(word);
      return target === 0 ? null : context.binder.view(target);
    },
    ownDefault: () => 0,
    put: (word, owned) => {
      i32[word] = owned as number;
    },
    swap: (word, owned) => {
      const old = i32[word];
      i32[word] = owned as number;
      drop(old);
    },
    detach: (word) => i32[word],
    disown: (owned) => drop(owned as number),
    handOver: (owned) => {
      const target = owned === 0 ? 0 : weakrefs.target(owned as number);
      if (target !== 0) i32[target + HEADER_REFCOUNT]++;
      drop(owned as number);
      return target === 0 ? null : context.binder.typeOf(target).handle(target);
    },
    holds: (word, value) => {
      const view = asView(value);
      if (view === undefined) return value === null && targetOf(word) === 0;
      return view["@type"].context === context && targetOf(word) === addressOf(view);
    },
  };
}
