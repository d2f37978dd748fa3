/** Stacks kept once each: as the text that the engine wrote, and as frames once somebody asks. */
import { libraryFrames } from "../host/library-code.js";
import { isHostFrame } from "../host/site.js";
import { captureStack, type Frame, frameText, parseStack } from "../host/stack.js";
import { mapFrame } from "./source-map.js";

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
      traceback = this.unite(programFrames(parseStack(this.texts[number])));
      this.read[number] = traceback;
    }
    return traceback;
  }

  /** The traceback of a stack that was captured elsewhere, without the library's frames. */
  of(stack: string): Traceback {
    return this.unite(parseStack(stack.replace(/^(?!\s*at )(?=.)/gm, "at ")));
  }

  private unite(frames: readonly Frame[]): Traceback {
    const outside = frames.slice(0, this.framesMax).map(mapFrame);
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

/** Those that are neither the library's, of which the first is one, nor the host's. */
function programFrames([own, ...frames]: readonly Frame[]): Frame[] {
  const isLibrary = libraryFrames(own);
  return frames.filter((frame) => !isHostFrame(frame) && !isLibrary(frame));
}
