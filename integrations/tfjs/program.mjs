/** `node integrations/tfjs/program.mjs [steps]`: one line, with TensorFlow.js's count of tensors before and after. */
import { makeHeap, outcome } from "../lib/judge.mjs";
import { COUNTER, openTensorFlow, version } from "./open.mjs";
import { train } from "./training.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const tf = await openTensorFlow();
const heap = makeHeap();
const before = tf.memory();
await train(tf, heap, iterations);
const after = tf.memory();
const line = outcome({
  library: "@tensorflow/tfjs",
  version,
  iterations,
  counter: COUNTER,
  before: before.numTensors,
  after: after.numTensors,
});
console.log(JSON.stringify({ ...line, ok: line.ok && after.numBytes === before.numBytes }));
