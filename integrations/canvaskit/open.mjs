/** CanvasKit, drawing in software, and how many bytes its C++ objects have. */
import { createRequire } from "node:module";
import initCanvasKit from "canvaskit-wasm";
import { mallocInUse } from "../lib/malloc.mjs";

/** The counter's name, for the outcome lines. */
export const COUNTER = "bytes that malloc has given out in CanvasKit's memory";
export const { version } = createRequire(import.meta.url)("canvaskit-wasm/package.json");

/** @returns {Promise<{ CanvasKit: import("canvaskit-wasm").CanvasKit, bytesInUse: () => number }>} */
export async function openCanvasKit() {
  const CanvasKit = await initCanvasKit();
  return { CanvasKit, bytesInUse: () => mallocInUse(CanvasKit.HEAPU8.buffer).bytes };
}
