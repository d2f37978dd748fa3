/**
 * Replays a program of the oracle's operation language in a heap: JSON lines on stdin, one outcome line each on stdout, in
 * exactly the format of oracle.py, so that `diff` is the whole comparison.
 *
 *   npm run -s replay < program.jsonl
 *   --typed    slots are optional(oneOf(Node, Fin)) instead of any
 *   --verify   check every invariant of the heap after every operation
 *
 * Everything goes through the public API but for these, which have no verb there and come from `ouroheap/unsafe`:
 *   weakref, onObjectCallback   a heap object as the callback of a weak reference
 *   setCount0                   the allocation count at which python3.11 began a burst
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { pyJson } from "./py-json.mjs";
import { Replay } from "./session.mjs";

const { values: options } = parseArgs({
  options: { typed: { type: "boolean", default: false }, verify: { type: "boolean", default: false } },
});
const replay = new Replay(options);
const lines = readFileSync(0, "utf8").split("\n");
let number = 0;
for (const line of lines) {
  if (line.trim() === "") continue;
  process.stdout.write(`${pyJson(replay.runLine(line, number++))}\n`);
  if (replay.isOver) break;
}
