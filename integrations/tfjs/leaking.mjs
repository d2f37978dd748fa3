/**
 * The training of training.mjs as it is written without an owner. It uses `tidy` where it can and disposes of what it sees,
 * and still leaks:
 * - `tidy` is synchronous: what lives across an `await` is disposed by hand, and a throw in between skips that;
 * - a batch may be in the replay buffer or another model's last one, so nobody dares to dispose of it;
 * - old weights may be the best checkpoint's, so they stay;
 * - a forgotten intermediate: the product before the bias is added.
 */
import { setImmediate } from "node:timers/promises";
import { outcome } from "../lib/judge.mjs";
import { COUNTER, openTensorFlow, version } from "./open.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const tf = await openTensorFlow();
const replay = [];
const before = tf.memory().numTensors;
await train(iterations);
const after = tf.memory().numTensors;
console.log(
  JSON.stringify(
    outcome({ library: "@tensorflow/tfjs", version, iterations, counter: COUNTER, before, after }),
  ),
);

async function train(steps) {
  let next = 0;
  async function work() {
    while (next < steps) {
      const first = next;
      next = Math.min(steps, first + 25);
      await trainModel(first, next);
    }
  }
  await Promise.all([work(), work(), work(), work()]);
}

async function trainModel(first, end) {
  const rates = [tf.scalar(0.1), tf.scalar(0.01)];
  const model = { weights: tf.zeros([8, 1]), bias: tf.scalar(0), steps: 0, best: null, lastBatch: null };
  model.rate = () => rates[model.steps < 10 ? 0 : 1];
  for (let step = first; step < end; step++) {
    try {
      await trainStep(model, step, step % 7 === 3);
    } catch (error) {
      if (!/inner shapes|connection lost/.test(error.message)) throw error;
    }
  }
  tf.dispose([rates, model.bias]);
}

async function trainStep(model, step, isBroken) {
  const batch = await receive(step, isBroken);
  const { features, labels } = batch;
  const lossOf = (weights, bias) => tf.losses.meanSquaredError(labels, features.matMul(weights).add(bias));
  const { value, grads } = tf.valueAndGrads(lossOf)([model.weights, model.bias]);
  const [loss] = await value.data();
  await publish(loss, isBroken && step % 2 === 1);
  const { weights, bias } = tf.tidy(() => ({
    weights: model.weights.sub(grads[0].mul(model.rate())),
    bias: model.bias.sub(grads[1].mul(model.rate())),
  }));
  tf.dispose([value, grads, model.bias]);
  Object.assign(model, { weights, bias, lastBatch: batch, steps: model.steps + 1 });
  if (model.best === null || loss < model.best.loss) model.best = { model, weights, loss };
  const predictions = features.matMul(weights).add(bias);
  await predictions.data();
  predictions.dispose();
}

async function receive(step, isBroken) {
  await setImmediate();
  if (step % 3 === 2 && replay.length > 0 && !isBroken) return replay[step % replay.length];
  const features = tf.randomUniform([16, isBroken && step % 2 === 0 ? 7 : 8], -1, 1, "float32", step);
  const batch = { features, labels: features.sum(1, true) };
  if (!isBroken) replay.push(batch);
  if (replay.length > 6) replay.shift();
  return batch;
}

async function publish(_loss, isLost) {
  await setImmediate();
  if (isLost) throw new Error("connection lost");
}
