/** A bar for work of several steps, on a terminal, where the optional package `cli-progress` is installed; else nothing. */

export interface Progress {
  /** The next step begins. */
  step(what: string): void;
  stop(): void;
}

interface Bar {
  start(total: number, value: number, payload: object): void;
  update(value: number, payload: object): void;
  stop(): void;
}

const SILENT: Progress = { step: () => {}, stop: () => {} };

export async function startProgress(steps: number): Promise<Progress> {
  if (!process.stderr.isTTY) return SILENT;
  // A variable: the package is not there for everybody, and no bundler is to look for it.
  const name = "cli-progress";
  try {
    const { default: library } = (await import(name)) as {
      default: { SingleBar: new (options: object) => Bar };
    };
    const bar = new library.SingleBar({
      format: "[{bar}] {what}",
      stream: process.stderr,
      clearOnComplete: true,
    });
    let done = 0;
    bar.start(steps, 0, { what: "" });
    return {
      step: (what) => bar.update(done++, { what }),
      stop: () => bar.stop(),
    };
  } catch {
    return SILENT;
  }
}
