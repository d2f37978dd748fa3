/** How far a long piece of work has come: a line on a terminal, drawn over at each step; nothing where nobody watches. */
import { plainText } from "../inspect/escape.js";

export interface Progress {
  /** The next step begins. */
  step(what: string): void;
  /** It is over: the line goes away. */
  stop(): void;
}

/** Where it is shown. */
interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_WIDTH = 20;
/** Where a terminal does not say how wide it is. */
const COLUMNS = 80;
/** Back to the start of the line, and nothing on it. */
const CLEAR_LINE = "\r\u001b[K";

export function startProgress(steps: number, terminal: Terminal = process.stderr): Progress {
  if (terminal.isTTY !== true) return { step: () => {}, stop: () => {} };
  let done = 0;
  let isShown = false;
  return {
    step(what) {
      // One column less: a full line would wrap on some terminals.
      const columns = (terminal.columns || COLUMNS) - 1;
      const filled = Math.min(BAR_WIDTH, Math.round((done / steps) * BAR_WIDTH));
      const bar = "=".repeat(filled).padEnd(BAR_WIDTH);
      terminal.write(`${CLEAR_LINE}${`[${bar}] ${plainText(what)}`.slice(0, columns)}`);
      done++;
      isShown = true;
    },
    stop() {
      if (isShown) terminal.write(CLEAR_LINE);
      isShown = false;
    },
  };
}
