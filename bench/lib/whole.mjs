/** Rows of whole programs: every side runs the same program and comes to the same result; its peak memory is told beside its time. */
import { compare, expect, Samples } from "./measure.mjs";
import { nodeSide, peerSides, withSides } from "./sides.mjs";

const digits = (value) => Number(value.toPrecision(4));

/**
 * @param id of the row
 * @param group the file in `bench` (and in `bench/peers`) that has the sides
 * @param ours our sides, each with the text of its `shape` and its `checks`
 * @param peers beside V8; they are slow, and take part in the first `peerRounds` rounds only
 * @param measures what becomes a line: words for the shape, by the name of the number in an answer
 * @param options given to each side
 */
export function wholeProgram({
  id,
  group,
  n,
  ours,
  peers,
  rounds,
  peerRounds = 2,
  measures = { ms: "" },
  options = {},
  floors = {},
  nodeArgs = [],
}) {
  async function run(_wanted, settings = {}) {
    const makers = {};
    for (const side of Object.keys(ours)) makers[side] = nodeSide(group, side, options, nodeArgs);
    makers.v8 = nodeSide(group, "v8", options, nodeArgs);
    const inNode = Object.keys(makers);
    Object.assign(makers, peerSides(peers, group, options));

    const samples = Object.fromEntries(Object.keys(measures).map((measure) => [measure, new Samples()]));
    const pauses = {};
    let peaks;
    const roundsWanted = settings.rounds ?? rounds;
    await withSides(makers, async (contest) => {
      for (let round = 0; round < roundsWanted; round++) {
        const answers = await contest.all("run", null, round < peerRounds ? Object.keys(makers) : inNode);
        const [first] = Object.values(answers);
        for (const [side, answer] of Object.entries(answers)) {
          expect(`result of ${side}`, JSON.stringify(answer.result), JSON.stringify(first.result));
          for (const measure of Object.keys(measures)) samples[measure].addOne(side, answer[measure]);
          if (answer.pauses !== undefined) pauses[side] = answer.pauses;
        }
      }
      peaks = await contest.all("peak");
    });
    return Object.entries(ours).flatMap(([side, { shape, checks }]) =>
      Object.entries(measures).flatMap(([measure, words]) =>
        compare(
          {
            group,
            bench: id,
            n,
            shape: [shape, words].filter(Boolean).join(", "),
            checks,
            unit: "ms",
            floors,
          },
          samples[measure],
          side,
          ["v8", ...peers],
        ).map((line) => ({
          ...line,
          ...told("peak_bytes", peaks[side]?.bytes, peaks[line.peer]?.bytes),
          ...told("pauses_ms", rounded(pauses[side]), rounded(pauses[line.peer])),
        })),
      ),
    );
  }
  return { ids: [id], run };
}

const told = (name, ours, peers) => ({
  ...(ours !== undefined && { [`ours_${name}`]: ours }),
  ...(peers !== undefined && { [`peer_${name}`]: peers }),
});

const rounded = (pauses) =>
  pauses && Object.fromEntries(Object.entries(pauses).map(([name, ms]) => [name, digits(ms)]));
