/** What the witness checks of the generation tables, and of who stands in them. */
import * as L from "../../../src/memory/layout.js";
import { describeWitness } from "./verify-support.js";

describeWitness({
  "I8 generations": [
    [
      "the last chunk of an empty table",
      /the last chunk is another one/,
      ({ record, chunk }) => [record(L.PERMANENT) + L.GENERATION_LAST, chunk],
    ],
    ["the number of chunks", /counts 3 chunks/, ({ record }) => [record(0) + L.GENERATION_CHUNKS, 3]],
    ["a chunk's generation", /in generation 0, says another/, ({ chunk }) => [chunk + L.CHUNK_GENERATION, 1]],
    ["the last chunk closed", /last: true, open: false/, ({ chunk }) => [chunk + L.CHUNK_USED, 1]],
    [
      "an open chunk that is not the last",
      /last: false, open: true/,
      ({ record }) => [record(0) + L.GENERATION_LAST, 0],
    ],
    [
      "a cursor before the entries",
      /-1 entries/,
      ({ record, chunk }) => [record(0) + L.GENERATION_CURSOR, chunk + L.CHUNK_ENTRIES - 1],
    ],
    [
      "a cursor past the chunk",
      /1017 entries/,
      ({ record, chunk }) => [record(0) + L.GENERATION_CURSOR, chunk + L.CHUNK_WORDS + 1],
    ],
    [
      "an entry of what is dead",
      /where no object lives/,
      ({ i32, list, dead }) => [i32[list + L.HEADER_ENTRY], dead],
    ],
    [
      "a header that names another entry",
      /its header says another/,
      ({ i32, list }) => [list + L.HEADER_ENTRY, i32[list + L.HEADER_ENTRY] + 1],
    ],
    [
      "an object that stands twice",
      /its header says another/,
      ({ i32, list, node }) => [i32[node + L.HEADER_ENTRY], list],
    ],
    [
      "an untracked object in a table",
      /tracked: false, in a table: true/,
      ({ i32, list }) => [list + L.HEADER_TYPE, i32[list + L.HEADER_TYPE] & ~L.FLAG_TRACKED],
    ],
    [
      "a tracked object in none",
      /tracked: true, in a table: false/,
      ({ i32, list }) => [i32[list + L.HEADER_ENTRY], 0],
    ],
    [
      "a frozen object in generation 0",
      /frozen: true/,
      ({ i32, list }) => [list + L.HEADER_TYPE, i32[list + L.HEADER_TYPE] | L.FLAG_FROZEN],
    ],
  ],
  "I9 tracking": [
    [
      "tracked against its type",
      /tracked, though its type cannot be/,
      ({ typeOf, list }) => [typeOf(list) + L.TYPE_FLAGS, 0],
    ],
    [
      "untracked against its type",
      /untracked, though its type always is/,
      ({ typeOf, leaf }) => [typeOf(leaf) + L.TYPE_FLAGS, L.TYPE_GC],
    ],
    [
      "an untracked dict with a container",
      /untracked, but holds the container/,
      ({ typeOf, inner }) => [typeOf(inner) + L.TYPE_FLAGS, L.TYPE_GC],
    ],
  ],
});
