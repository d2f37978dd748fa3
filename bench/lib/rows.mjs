/** All rows: a group is a file in `bench` that exports its `jobs`, each of which measures some rows together. */
const GROUPS = [
  "collect",
  "auto-collect",
  "pause",
  "shapes",
  "trees",
  "gcbench",
  "splay",
  "cache",
  "syntax",
  "build",
  "walk",
  "tables",
  "strings",
  "bytes",
  "own",
  "trace",
  "inspect",
  "image",
  "threads",
  "start",
];

/** @returns the jobs, each with the `ids` of its rows and `run(wanted, settings)`, which gives their lines */
export async function loadJobs() {
  const groups = await Promise.all(GROUPS.map((group) => import(`../${group}.mjs`)));
  return groups.flatMap(({ jobs }) => jobs);
}
