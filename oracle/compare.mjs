/** One program in a heap, its outcomes compared with recorded ones. */
import { pyJson } from "./py-json.mjs";
import { Replay } from "./session.mjs";

/** What the heap says of a program, a line an operation. @returns {string[]} */
export function runHeap(program, options) {
  const replay = new Replay(options);
  const told = [];
  for (const [index, operation] of program.entries()) {
    told.push(pyJson(replay.runLine(JSON.stringify(operation), index)));
    if (replay.isOver) break;
  }
  return told;
}

/** Index of the first line that differs, or -1. */
export function firstDifference(ours, theirs) {
  for (let index = 0; index < Math.max(ours.length, theirs.length); index++)
    if (ours[index] !== theirs[index]) return index;
  return -1;
}
