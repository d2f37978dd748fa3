/**
 * A host for plugins: scripts of users, run in QuickJS, which subscribe to events of a document. Nothing here disposes of a
 * QuickJS handle: a heap object owns each, and two may own the same.
 */
import { dict, foreign, list, optional, release, retain, str, struct } from "ouroheap";

const Subscription = struct("Subscription", {
  event: str,
  callback: foreign(),
  get plugin() {
    return Plugin;
  },
});

const Plugin = struct("Plugin", {
  name: str,
  settings: foreign(), // one guest object, owned by every plugin of a document and by the document
  on: optional(foreign()), // the host's function; its closure holds this plugin: a cycle through JavaScript
  subscriptions: list(Subscription), // each refers back: a cycle inside the heap
  get partner() {
    return optional(Plugin);
  },
});

const Document = struct("Document", { settings: foreign(), plugins: list(Plugin), results: list(foreign()) });
const Cache = struct("Cache", { documents: dict(str, Document) });

const CACHE_SIZE = 32;
const EVENTS = ["open", "change"];

/** Open, change and cache documents with plugins of their own. @returns what happened, to compare runs */
export function runPlugins({ heap, module, context, iterations, interrupt = () => {} }) {
  const host = { heap, context, interrupt };
  const cache = heap.new(Cache, {});
  const tally = { handled: 0, rejected: 0, sum: 0 };
  try {
    for (let iteration = 0; iteration < iterations; iteration++) {
      try {
        tally.sum += openDocument(host, cache, iteration);
        if (iteration % 100 === 99) runIsolated(heap, module, iteration);
        tally.handled++;
      } catch (error) {
        if (!isExpected(error)) throw error;
        tally.rejected++;
      }
    }
  } finally {
    release(cache);
    heap.gc.collect();
  }
  return tally;
}

function openDocument(host, cache, iteration) {
  const { heap, context, interrupt } = host;
  return heap.scope((scope) => {
    const settings = scope.own(evaluate(context, `({ factor: ${(iteration % 5) + 1}, seen: [] })`));
    const document = scope.new(Document, { settings });
    interrupt("settings", iteration);
    for (const name of ["counter", "checker"]) {
      const plugin = loadPlugin(host, scope, {
        name,
        settings,
        source: sourceOf(name, iteration),
        iteration,
      });
      document.plugins.push(plugin);
    }
    const [counter, checker] = document.plugins;
    counter.partner = checker;
    checker.partner = counter;
    interrupt("loaded", iteration);
    const sum = emit(host, scope, document, iteration);
    keep(cache, `document ${iteration % (2 * CACHE_SIZE)}`, document);
    interrupt("cached", iteration);
    return sum;
  });
}

/** A script of a user. The checker of every seventh document throws, that of every eleventh asks for an event that is none. */
function sourceOf(name, iteration) {
  if (name === "counter")
    return `(on, settings) => { on("change", (text) => { settings.seen.push(text); return text.length * settings.factor; }); }`;
  const event = iteration % 11 === 0 ? "explode" : "change";
  const body =
    iteration % 7 === 0 ? `throw new TypeError("no good: " + text)` : "return settings.seen.length";
  return `(on, settings) => { on("${event}", (text) => { ${body}; }); }`;
}

function loadPlugin({ heap, context, interrupt }, scope, { name, settings, source, iteration }) {
  const plugin = scope.new(Plugin, { name, settings });
  let self; // what the closure holds; retained only once the function has an owner, so that a throw loses nothing
  const subscribe = (event, callback) => addSubscription(heap, context, self, event, callback);
  const on = scope.own(context.newFunction("on", subscribe), { traverse: () => (self ? [self] : []) });
  self = retain(plugin);
  plugin.on = on;
  interrupt("subscribable", iteration);
  const main = scope.own(evaluate(context, source));
  scope.own(call(context, main, [on, settings]));
  return plugin;
}

/** Called by the script. The callback is the script's own: a handle that outlives the call is a duplicate. */
function addSubscription(heap, context, plugin, eventHandle, callback) {
  const event = context.getString(eventHandle);
  if (!EVENTS.includes(event)) throw new RangeError(`There is no event ${event}.`);
  heap.scope((scope) => {
    const subscription = scope.new(Subscription, { event, callback: scope.own(callback.dup()), plugin });
    plugin.subscriptions.push(subscription);
  });
}

function emit({ context, interrupt }, scope, document, iteration) {
  const text = scope.own(context.newString(`line ${iteration}`));
  let sum = 0;
  for (const plugin of document.plugins)
    for (const { callback } of plugin.subscriptions) {
      const result = scope.own(call(context, callback, [text]));
      document.results.push(result); // the scope and the document own it both
      interrupt("emitted", iteration);
      sum += context.getNumber(result.value);
    }
  return sum;
}

/** The oldest leaves; its plugins hold each other and themselves, and are a collection's to find. */
function keep(cache, key, document) {
  const { documents } = cache;
  documents.delete(key);
  documents.set(key, document);
  if (documents.size <= CACHE_SIZE) return;
  const [oldest] = documents.keys();
  documents.delete(oldest);
}

/**
 * A runtime for one script. QuickJS aborts where a runtime ends before its context, or a context before its handles:
 * `holds` says so once, and the order of releases does not matter any more.
 */
function runIsolated(heap, module, iteration) {
  heap.scope((scope) => {
    const runtime = scope.own(module.newRuntime({ memoryLimitBytes: 1 << 20 }));
    const context = scope.own(runtime.value.newContext(), { holds: [runtime] });
    const numbers = heap.own(evaluate(context.value, "[1, 2, 3]"), { holds: [context] });
    scope.defer(() => release(numbers));
    if (iteration % 1000 === 999) throw new RangeError("The isolated script was cancelled.");
    scope.own(context.value.getProp(numbers.value, 0), { holds: [context] });
  });
}

function evaluate(context, source) {
  return context.unwrapResult(context.evalCode(source));
}

function call(context, callee, args) {
  const values = args.map((arg) => arg.value);
  return context.unwrapResult(context.callFunction(callee.value, context.undefined, ...values));
}

/** What scripts and `interrupt` throw; everything else is a bug of this program. */
export class Interrupted extends Error {}
function isExpected(error) {
  return (
    error instanceof Interrupted ||
    /no good: |There is no event |was cancelled/.test(String(error.cause?.message ?? error.message))
  );
}
