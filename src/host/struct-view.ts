/** What a struct's class gets in one heap: accessors for its fields, and a way to make instances. */
import { HEADER_SERIAL } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import { type Codec, createCodec } from "./codec.js";
import { fillFromLiteral, nullAnySlots } from "./fill.js";
import { createFromLiteral } from "./literal.js";
import { defineShown } from "./show.js";
import { hide, stale, type View } from "./view.js";

export function defineStruct(type: BoundType): void {
  const { context, descriptor, slots, layout } = type;
  const codecs = slots.map(({ name, spec }, index) =>
    createCodec(context, spec, `${type.name}.${name}`, layout!.places[index].shift),
  );
  const prototype = Object.create((descriptor as { prototype: object }).prototype) as object;
  hide(prototype, "@type", type);
  defineShown(prototype);
  slots.forEach(({ name }, index) => {
    const access = accessor(context.core.memory.i32, layout!.places[index].offset, codecs[index]);
    Object.defineProperty(prototype, name, { ...access, enumerable: true, configurable: true });
  });
  type.View.prototype = prototype;
  context.handles.defineRelease(type, prototype);
  type.makeCreate = () => createFromLiteral(type, codecs);
  type.makeFill = () => fillFromLiteral(type, codecs);
  type.nullAnySlots = nullAnySlots(type, codecs);
}

/** Captured variables are parameters and never reassigned, so that the engine folds them into the code that inlines it. */
function accessor(i32: Int32Array, offset: number, codec: Codec): PropertyDescriptor & ThisType<View> {
  const { read, own, swap, disown } = codec;
  return {
    get() {
      const address = this["@address"];
      if (i32[address + HEADER_SERIAL] !== this["@serial"]) stale(this);
      return read(address + offset);
    },
    set(value: unknown) {
      const address = this["@address"];
      if (i32[address + HEADER_SERIAL] !== this["@serial"]) stale(this);
      const owned = own(value);
      // Building a literal may run code that frees this very object.
      if (i32[address + HEADER_SERIAL] !== this["@serial"]) {
        disown(owned);
        stale(this);
      }
      swap(address + offset, owned);
    },
  };
}
