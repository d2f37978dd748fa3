/** The chunks of the generations, and I15: why each settled object stays where it is (object/settled.ts). Naively. */
import * as L from "../memory/layout.js";
import { type Address, check } from "./verify-blocks.js";

export const I8 = "I8 generations";
const I15 = "I15 settled objects";

/**
 * The chunks of a generation, each with its number of entries.
 * @param isAllowed whether there may be any
 * @param own told of each chunk before anything in it is believed
 */
export function* verifyChunks(
  i32: Int32Array,
  generation: number,
  isAllowed: boolean,
  own: (chunk: Address) => void,
): IterableIterator<{ chunk: Address; used: number }> {
  const record = L.CONTROL_GENERATIONS + generation * L.GENERATION_WORDS;
  let previous = 0;
  let chunks = 0;
  for (let chunk = i32[record + L.GENERATION_FIRST]; chunk !== 0; chunk = i32[chunk + L.CHUNK_NEXT]) {
    own(chunk);
    const said = i32[chunk + L.CHUNK_GENERATION];
    check(said === generation, I8, chunk, () => `in generation ${generation}, says another`);
    const isLast = i32[record + L.GENERATION_LAST] === chunk;
    const isOpen = i32[chunk + L.CHUNK_USED] === L.CHUNK_OPEN;
    check(isLast === isOpen, I8, chunk, () => `last: ${isLast}, open: ${isOpen}`);
    const used = isOpen
      ? i32[record + L.GENERATION_CURSOR] - chunk - L.CHUNK_ENTRIES
      : i32[chunk + L.CHUNK_USED];
    check(used >= 0 && used <= L.CHUNK_CAPACITY, I8, chunk, () => `${used} entries`);
    yield { chunk, used };
    previous = chunk;
    chunks++;
  }
  check(i32[record + L.GENERATION_LAST] === previous, I8, record, () => "the last chunk is another one");
  const counted = i32[record + L.GENERATION_CHUNKS];
  check(counted === chunks, I8, record, () => `counts ${counted} chunks, found ${chunks}`);
  check(isAllowed || chunks === 0, I8, record, () => "unreachable objects outside a collection");
}

/**
 * @param places table entry and generation of every tracked object, each generation in list order
 * @param targetsOf what an object refers to, one entry a reference
 */
export function verifySettled(
  i32: Int32Array,
  places: ReadonlyMap<Address, { readonly entry: Address; readonly generation: number }>,
  targetsOf: (object: Address) => Iterable<Address>,
): void {
  const chunk = i32[L.CONTROL_SETTLED];
  if (chunk === 0 || i32[L.CONTROL_RAW_WRITES] !== 0) return;
  const end = i32[L.CONTROL_SETTLED_END];
  check(end > chunk && end <= chunk + L.CHUNK_WORDS, I15, chunk, () => `the boundary is at ${end}`);
  const chunks = chunkList(i32);
  check(chunks.includes(chunk), I15, chunk, () => "the boundary is in no chunk of generation 2");
  chunks.forEach((one, index) =>
    check(
      index === 0 || i32[one + L.CHUNK_SEQUENCE] > i32[chunks[index - 1] + L.CHUNK_SEQUENCE],
      I15,
      one,
      () => "its sequence is not above that of the chunk before it",
    ),
  );

  const internal = new Map<Address, number>();
  for (const [object, { generation }] of places)
    if (generation !== L.PERMANENT)
      for (const target of targetsOf(object)) internal.set(target, (internal.get(target) ?? 0) + 1);
  const settledChunks = new Set(chunks.slice(0, chunks.indexOf(chunk)));
  const reached = new Set<Address>();
  for (const [object, { entry, generation }] of places) {
    const own = entry & ~L.CHUNK_MASK;
    if (generation !== 2 || !(settledChunks.has(own) || (own === chunk && entry < end))) continue;
    const external = i32[object + L.HEADER_REFCOUNT] - (internal.get(object) ?? 0);
    check(
      external > 0 || reached.has(object),
      I15,
      object,
      () => "neither held from outside nor by what stands before it",
    );
    check((i32[object + L.HEADER_TYPE] & L.FLAG_SETTLED) !== 0, I15, object, () => "without its flag");
    for (const target of targetsOf(object)) reached.add(target);
  }
}

function chunkList(i32: Int32Array): Address[] {
  const chunks: Address[] = [];
  let chunk = i32[L.CONTROL_GENERATIONS + 2 * L.GENERATION_WORDS + L.GENERATION_FIRST];
  for (; chunk !== 0; chunk = i32[chunk + L.CHUNK_NEXT]) chunks.push(chunk);
  return chunks;
}
