import { describe, expect, it } from "vitest";
import { startProgress } from "../../../src/cli/progress.js";

function terminal(isTTY: boolean, columns = 60) {
  const written: string[] = [];
  return { isTTY, columns, written, write: (text: string) => written.push(text) };
}

describe("the progress of long work", () => {
  it("is one line that is drawn over, and gone at the end, with nothing installed beside the package", () => {
    const screen = terminal(true);
    const progress = startProgress(2, screen);
    progress.step("loading");
    progress.step("cycles");
    progress.stop();
    progress.stop();
    expect(screen.written).toEqual([
      `\r\u001b[K[${" ".repeat(20)}] loading`,
      `\r\u001b[K[${"=".repeat(10)}${" ".repeat(10)}] cycles`,
      "\r\u001b[K",
    ]);
  });

  it("is never wider than the terminal, and no name acts on it", () => {
    const screen = terminal(true, 40);
    startProgress(1, screen).step(`loading \u001b[31m${"x".repeat(99)}`);
    const [line] = screen.written;
    expect(line.slice(4)).toHaveLength(39);
    expect(line.slice(4)).toContain("loading \\u{1b}");
  });

  it("is nothing where nobody watches", () => {
    const screen = terminal(false);
    const progress = startProgress(1, screen);
    progress.step("loading");
    progress.stop();
    expect(screen.written).toEqual([]);
  });
});
