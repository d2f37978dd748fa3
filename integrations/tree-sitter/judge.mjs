/**
 * tree-sitter counts nothing, and its WASM module exports no statistics. Its allocator (Emscripten's dlmalloc) keeps a header
 * before each block, and these are read here: the judge is what `malloc` believes to be in use.
 */
import { fileURLToPath } from "node:url";
import { Language, Parser } from "web-tree-sitter";

export const COUNTER = "blocks in use in the WASM module's malloc, by its own block headers";

const HEADER_BYTES = 8;
/** Bits of a header's second word; the rest is the size of the block, header included. */
const IN_USE = 2;
const FLAGS = 7;

/** @returns the grammar, and a function that counts the blocks in use */
export async function load() {
  const module = {}; // Emscripten takes this object for the module's own, and puts the exports into it
  await Parser.init(module);
  const first = module._malloc(1) - HEADER_BYTES; // the first block of all: nothing was allocated before
  const grammar = fileURLToPath(import.meta.resolve("tree-sitter-javascript/tree-sitter-javascript.wasm"));
  const language = await Language.load(grammar);
  return { language, countBlocks: () => countBlocks(module.HEAPU32, first) };
}

/** Blocks lie one after another. Behind the last one, which is free, a header says neither "in use" nor "the one before is". */
function countBlocks(words, first) {
  let count = 0;
  let isAfterFree = false;
  for (let block = first; ; ) {
    const head = words[(block + 4) >> 2];
    const isInUse = (head & IN_USE) !== 0;
    if (isAfterFree && !isInUse) return count;
    if (isInUse) count++;
    isAfterFree = !isInUse;
    block += head & ~FLAGS;
  }
}
