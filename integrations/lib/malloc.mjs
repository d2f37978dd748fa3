/**
 * What a WASM library's own `malloc` has given out and not got back: the `uordblks` of C's `mallinfo()`, for builds that do
 * not export it. Emscripten's default allocator (Doug Lea's) lays its blocks end to end, each behind a word with its size
 * and two flags, so the library's own books can be read from outside. Nothing is written.
 */
const WORD = 4;
const PREVIOUS_IN_USE = 1;
const IN_USE = 2;
const FLAGS = 7;
/** Words of the allocator's state (`struct malloc_state`) that are needed here. */
const STATE_TOP_SIZE = 3;
const STATE_LEAST_ADDRESS = 4;
const STATE_TOP = 6;
/** The state is among the static data, which comes first; no library here has more of that. */
const STATIC_BYTES = 32 << 20;

/**
 * @param {ArrayBuffer} buffer the whole memory of the module
 * @returns {{ bytes: number, blocks: number }} in use
 */
export function mallocInUse(buffer) {
  const words = new Uint32Array(buffer);
  const end = Math.min(words.length, STATIC_BYTES / WORD) - STATE_TOP;
  for (let state = 0; state < end; state++) {
    const found = looksLikeState(words, state) ? walk(words, state) : undefined;
    if (found !== undefined) return found;
  }
  throw new Error("This memory has no books of dlmalloc: the library was built with another allocator.");
}

/** The last block, `top`, is the free rest; its size is told twice, once by the state and once by the block. */
function looksLikeState(words, state) {
  const topSize = words[state + STATE_TOP_SIZE];
  const least = words[state + STATE_LEAST_ADDRESS];
  const top = words[state + STATE_TOP];
  if (topSize === 0 || least <= state * WORD || top <= least || top % 8 !== 0) return false;
  return words[top / WORD + 1] === (topSize | PREVIOUS_IN_USE) || words[top / WORD + 1] === topSize;
}

/** From block to block up to `top`. Each says whether the one before is in use: if one is wrong, these are no books. */
function walk(words, state) {
  const top = words[state + STATE_TOP];
  let bytes = 0;
  let blocks = 0;
  let wasInUse = true;
  let block = words[state + STATE_LEAST_ADDRESS];
  while (block < top) {
    const head = words[block / WORD + 1];
    const size = (head & ~FLAGS) >>> 0;
    if (size === 0 || wasInUse !== ((head & PREVIOUS_IN_USE) !== 0)) return undefined;
    wasInUse = (head & IN_USE) !== 0;
    if (wasInUse) {
      bytes += size;
      blocks++;
    }
    block += size;
  }
  return block === top ? { bytes, blocks } : undefined;
}
