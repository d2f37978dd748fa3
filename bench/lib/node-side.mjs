/** The child's half of a contest: `node node-side.mjs GROUP CONTENDER OPTIONS`, steps on stdin, answers on stdout. */
import { createInterface } from "node:readline";

const [group, name, options] = process.argv.slice(2);
const { contenders } = await import(`../${group}.mjs`);
const steps = {
  /** The most memory that this process has had. */
  peak: () => ({ bytes: process.resourceUsage().maxRSS * 1024 }),
  ...(await contenders[name](JSON.parse(options))),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [step, argument] = JSON.parse(line);
  process.stdout.write(`${JSON.stringify((await steps[step](argument)) ?? {})}\n`);
}
