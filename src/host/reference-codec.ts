/** Reference slots: objects of the types that the schema allows, or literals that become one. */
import { InvalidArgumentError, TypeMismatchError } from "../memory/errors.js";
import { type Address, HEADER_REFCOUNT, HEADER_SERIAL, HEADER_TYPE, TYPE_ID_MASK } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import { type Codec, mismatch } from "./codec.js";
import type { Context } from "./context.js";
import { type SlotSpec, typeText } from "./fields.js";
import { show } from "./schema.js";
import { addressOf, asView, isLive, stale, type View } from "./view.js";

export function referenceCodec(context: Context, spec: SlotSpec, where: string): Codec {
  const { i32 } = context.core.memory;
  const { counts } = context.core;
  const targets = spec.targets.flatMap((target) => context.binder.allOf(target));
  const read = targets.length === 1 ? readOne(i32, targets[0]) : readSeveral(context);
  const own = ownReference(context, targets, spec, where);
  return {
    read,
    own,
    peek: (value) => {
      const view = asView(value);
      if (view === undefined)
        return value === null && spec.isOptional ? 0 : mismatch(where, expectedReference(spec), value);
      const isAllowed =
        targets.length > 0 ? targets.includes(view["@type"]) : view["@type"].context === context;
      return isAllowed ? addressOf(view) : refuseReference(context, spec, where, view);
    },
    ownDefault: () => {
      if (spec.isOptional) return 0;
      if (!spec.hasDefault)
        return mismatch(where, `given: ${expectedReference(spec)} has no zero value`, undefined);
      return targets[0].createEmpty();
    },
    put: (word, owned) => {
      i32[word] = owned as number;
    },
    swap: (word, owned) => {
      const old = i32[word];
      i32[word] = owned as number;
      if (old !== 0) counts.decref(old);
    },
    detach: (word) => i32[word],
    disown: (owned) => {
      if (owned !== 0) counts.decref(owned as number);
    },
    holds: (word, value) => {
      const view = asView(value);
      if (view === undefined) return value === null && i32[word] === 0;
      if (view["@type"].context !== context) return false;
      context.sharing?.admit(view);
      return isLive(view) && view["@address"] === i32[word];
    },
  };
}

function readOne(i32: Int32Array, target: BoundType): (word: Address) => View | null {
  const { View } = target;
  return (word) => {
    const object = i32[word];
    return object === 0 ? null : new View(object, i32[object + HEADER_SERIAL]);
  };
}

function readSeveral(context: Context): (word: Address) => View | null {
  const { i32 } = context.core.memory;
  const { views } = context.binder;
  return (word) => {
    const object = i32[word];
    return object === 0
      ? null
      : new views[i32[object + HEADER_TYPE] & TYPE_ID_MASK](object, i32[object + HEADER_SERIAL]);
  };
}

function expectedReference(spec: SlotSpec): string {
  const types = spec.targets.map(typeText).join(" or ") || "a heap object";
  return spec.isOptional ? `${types}, or null` : types;
}

function ownReference(
  context: Context,
  targets: readonly BoundType[],
  spec: SlotSpec,
  where: string,
): (value: unknown) => Address {
  const { i32 } = context.core.memory;
  const target = targets[0];
  const isSingle = targets.length === 1;
  const { sharing } = context;
  const allows = (type: BoundType | undefined) =>
    targets.length > 0 ? targets.includes(type as BoundType) : type?.context === context;
  return (value) => {
    if (typeof value === "object" && value !== null) {
      const type = (value as View)["@type"];
      if (isSingle ? type === target : allows(type)) {
        const object = (value as View)["@address"];
        if (sharing !== undefined) sharing.admit(value as View);
        if (i32[object + HEADER_SERIAL] !== (value as View)["@serial"]) stale(value as View);
        i32[object + HEADER_REFCOUNT]++;
        return object;
      }
      if (isSingle && (type === undefined || asView(value) === undefined)) return createNested(target, value);
      refuseReference(context, spec, where, value);
    }
    if (value === null && spec.isOptional) return 0;
    return mismatch(where, expectedReference(spec), value);
  };
}

/** A literal nested deeper than this is refused: the makers of nested types call one another. */
const NESTING_MAX = 1000;
let nesting = 0;

function createNested(target: BoundType, literal: object): Address {
  if (nesting >= NESTING_MAX)
    throw new InvalidArgumentError(
      `A literal may be nested ${NESTING_MAX} deep. Build deeper structures from the inside out, or copy plain data with heap.from.`,
    );
  nesting++;
  try {
    return target.create(literal);
  } finally {
    nesting--;
  }
}

/** An object that may not be stored here: of another type, of another heap, or a literal where none can be built. */
function refuseReference(context: Context, spec: SlotSpec, where: string, value: object): never {
  const view = asView(value);
  if (view === undefined)
    throw new TypeMismatchError(
      `${where} must be ${expectedReference(spec)}, got ${show(value)}: which of the types a literal should become is unknown. Make it with heap.new.`,
    );
  if (view["@type"].context !== context)
    throw new TypeMismatchError(
      `${where} cannot refer to a ${view["@type"].name} of another heap. Copy it: heap.from(other.toJS(ref)).`,
      "FOREIGN_HEAP",
    );
  throw new TypeMismatchError(`${where} must be ${expectedReference(spec)}, got a ${view["@type"].text}.`);
}
