/** What the tests of adopted values share: a struct that holds one, and a heap that tells what it disposes of. */
import { any, foreign, optional, str, struct } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";

export interface Texture {
  readonly id: number;
}
export class Node extends struct("Node", {
  name: str,
  gpu: optional(foreign<Texture>()),
  get next() {
    return optional(Node);
  },
  rest: any,
}) {}

/** A heap with something that counts what it disposes of. */
export function makeStage(options = {}) {
  const heap = makeHeap(options);
  const log: string[] = [];
  const adopt = (id: number, bytes = 0) =>
    heap.adopt({ id } as Texture, (texture) => void log.push(`texture ${texture.id}`), { bytes });
  return { heap, log, adopt };
}
