/** The half of a contest that QuickJS in wasm plays: a context of quickjs-emscripten, with the programs and a clock in it. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { getQuickJS } from "quickjs-emscripten";

const [group, options] = process.argv.slice(2);
const quickjs = await getQuickJS();
const context = quickjs.newContext();
context.runtime.setMaxStackSize(0);
context
  .newFunction("now", () => context.newNumber(performance.now()))
  .consume((now) => context.setProp(context.global, "now", now));

evaluate(readFileSync(new URL("programs.js", import.meta.url), "utf8"));
evaluate(`globalThis.steps = makeSteps({ now })(${JSON.stringify(group)}, ${options});`);

function evaluate(text) {
  return context.unwrapResult(context.evalCode(text)).consume(context.dump);
}

/** The most memory that this process has had, Node's share of it included. */
const peak = () => ({ bytes: process.resourceUsage().maxRSS * 1024 });

for await (const line of createInterface({ input: process.stdin })) {
  const [step, argument] = JSON.parse(line);
  const answer =
    step === "peak"
      ? peak()
      : JSON.parse(evaluate(`JSON.stringify(steps.${step}(${JSON.stringify(argument)}) ?? {})`));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
