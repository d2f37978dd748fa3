/** What the page must have found. */

/** After each step: the heap's word (adopted, disposed), then the browser's on what is alive. */
const EXPECTED = [
  // adopted, disposed | textures, buffers, bitmaps, listeners
  ["60 sprites share 6 textures and 3 buffers", 9, 0, 6, 3, 0, 0],
  ["The sprites of 3 textures are dropped", 9, 3, 3, 3, 0, 0],
  ["All sprites are dropped", 9, 9, 0, 0, 0, 0],
  ["4 bitmaps are made, 2 of them kept in a dict", 13, 9, 0, 0, 4, 0],
  ["The scope of the bitmaps ends", 13, 11, 0, 0, 2, 0],
  ["3 panels: each holds a texture, and a listener that holds it", 19, 11, 3, 0, 2, 3],
  ["The panels are dropped, the cycles stay", 19, 11, 3, 0, 2, 3],
  ["The collector has run", 19, 17, 0, 0, 2, 0],
  ["A scope makes a buffer and a texture", 21, 17, 1, 1, 2, 0],
  ["An upload throws, the scope ends", 21, 19, 0, 0, 2, 0],
  ["3 textures go, one with a disposer that throws", 24, 22, 0, 0, 2, 0],
  // 2^19 bytes are 32 textures: the 33rd, the 66th and the 99th start a collection, which takes all but their own panel.
  ["100 panels come and go; their bytes start the collector", 224, 218, 2, 0, 2, 2],
  ["The collector has run once more", 224, 222, 0, 0, 2, 0],
  ["The heap is shut down", null, null, 0, 0, 0, 0],
];
/** With a worker that held the lock, first for a while and then until its end. */
const SHARED = {
  blocked: ["CANNOT_BLOCK", "CANNOT_BLOCK"],
  read: [1, 2, 3, 6],
  repairedAfter: ['"worker"', '"second"'],
  rest: [1, 2, 3, 6],
};
const UNRAISABLE = ["a disposer: told by a disposer"];

/** @returns what is wrong, one line each; none when the page found what it must */
export function faultsOf(mode, result, messages) {
  if (result.error !== null) return [result.error];
  return [
    ...differences("crossOriginIsolated", result.facts.crossOriginIsolated, mode.isIsolated),
    ...differences("the heap's memory", result.facts.memory, mode.memory),
    ...differences("WebGL", result.facts.hasWebgl, mode.hasWebgl),
    ...differences("what the policy stopped", result.violations, mode.violations),
    ...differences("errors ignored", result.unraisable, UNRAISABLE),
    ...differences("steps", result.rows.length, EXPECTED.length),
    ...result.rows.flatMap((row, i) => faultsOfRow(row, EXPECTED[i])),
    ...faultsOfLeaks(result.leaks),
    ...differences("threads", result.threads, mode.isIsolated ? SHARED : { refused: "NOT_SHAREABLE" }),
    ...messages.filter(isFault).map(({ type, text }) => `the console has an ${type}: ${text}`),
  ];
}

function faultsOfRow({ step, heapSays, alive, aliveBytes }, expected) {
  const { adopted = null, disposed = null } = heapSays ?? {};
  const found = [step, adopted, disposed, ...Object.values(alive)];
  const faults = differences("a step", found, expected);
  return heapSays === null
    ? faults
    : [...faults, ...differences(`bytes, ${step}`, heapSays.bytes, aliveBytes)];
}

/** The dict of bitmaps, which nobody released, with the page's own line. */
function faultsOfLeaks(leaks) {
  const found = leaks.map(({ when, typeName }) => `${typeName} at ${when}`);
  const faults = differences("leaked handles", found, ["dict at shutdown"]);
  const line = leaks[0]?.madeAt.split("\n")[0] ?? "";
  if (!/^keepSomeBitmaps \(http.*\/story\.mjs:\d+:\d+\)$/.test(line))
    faults.push(`the leaked handle's line: ${line}`);
  return faults;
}

function isFault({ type, text }) {
  return type === "error" || text.startsWith("Ouroheap");
}

function differences(what, found, expected) {
  const [foundText, expectedText] = [JSON.stringify(found), JSON.stringify(expected)];
  return foundText === expectedText ? [] : [`${what}: found ${foundText}, expected ${expectedText}`];
}
