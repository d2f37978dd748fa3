/** Runs the story, shows its counts as a table, and leaves them in `window.ouroheap` for the program that drives the page. */
import { Heap } from "../../dist/index.js";
import { verify } from "../../dist/inspect.js";
import { unsafe } from "../../dist/unsafe.js";
import { openResources } from "./resources.mjs";
import { tell } from "./story.mjs";
import { tellOfThreads } from "./threads.mjs";

const result = { facts: {}, rows: [], threads: {}, unraisable: [], leaks: [], violations: [], error: null };

document.addEventListener("securitypolicyviolation", ({ blockedURI }) => result.violations.push(blockedURI));
try {
  await run();
} catch (error) {
  result.error = String(error.stack);
}
showVerdict();
window.ouroheap = result;

async function run() {
  const heap = Heap.create({ checks: "handles" });
  heap.onUnraisable = (error, where) => result.unraisable.push(`${where}: ${error.message}`);
  heap.onLeakedHandle = (leak) => result.leaks.push(leak);
  const isWebglWanted = new URLSearchParams(location.search).get("webgl") !== "off";
  const resources = openResources(isWebglWanted);
  result.facts = {
    crossOriginIsolated,
    memory: unsafe(heap).i32.buffer.constructor.name,
    reserved: heap.bytesReserved,
    hasWebgl: resources.hasWebgl,
    judge: resources.judge,
  };
  showFacts(result.facts);
  await tell(heap, resources, (step) => {
    verify(heap);
    enterRow(step, wordOfHeap(heap, resources), resources);
  });
  heap.shutdown();
  enterRow("The heap is shut down", null, resources);
  result.threads = await tellOfThreads();
}

function wordOfHeap(heap, { ledger }) {
  const adopted = ledger.entries.length;
  const { adoptedCount: owned, adoptedBytes: bytes } = heap;
  return { adopted, disposed: adopted - owned, owned, bytes };
}

/** @param heapSays null once the heap has ended: it answers nothing more */
function enterRow(step, heapSays, { ledger }) {
  const { alive, bytes } = ledger.count();
  result.rows.push({ step, heapSays, alive, aliveBytes: bytes });
  const heapCells = heapSays === null ? ["", "", "", ""] : Object.values(heapSays);
  const row = document.getElementById("rows").insertRow();
  for (const value of [step, ...heapCells, ...Object.values(alive)])
    row.insertCell().textContent = text(value);
}

function text(value) {
  return typeof value === "number" ? value.toLocaleString("en") : value;
}

function showFacts({ crossOriginIsolated, memory, reserved, judge }) {
  const facts = {
    "Cross-origin isolated": crossOriginIsolated ? "yes" : "no",
    "The heap's memory": `${memory}, ${reserved / 2 ** 20} MiB reserved`,
    "Who is asked": `${judge}; bitmaps: their width; listeners: a click`,
  };
  for (const [name, value] of Object.entries(facts))
    for (const [tag, content] of [
      ["dt", name],
      ["dd", value],
    ])
      document.getElementById("facts").appendChild(document.createElement(tag)).textContent = content;
}

function showVerdict() {
  const verdict = result.rows.every(isAgreed)
    ? "The heap and the browser agree at each step."
    : "The heap and the browser do not agree.";
  document.getElementById("verdict").textContent = result.error ?? verdict;
}

/** A heap that has ended owns nothing. */
function isAgreed({ heapSays, alive, aliveBytes }) {
  const { owned, bytes } = heapSays ?? { owned: 0, bytes: 0 };
  return owned === sum(alive) && bytes === aliveBytes;
}

function sum(counts) {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
