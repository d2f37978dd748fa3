/** Text that comes from the program, for a terminal: what would move its cursor or colour it is written out. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) =>
    char === "\t" ? "  " : `\\u{${(char.codePointAt(0) as number).toString(16)}}`,
  );
}
