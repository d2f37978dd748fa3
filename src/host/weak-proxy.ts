/** Python's `weakref.proxy`: every use is passed on to the target, or refused once it is dead. */
import { DeadReferenceError } from "../memory/errors.js";
import type { Context } from "./context.js";
import { addressOf, type View } from "./view.js";

export function weakProxy(context: Context, ref: View): object {
  const { weakrefs, counts } = context.core;
  const release = () => ref["@release"]();
  const target = (): object => {
    context.requireReadable();
    const object = weakrefs.target(addressOf(ref));
    if (object === 0) throw new DeadReferenceError("The object that this weak proxy stood for is gone.");
    return context.binder.view(object);
  };
  return new Proxy(
    {},
    {
      get(_, name) {
        if (name === "@release" || name === Symbol.dispose) return release;
        const view = target();
        return Reflect.get(view, name, view);
      },
      set(_, name, value) {
        context.requireOpen(); // a count is written before the view's own member is asked
        const view = target();
        const address = addressOf(view as View);
        // CPython's proxy_setattr: the old value may hold the target's last reference, which goes when its own death is over.
        counts.incref(address);
        try {
          return Reflect.set(view, name, value);
        } finally {
          counts.decref(address);
        }
      },
      has: (_, name) => Reflect.has(target(), name),
      getPrototypeOf: () => Reflect.getPrototypeOf(target()),
      ownKeys: () => [],
    },
  );
}
