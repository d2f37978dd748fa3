/**
 * The rules of CPython 3.11's memory management that the heap follows, each with a change that breaks it. The numbers are
 * those of docs/python.md.
 */
import { LIBRARY_RULES } from "./rules-library.mjs";

const counts = "src/object/refcount.ts";
const lifetime = "src/object/lifetime.ts";
const weakref = "src/object/weakref.ts";
const collect = "src/gc/collect.ts";
const finalize = "src/gc/finalize.ts";
const partition = "src/gc/partition.ts";
const bulk = "src/gc/bulk-death.ts";
const generation = "src/object/generation.ts";
const tracking = "src/object/tracking.ts";
const traverse = "src/object/traverse.ts";
const tables = "src/object/hash-table.ts";
const promotion = "src/gc/promotion.ts";
const youngPartition = "src/gc/young-partition.ts";
const settled = "src/object/settled.ts";

export const RULES = [
  {
    rule: "1.2 overwriting stores the new reference, then drops the old one",
    file: "src/host/any-codec.ts",
    from: "      put(word, owned);\n      counts.decrefAny(low, high);",
    to: "      counts.decrefAny(low, high);\n      put(word, owned);",
  },
  {
    rule: "1.3 a list that is cleared drops its items last to first",
    file: "src/object/list.ts",
    from: "for (let index = oldLength - 1; index >= 0; index--)",
    to: "for (let index = 0; index < oldLength; index++)",
  },
  {
    rule: "1.3 a dying list or tuple drops its items last to first",
    file: counts,
    from: "items + (length - nextCursor) * words",
    to: "items + (nextCursor - 1) * words",
  },
  {
    rule: "1.3 a dying instance drops its slots in order",
    file: counts,
    from: "i32[edges + nextCursor++]",
    to: "i32[edges + count - 1 - nextCursor++]",
  },
  {
    rule: "1.3 a dying dict drops its entries in insertion order",
    file: counts,
    from: "entries + (nextCursor >> 1) * words",
    to: "entries + (used - 1 - (nextCursor >> 1)) * words",
  },
  {
    rule: "1.4 a list is visited last to first",
    file: traverse,
    from: "for (let index = length - 1; index >= 0; index--) this.visit(slot, items + index * 2);",
    to: "for (let index = 0; index < length; index++) this.visit(slot, items + index * 2);",
  },
  {
    rule: "1.4 a weak reference is visited through to its callback",
    file: "src/object/type.ts",
    from: "  traverse: 1,\n  drop: 1,",
    to: "  traverse: 0,\n  drop: 1,",
  },
  {
    rule: "1.3 a set that is cleared drops its members first to last",
    file: tables,
    from: "    for (let number = 0; number < used; number++, entry += entryWords(itemSlot)) {",
    to: "    entry += (used - 1) * entryWords(itemSlot);\n    for (let number = 0; number < used; number++, entry -= entryWords(itemSlot)) {",
  },
  {
    rule: "1.2 a table that is cleared looks empty to what dies of it",
    file: tables,
    from: "    i32.fill(0, table + TABLE_STORAGE, table + TABLE_EPOCH);\n    i32[table + TABLE_EPOCH]++;\n    for (let number = 0; number < used; number++, entry += entryWords(itemSlot)) {\n      if (isDeletedEntry(i32, entry, keySlot)) continue;\n      this.counts.decrefSlot(keySlot, entry);\n      this.counts.decrefSlot(itemSlot, entry + 2);\n    }\n",
    to: "    const size = i32[table + TABLE_SIZE];\n    i32.fill(0, table + TABLE_STORAGE, table + TABLE_EPOCH);\n    i32[table + TABLE_SIZE] = size;\n    i32[table + TABLE_EPOCH]++;\n    for (let number = 0; number < used; number++, entry += entryWords(itemSlot)) {\n      if (isDeletedEntry(i32, entry, keySlot)) continue;\n      this.counts.decrefSlot(keySlot, entry);\n      this.counts.decrefSlot(itemSlot, entry + 2);\n    }\n    i32[table + TABLE_SIZE] = 0;\n",
  },
  {
    rule: "1.4 a set's members are visited",
    file: traverse,
    from: "      this.visit(keySlot, entry);\n",
    to: "",
  },
  {
    rule: "1.4 a set is visited first to last",
    file: traverse,
    from: "      this.visit(keySlot, entry);\n    }\n",
    to: "      this.visit(keySlot, entry);\n    }\n    if (itemSlot === 0) this.referents.subarray(0, this.count).reverse();\n",
  },
  {
    rule: "1.5 the 51st nested death is deferred",
    file: "src/memory/layout.ts",
    from: "TRASHCAN_LIMIT = 50",
    to: "TRASHCAN_LIMIT = 49",
  },
  {
    rule: "1.5 a deferred death counts as nested in one",
    file: counts,
    from: "      die(object, 1);",
    to: "      die(object, 0);",
  },
  {
    rule: "1.5 the death of a weak reference does not count as nesting",
    file: counts,
    from: "        child = endWeakrefs(child);",
    to: "        if (depth + 2 >= TRASHCAN_LIMIT) { defer(child); continue; }\n        child = endWeakrefs(child);",
  },
  {
    rule: "1.5 while its finalizer runs a dying object stands in generation 0",
    file: lifetime,
    from: "if (isGc) this.generations.trackAgain(object);",
    to: "",
  },
  {
    rule: "1.5 on the count path the finalized flag is set after the call",
    file: lifetime,
    from: "    this.hooks.runFinalizer(object);\n    i32[object + HEADER_TYPE] |= FLAG_FINALIZED;",
    to: "    i32[object + HEADER_TYPE] |= FLAG_FINALIZED;\n    this.hooks.runFinalizer(object);",
  },
  {
    rule: "1.5 a finalizer runs once",
    file: lifetime,
    from: "if (hasFinalizer && !this.isFinalized(object) && this.finalize(object)) return true;",
    to: "if (hasFinalizer && this.finalize(object)) return true;",
  },
  {
    rule: "1.5 weak references are cleared after the finalizer",
    file: lifetime,
    from: "if (hasFinalizer && !this.isFinalized(object) && this.finalize(object)) return true;\n",
    to: "if (hasFinalizer) this.clearWeakrefs(object);\n      if (hasFinalizer && !this.isFinalized(object) && this.finalize(object)) return true;\n",
  },
  {
    rule: "1.5 a finalizer may resurrect its object",
    file: lifetime,
    from: "if (--i32[object + HEADER_REFCOUNT] > 0) return true;",
    to: "i32[object + HEADER_REFCOUNT] = 0;",
  },
  {
    rule: "1.5 weak references that callbacks made are cut without a call",
    file: lifetime,
    from: "if (hasFinalizer && this.weakrefs.first(object) !== 0)",
    to: "if (false)",
    unobservable:
      "nothing can reach a dying object once its weak references are cut: none can be made in a callback",
  },
  {
    rule: "1.8 a collected object is held while its finalizer runs",
    file: finalize,
    from: "      counts.incref(object);\n      hooks.runFinalizer(object);\n      counts.decref(object);",
    to: "      hooks.runFinalizer(object);",
  },
  {
    rule: "2.4 an untracked tuple is no reason to be tracked",
    file: tracking,
    from: "return i32[type + TYPE_KIND] !== KIND_TUPLE || this.isTracked(object);",
    to: "return true;",
  },
  {
    rule: "2.5 a dict is tracked when a container is stored in it",
    file: tracking,
    from: "    this.generations.openYoung();\n    this.generations.track(dict);",
    to: "",
  },
  {
    rule: "2.5 a full collection untracks dicts that hold no container",
    file: promotion,
    from: "if (types.hasDicts) tracking.untrackAll(2, KIND_DICT);",
    to: "",
  },
  {
    rule: "2.6 every collection untracks tuples that hold no container",
    file: promotion,
    from: "      tracking.untrackAll(generation, KIND_TUPLE);\n",
    to: "",
  },
  {
    rule: "4.3 younger generations join the tail, the youngest first",
    file: collect,
    from: "for (let younger = 0; younger < generation; younger++)",
    to: "for (let younger = generation - 1; younger >= 0; younger--)",
  },
  {
    rule: "4.5 what is found late goes to the tail",
    file: partition,
    from: "    const found = late;\n",
    to: "    const found = late;\n    late.subarray(0, lateCount).reverse();\n",
  },
  {
    rule: "4.5 what is found late goes to the tail, of a part of the heap",
    file: youngPartition,
    from: "    let reachable = inPlace;\n",
    to: "    let reachable = inPlace;\n    late.subarray(0, lateCount).reverse();\n",
  },
  {
    rule: "4.4 an old object is looked at again when a reference to it was dropped",
    file: settled,
    from: "    if (i32[CONTROL_SETTLED] !== 0 && isBefore(",
    to: "    if (i32[CONTROL_SETTLED] < 0 && isBefore(",
  },
  {
    rule: "4.4 and when a weak reference that was called stands behind it",
    file: finalize,
    from: "if (i32[ref + WEAKREF_CALLBACK] !== 0) generations.settled.unsettle(i32[ref + WEAKREF_CALLBACK]);",
    to: "",
  },
  {
    rule: "4.4 and when frozen objects are back",
    file: generation,
    from: "    this.settled.unsettleAll(); // what only they refer to stands before them now\n",
    to: "",
  },
  {
    rule: "4.6 survivors of a younger generation become one older",
    file: promotion,
    from: "types.hasTuples ? generation : generation + 1, watched);",
    to: "2, watched);",
  },
  {
    rule: "4.9 a weak reference that is garbage itself is not called",
    file: finalize,
    from: "if (!weakrefs.hasCallback(ref) || generations.generationOf(ref) === UNREACHABLE) continue;",
    to: "if (!weakrefs.hasCallback(ref)) continue;",
  },
  {
    rule: "4.9 weak references to garbage are cut",
    file: finalize,
    from: "        weakrefs.cut(ref);\n        if (!weakrefs",
    to: "        if (!weakrefs",
  },
  {
    rule: "4.9 a weak reference that is garbage is cut from its target",
    file: finalize,
    from: "if (weakrefs.isWeakref(object)) weakrefs.cut(object);",
    to: "",
  },
  {
    rule: "4.9 callbacks are called in the order of each object's list",
    file: finalize,
    from: "      for (const ref of [...weakrefs.list(object)]) {",
    to: "      for (const ref of [...weakrefs.list(object)].reverse()) {",
  },
  {
    rule: "4.9 a weak reference that was called and lives on joins the survivors",
    file: finalize,
    from: "generations.appendAnywhere(old, ref);",
    to: "generations.appendAnywhere(0, ref);",
  },
  {
    rule: "4.9 one that dies with its call is counted",
    file: finalize,
    from: "if (i32[ref + HEADER_REFCOUNT] === 1) freed++;",
    to: "if (i32[ref + HEADER_REFCOUNT] === 1) freed += 0;",
  },
  {
    rule: "4.9 callbacks come before finalizers",
    file: finalize,
    from: "      const freed = this.runCallbacks(pending, old);\n      const ran = this.runFinalizers();",
    to: "      const ran = this.runFinalizers();\n      const freed = this.runCallbacks(pending, old);",
  },
  {
    rule: "4.10 on the collector path the finalized flag is set before the call",
    file: finalize,
    from: "      i32[object + HEADER_TYPE] |= FLAG_FINALIZED;\n      counts.incref(object);\n      hooks.runFinalizer(object);",
    to: "      counts.incref(object);\n      hooks.runFinalizer(object);\n      i32[object + HEADER_TYPE] |= FLAG_FINALIZED;",
  },
  {
    rule: "4.11 what a finalizer resurrected, and all that it reaches, lives on",
    file: finalize,
    from: "(isChanged ? this.keepResurrected(old) : unreachable)",
    to: "unreachable",
  },
  {
    rule: "4.11 only what is reachable again lives on",
    file: finalize,
    from: "    return unreachable.place(old);",
    to: "    unreachable.place(old);\n    generations.merge(UNREACHABLE, old);\n    return 0;",
  },
  {
    rule: "4.12 the resurrected are not counted",
    file: finalize,
    from: "    return unreachable.place(old);",
    to: "    return unreachable.place(old) + 1;",
  },
  {
    rule: "4.13 SAVEALL keeps garbage in gc.garbage",
    file: collect,
    from: "this.saveGarbage(object);\n",
    to: ";\n",
  },
  {
    rule: "4.13 what survives its clearing joins the survivors in order",
    file: collect,
    from: "        generations.appendAnywhere(old, object);\n",
    to: "        generations.appendAnywhere(0, object);\n",
  },
  {
    rule: "4.13 garbage that is seen to die dies in order",
    file: bulk,
    from: "      if ((type & FLAG_OBSERVED) !== 0) return false;\n      const words",
    to: "      const words",
  },
  {
    rule: "4.13 garbage gives up what it holds of others",
    file: bulk,
    from: "counts.decref(reference);",
    to: "return;",
  },
  {
    rule: "6.2 weak references with a callback stand newest first",
    file: weakref,
    from: "isShared && !isProxy ? 0 : this.lastShared(target)",
    to: "isShared && !isProxy ? 0 : ([...this.list(target)].at(-1) ?? 0)",
  },
  {
    rule: "6.3 without a callback there is one weak reference to an object",
    file: weakref,
    from: "if ((this.i32[ref + WEAKREF_IS_PROXY] !== 0) === isProxy) return ref;",
    to: "",
  },
  {
    rule: "6.4 callbacks are called in list order",
    file: lifetime,
    from: "    for (const call of pending) this.call(call);",
    to: "    for (const call of pending.toReversed()) this.call(call);",
  },
  {
    rule: "6.4 several pending callbacks are held by an object that the collector sees through",
    file: lifetime,
    from: "pending.length > 1 ?",
    to: "pending.length > 1e9 ?",
  },
  {
    rule: "1.8 one of several pending callbacks holds its weak reference while it runs",
    file: lifetime,
    from: "    for (const call of pending) this.call(call);",
    to: "    for (const { ref, callback, hostCallback } of pending) this.hooks.runCallback(ref, callback, hostCallback);",
  },
  {
    rule: "6.4 a weak reference whose target died by its count has no callback any more",
    file: lifetime,
    from: "    i32[ref + WEAKREF_HOST_CALLBACK] = 0;\n",
    to: "",
  },
  {
    rule: "6.5 a deferred object is as good as dead to its weak references",
    file: weakref,
    from: "return target !== 0 && i32[target + HEADER_REFCOUNT] > 0 ? target : 0;",
    to: "return target;",
  },
  {
    rule: "6.2 the shared proxy stands behind the shared reference",
    file: weakref,
    from: "isShared && !isProxy ? 0 : this.lastShared(target)",
    to: "isShared ? 0 : this.lastShared(target)",
  },
  {
    rule: "8 freezing takes the generations youngest first",
    file: generation,
    from: "for (let generation = 0; generation <= 2; generation++) {\n      for (const object of this.objects(generation)) this.i32[object + HEADER_TYPE] |= FLAG_FROZEN;",
    to: "for (let generation = 2; generation >= 0; generation--) {\n      for (const object of this.objects(generation)) this.i32[object + HEADER_TYPE] |= FLAG_FROZEN;",
  },
  {
    rule: "8 what is thawed joins generation 2",
    file: generation,
    from: "this.merge(PERMANENT, 2);",
    to: "this.merge(PERMANENT, 1);",
  },
  {
    rule: "8 frozen objects are roots",
    file: "src/gc/internal-counts.ts",
    from: "(type & (FLAG_TRACKED | FLAG_FROZEN)) !== FLAG_TRACKED",
    to: "(type & FLAG_TRACKED) === 0",
  },
  ...LIBRARY_RULES,
];
