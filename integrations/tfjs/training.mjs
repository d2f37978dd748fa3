/**
 * A service that trains small models, four at a time, on batches that arrive: everything between two lines may wait, so
 * `tf.tidy`, which is synchronous, cannot own what lives across them. A batch belongs to the models that train on it and to a
 * replay buffer; a model's weights belong to the model and to its best checkpoint, which keeps the model; and its schedule, a
 * JavaScript function, keeps the model too.
 */
import { setImmediate } from "node:timers/promises";
import { f64, foreign, i32, list, optional, retain, struct } from "ouroheap";

const WORKERS = 4;
const STEPS_PER_MODEL = 25;
const ROWS = 16;
const COLUMNS = 8;
const REPLAYED_BATCHES = 6;
const COLLECT_AT_BYTES = 8 << 10;
/** How many steps a model is trained at the first of its two rates. */
const WARM_STEPS = 10;

class Batch extends struct("Batch", { features: foreign(), labels: foreign() }) {}

class Model extends struct("Model", {
  weights: foreign(),
  bias: foreign(),
  steps: i32,
  lastBatch: optional(Batch),
  schedule: optional(foreign()),
  get best() {
    return optional(Checkpoint);
  },
}) {}

class Checkpoint extends struct("Checkpoint", { model: Model, weights: foreign(), loss: f64 }) {}

/**
 * Train so many steps, of which some fail halfway, and leave nothing behind.
 * @param {typeof import("@tensorflow/tfjs")} tf
 * @param {import("ouroheap").Heap} heap
 * @param {number} steps
 * @param {(step: number) => boolean} isBroken whether a step's data is bad
 * @returns {Promise<{ succeeded: number, logged: number }>}
 */
export async function train(tf, heap, steps, isBroken = (step) => step % 7 === 3) {
  heap.gc.setByteThreshold(COLLECT_AT_BYTES);
  const log = [];
  let next = 0;
  let succeeded = 0;
  await heap.scope(async (scope) => {
    const replay = scope.new(list(Batch), []);
    async function work() {
      while (next < steps) {
        const first = next;
        next = Math.min(steps, first + STEPS_PER_MODEL);
        const count = await trainModel({ tf, heap, replay, log, isBroken }, first, next);
        succeeded += count;
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, work));
  });
  heap.gc.collect(); // the last models: each is on a cycle with its checkpoint, and with its schedule
  await heap.settled();
  return { succeeded, logged: log.length };
}

function trainModel(service, first, end) {
  const { tf, heap, isBroken } = service;
  return heap.scope(async (scope) => {
    const model = newModel(tf, scope);
    let succeeded = 0;
    for (let step = first; step < end; step++) {
      try {
        await trainStep(service, model, step, isBroken(step));
        succeeded++;
      } catch (error) {
        if (!/inner shapes|connection lost/.test(error.message)) throw error;
      }
    }
    return succeeded;
  });
}

function newModel(tf, scope) {
  const model = scope.new(Model, {
    weights: own(scope, tf.zeros([COLUMNS, 1])),
    bias: own(scope, tf.scalar(0)),
  });
  model.schedule = scheduleOf(tf, scope, model);
  return model;
}

/** A function that holds its model, which holds the function; and two tensors of its own. */
function scheduleOf(tf, scope, model) {
  const rates = [tf.scalar(0.1), tf.scalar(0.01)];
  const self = retain(model);
  const schedule = () => rates[self.steps < WARM_STEPS ? 0 : 1];
  return scope.adopt(schedule, () => tf.dispose(rates), { traverse: () => [self] });
}

async function trainStep(service, model, step, isBroken) {
  const { tf, heap } = service;
  // Where the language has it: await using scope = heap.scope();
  const scope = heap.scope();
  try {
    const batch = await receive(service, scope, step, isBroken);
    const result = tf.valueAndGrads(lossOf(tf, batch))([model.weights.value, model.bias.value]);
    const value = own(scope, result.value);
    const [weightSlope, biasSlope] = result.grads.map((slope) => own(scope, slope));
    const [lossBefore] = await value.value.data();
    await publish(lossBefore, isBroken && step % 2 === 1);
    model.lastBatch = batch;
    const rate = model.schedule.value();
    model.weights = descend(scope, model.weights, weightSlope, rate);
    model.bias = descend(scope, model.bias, biasSlope, rate);
    model.steps++;
    if (model.best === null || lossBefore < model.best.loss)
      model.best = { model, weights: model.weights, loss: lossBefore };
    logPredictions(service, scope, model, batch);
  } finally {
    await scope[Symbol.asyncDispose]();
  }
}

/** A new batch, or one that another model has trained on; a broken one has too few columns, or its loss cannot be published. */
async function receive({ tf, replay }, scope, step, isBroken) {
  await setImmediate();
  if (step % 3 === 2 && replay.length > 0 && !isBroken)
    return scope.use(retain(replay.at(step % replay.length)));
  const columns = isBroken && step % 2 === 0 ? COLUMNS - 1 : COLUMNS;
  const features = own(scope, tf.randomUniform([ROWS, columns], -1, 1, "float32", step));
  const labels = own(scope, features.value.sum(1, true));
  const batch = scope.new(Batch, { features, labels });
  if (!isBroken) replay.push(batch);
  if (replay.length > REPLAYED_BATCHES) replay.delete(0);
  return batch;
}

function lossOf(tf, { features, labels }) {
  return (weights, bias) =>
    tf.losses.meanSquaredError(labels.value, features.value.matMul(weights).add(bias));
}

/** To whoever watches the training. */
async function publish(_loss, isLost) {
  await setImmediate();
  if (isLost) throw new Error("connection lost");
}

function descend(scope, parameter, slope, rate) {
  const change = own(scope, slope.value.mul(rate));
  return own(scope, parameter.value.sub(change.value));
}

/** Its disposal waits until the values are read: the scope's, and so the step's, waits for that. */
function logPredictions({ log }, scope, model, batch) {
  const product = own(scope, batch.features.value.matMul(model.weights.value));
  const predictions = product.value.add(model.bias.value);
  scope.adopt(predictions, async (tensor) => {
    log.push((await tensor.data())[0]);
    tensor.dispose();
  });
}

function own(scope, tensor) {
  return scope.own(tensor, { bytes: tensor.size * Float32Array.BYTES_PER_ELEMENT });
}
