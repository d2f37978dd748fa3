/**
 * The same plugins with QuickJS handles disposed of by hand, and the mistakes that are made: a throw that skips `dispose`, a
 * callback that nobody may end because the script could still call it, a shared object that nobody dares to end, a forgotten
 * result. `node quickjs/leaking.mjs [iterations]`
 */
import { release, watch } from "./judge.mjs";

const iterations = Number(process.argv[2] ?? 10_000);

function loadPlugin(context, subscriptions, settings, source) {
  const on = context.newFunction("on", (_event, callback) => {
    subscriptions.push(callback.dup()); // disposed of by whom, and when?
  });
  const main = context.unwrapResult(context.evalCode(source));
  context.unwrapResult(context.callFunction(main, context.undefined, on, settings)); // the result is forgotten
  main.dispose();
  on.dispose();
}

function openDocument(context, cache, iteration) {
  const settings = context.unwrapResult(context.evalCode(`({ factor: ${(iteration % 5) + 1} })`));
  const subscriptions = [];
  const body =
    iteration % 7 === 0 ? 'throw new TypeError("no good")' : "return text.length * settings.factor";
  loadPlugin(context, subscriptions, settings, `(on, settings) => { on("change", (text) => { ${body}; }); }`);
  const text = context.newString(`line ${iteration}`);
  let sum = 0;
  for (const callback of subscriptions) {
    const result = context.unwrapResult(context.callFunction(callback, context.undefined, text)); // a throw leaves everything
    sum += context.getNumber(result);
    result.dispose();
  }
  text.dispose();
  cache.set(iteration % 64, { settings, subscriptions }); // what it replaces is dropped, not disposed of
  return sum;
}

function run(context, count) {
  const cache = new Map();
  for (let iteration = 0; iteration < count; iteration++) {
    try {
      openDocument(context, cache, iteration);
    } catch (error) {
      if (!String(error.cause?.message ?? error.message).includes("no good")) throw error;
    }
  }
  for (const { settings, subscriptions } of cache.values()) {
    settings.dispose();
    for (const callback of subscriptions) callback.dispose();
  }
}

const { before, after, complaint } = await watch(
  release,
  () => {},
  (_module, context) => run(context, iterations),
);
console.log(JSON.stringify({ iterations, before, after, complaint }));
