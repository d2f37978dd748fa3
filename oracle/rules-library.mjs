/** The rules for proxies, weak containers, `finalize` and the end, as those in rules.mjs. */
const containers = "src/host/weak-containers.ts";
const finalizers = "src/host/finalize.ts";
const shutdown = "src/host/shutdown.ts";

export const LIBRARY_RULES = [
  {
    rule: "6.7 a proxy's target is held while a slot is written through it",
    file: "src/host/weak-proxy.ts",
    from: "        counts.incref(address);\n        try {\n          return Reflect.set(view, name, value);\n        } finally {\n          counts.decref(address);\n        }",
    to: "        return Reflect.set(view, name, value);",
  },
  {
    rule: "6.7 an entry whose object died stays while an iterator is open",
    file: containers,
    from: "if (this.openIterators > 0) this.pending.set(entry, key);",
    to: "if (this.openIterators > 1e9) this.pending.set(entry, key);",
  },
  {
    rule: "6.7 it stays until the last iterator ends",
    file: containers,
    from: "if (--this.openIterators === 0) this.commit();",
    to: "--this.openIterators;\n      this.commit();",
    unobservable:
      "an entry that waits is passed over as if it were gone; a Map's iterators, unlike Python's, go on when it goes",
  },
  {
    rule: "6.7 an iterator lets go of an object after it has taken the next one",
    file: containers,
    from: "        const previous = held;\n        held = ref.deref();\n        if (previous !== undefined) release(previous);\n",
    to: "        const previous = held;\n        if (previous !== undefined) release(previous);\n        held = ref.deref();\n",
  },
  {
    rule: "6.7 at its end it removes what waits before it lets go of the last object",
    file: containers,
    from: "      if (--this.openIterators === 0) this.commit();\n      if (held !== undefined) release(held);\n",
    to: "      if (held !== undefined) release(held);\n      if (--this.openIterators === 0) this.commit();\n",
  },
  {
    rule: "6.7 what waits to be removed does not count",
    file: containers,
    from: "return this.entries.size - this.pending.size;",
    to: "return this.entries.size;",
  },
  {
    rule: "6.8 a finalize is called once",
    file: finalizers,
    from: "const fire = () => (end() ? run(...args) : undefined);",
    to: "const fire = () => {\n    end();\n    return run(...args);\n  };",
  },
  {
    rule: "6.8 it is over before its function runs",
    file: finalizers,
    from: "const fire = () => (end() ? run(...args) : undefined);",
    to: "const fire = () => {\n    if (!registry.has(key)) return undefined;\n    const result = run(...args);\n    end();\n    return result;\n  };",
  },
  {
    rule: "6.8 it cannot be detached once its object is dead",
    file: finalizers,
    from: "registry.has(key) && ref?.alive === true && end()",
    to: "end()",
  },
  {
    rule: "6.8 at the exit the newest runs first",
    file: finalizers,
    from: "const last = pending.pop();",
    to: "const last = pending.shift();",
  },
  {
    rule: "6.8 one that is made meanwhile runs next",
    file: finalizers,
    from: "      if (this.isDirty) {",
    to: "      if (this.isDirty && pending.length === 0) {",
  },
  {
    rule: "6.8 what is not for the exit does not run there",
    file: finalizers,
    from: ".filter(({ atexit }) => atexit)",
    to: "",
  },
  {
    rule: "9 finalize comes before the exit's collection",
    file: shutdown,
    from: "  context.pools.closeAll();\n  runAtExit(context);\n  // Called",
    to: "  if (context.heap.gc.isEnabled()) context.heap.gc.collect();\n  context.pools.closeAll();\n  runAtExit(context);\n  // Called",
  },
  {
    rule: "9 a full collection, if collection is on, comes before what handles hold",
    file: shutdown,
    from: "    if (gc.isEnabled()) gc.collect();\n",
    to: "",
  },
  {
    rule: "9 what handles hold dies oldest first",
    file: "src/gc/roots.ts",
    from: "[2, PERMANENT, 1, 0].flatMap",
    to: "[0, 1, PERMANENT, 2].flatMap",
  },
  {
    rule: "9 cycles that are left are collected at last",
    file: shutdown,
    from: "    gc.collect();\n    tellGarbage(context);",
    to: "    tellGarbage(context);",
  },
  {
    rule: "9 gc.callbacks see what finalizers collect meanwhile, and not that last collection",
    file: shutdown,
    from: "    gc.callbacks.length = 0;\n",
    to: "",
  },
];
