/** `node integrations/canvaskit/program.mjs [tiles]`: one line, with the bytes of CanvasKit's objects before and after. */
import { makeHeap, outcome } from "../lib/judge.mjs";
import { COUNTER, openCanvasKit, version } from "./open.mjs";
import { draw } from "./tiles.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const { CanvasKit, bytesInUse } = await openCanvasKit();
const heap = makeHeap();
draw(CanvasKit, heap, 100); // what Skia makes once and keeps
const before = bytesInUse();
draw(CanvasKit, heap, iterations);
const after = bytesInUse();
console.log(
  JSON.stringify(
    outcome({ library: "canvaskit-wasm", version, iterations, counter: COUNTER, before, after }),
  ),
);
