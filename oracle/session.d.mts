/** One program of the operation language, run in one heap. */
export class Replay {
  constructor(options?: { typed?: boolean; verify?: boolean });
  /** Do what one line says. @param number of the line, from 0 */
  runLine(line: string, number: number): { i: number; op: string | null; r: unknown; ev: unknown[] };
}
