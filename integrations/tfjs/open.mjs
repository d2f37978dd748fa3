/** TensorFlow.js on its CPU backend, and its own count of what lives. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
/** The package's ES modules import folders, which Node does not resolve: this is its CommonJS build. */
const tf = require("@tensorflow/tfjs");

/** The counter's name, for the outcome lines. */
export const COUNTER = "memory().numTensors";
export const { version } = require("@tensorflow/tfjs/package.json");

/** @returns {Promise<typeof import("@tensorflow/tfjs")>} */
export async function openTensorFlow() {
  await tf.setBackend("cpu");
  await tf.ready();
  return tf;
}
