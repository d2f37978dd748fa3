/** The half of a contest that native QuickJS plays: `qjs --std native.js GROUP OPTIONS`, steps on stdin, answers on stdout. */
const folder = scriptArgs[0].replace(/[^/]*$/, "");
std.loadScript(`${folder}programs.js`);
const now = globalThis.performance ? () => performance.now() : () => Date.now();
const [, group, options] = scriptArgs;
const steps = makeSteps({ now, collectNow: () => std.gc() })(group, JSON.parse(options));

/** The most memory that this process has had; Linux counts it in KiB. */
steps.peak = () => {
  const line = std.loadFile("/proc/self/status").match(/VmHWM:\s+(\d+) kB/);
  return { bytes: Number(line[1]) * 1024 };
};

for (;;) {
  const line = std.in.getline();
  if (line === null) break;
  const [step, argument] = JSON.parse(line);
  std.out.puts(`${JSON.stringify(steps[step](argument) ?? {})}\n`);
  std.out.flush();
}
