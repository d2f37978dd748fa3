/** Stacks kept once each: as the text that the engine wrote, and as frames once somebody asks. */
import { isLibraryFrame } from "../host/site.js";
import { mapFrame } from "./source-map.js";
import { captureStack, type Frame, frameText, parseStack } from "./stack.js";

/** The line that allocated, and its callers. */
export interface Traceback {
  /** Innermost first, as many as tracing keeps, the library's own left out. Source maps are applied. */
  readonly frames: readonly Frame[];
  /** The same as text, one frame a line; "(unknown)" where no stack could be had. */
  readonly text: string;
}

/** Frames between an allocation and the program, which are left out afterwards: the library's own. */
const LIBRARY_FRAMES = 14;

const UNKNOWN: Traceback = { frames: [], text: "(unknown)" };

export class Tracebacks {
  private readonly framesMax: number;
  /** Numbers by the stack's text; 0 is kept for "none". */
  private readonly numbers = new Map<string, number>();
  private readonly texts: string[] = [""];
  private readonly read: (Traceback | undefined)[] = [];
  /** Stacks that differ only in frames that are left out come to the same traceback. */
  private readonly known = new Map<string, Traceback>();

  constructor(framesMax: number) {
    this.framesMax = framesMax;
  }

  /** Number of the present stack, from 1. Runs nothing of the program's. */
  capture(): number {
    const text = captureStack(this.framesMax + LIBRARY_FRAMES);
    let number = this.numbers.get(text);
    if (number === undefined) {
      number = this.texts.push(text) - 1;
      this.numbers.set(text, number);
    }
    return number;
  }

  /** The traceback of this number. O(frames) the first time. */
  get(number: number): Traceback {
    let traceback = this.read[number];
    if (traceback === undefined) {
      traceback = this.unite(parseStack(this.texts[number]));
      this.read[number] = traceback;
    }
    return traceback;
  }

  /** The traceback of a stack that was captured elsewhere. */
  of(stack: string): Traceback {
    return this.unite(parseStack(stack.replace(/^(?!\s*at )(?=.)/gm, "at ")));
  }

  private unite(frames: readonly Frame[]): Traceback {
    const outside = programFrames(frames).slice(0, this.framesMax);
    if (outside.length === 0) return UNKNOWN;
    const text = outside.map(frameText).join("\n");
    let traceback = this.known.get(text);
    if (traceback === undefined) {
      traceback = { frames: outside, text };
      this.known.set(text, traceback);
    }
    return traceback;
  }
}

/** The program's own frames, mapped to their sources. */
function programFrames(frames: readonly Frame[]): Frame[] {
  const outside = frames.filter(({ file }) => !isLibraryFrame(file));
  if (outside.length > 0) return outside.map(mapFrame);
  // In a program's bundle the library's files and the program's are one: only the map tells them apart.
  const folder = sourceFolder();
  return frames
    .filter(({ file }) => !file.startsWith("node:"))
    .map(mapFrame)
    .filter(({ file }) => folder === undefined || !file.startsWith(folder));
}

/** Where the map of a bundle says that this library's sources are: what it says of the innermost frame of all. */
function sourceFolder(): string | undefined {
  const [frame] = parseStack(captureStack(1));
  return frame === undefined
    ? undefined
    : /^(.*[\\/])inspect[\\/]stack\.[jt]s$/.exec(mapFrame(frame).file)?.[1];
}
