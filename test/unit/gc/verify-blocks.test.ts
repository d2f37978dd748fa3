/** What the witness checks of pages and their blocks: one row for each check in verify-blocks.ts. */
import * as L from "../../../src/memory/layout.js";
import { describeWitness } from "./verify-support.js";

describeWitness({
  "I1 control words": [
    ["the magic number", /wrong magic number/, () => [L.CONTROL_MAGIC, 1]],
    ["the version", /layout version 9/, () => [L.CONTROL_VERSION, 9]],
    ["the number of pages", /64 pages are reserved/, () => [L.CONTROL_PAGE_COUNT, 65]],
    ["the top above the reservation", /top page 65 of 64/, () => [L.CONTROL_TOP_PAGE, 65]],
    ["the top below the first page", /top page 1 of 64/, () => [L.CONTROL_TOP_PAGE, 1]],
    ["count0", /count0 is -1/, () => [L.CONTROL_COUNTS, -1]],
    ["count2", /count2 is -5/, () => [L.CONTROL_COUNTS + 2, -5]],
  ],
  "I2 page runs": [
    ["a run of no pages", /a run of 0 pages/, ({ page, large }) => [page(large) + L.PAGE_RUN, 0]],
    ["a run past the top", /a run of 50 pages/, ({ page, large }) => [page(large) + L.PAGE_RUN, 50]],
    ["a boundary tag", /boundary tag 1, run 2/, ({ page, two }) => [page(two, 1) + L.PAGE_RUN, 1]],
    [
      "free runs that touch",
      /two free runs side by side/,
      ({ page, large }) => [page(large) + L.PAGE_STATE, L.PAGE_FREE_RUN],
    ],
    [
      "the second page of a run",
      /no continuation/,
      ({ page, largeTwo }) => [page(largeTwo, 1) + L.PAGE_STATE, L.PAGE_UNUSED],
    ],
    ["an unknown state", /has state 3/, ({ page, large }) => [page(large) + L.PAGE_STATE, 3]],
    [
      "a page of blocks that is a run of two",
      /state 5 and a run of 2/,
      ({ page, largeTwo }) => [page(largeTwo) + L.PAGE_STATE, L.PAGE_SMALL + L.KIND_LEAF],
    ],
    [
      "the pages in use",
      /pages in use, found/,
      ({ i32 }) => [L.CONTROL_PAGES_USED, i32[L.CONTROL_PAGES_USED] + 1],
    ],
    [
      "a bin with a run in use",
      /not free, or holds it twice/,
      ({ page, large }) => [L.CONTROL_FREE_RUNS + 5, page(large)],
    ],
    [
      "a run in two bins",
      /not free, or holds it twice/,
      ({ page, two }) => [L.CONTROL_FREE_RUNS + 5, page(two)],
    ],
    [
      "a run in the bin of another length",
      /a run of 2 pages in bin 0/,
      ({ page, two }) => [L.CONTROL_FREE_RUNS, page(two)],
    ],
    [
      "a bin's back link",
      /back link is wrong/,
      ({ page, two, large }) => [page(two) + L.PAGE_PREVIOUS, page(large)],
    ],
    ["a run in no bin", /a free run is in no bin/, () => [L.CONTROL_FREE_RUNS + 1, 0]],
  ],
  "I3 blocks of a page": [
    ["the retired blocks", /counts 1, found 0/, () => [L.CONTROL_RETIRED_BLOCKS, 1]],
    ["a large object without a type", /large object has no type/, ({ large }) => [large + L.HEADER_TYPE, 0]],
    ["the size of blocks", /blocks of 12 words/, ({ page, leaf }) => [page(leaf) + L.PAGE_BLOCK_WORDS, 12]],
    ["the blocks of a page", /capacity 7 of/, ({ page, leaf }) => [page(leaf) + L.PAGE_CAPACITY, 7]],
    ["a free list that leaves the grid", /free list of page/, ({ dead }) => [dead, dead + 1]],
    ["a free list that leaves the page", /free list of page/, ({ dead }) => [dead, dead + L.PAGE_WORDS]],
    ["a free list that runs in a circle", /free list of page/, ({ dead }) => [dead, dead]],
    [
      "the back link of an available page",
      /list of its class is wrong/,
      ({ page, dead, large }) => [page(dead) + L.PAGE_PREVIOUS, page(large)],
    ],
    [
      "a page with a free block in no list",
      /free blocks: false, has some: true/,
      ({ available }) => [available, 0],
    ],
    [
      "a page without a free block in the list",
      /free blocks: true, has some: false/,
      ({ page, dead }) => [page(dead) + L.PAGE_FREE_LIST, 0],
    ],
    ["the blocks in use", /blocks in use, found/, ({ page, leaf }) => [page(leaf) + L.PAGE_USED, 3]],
    ["what is handed out leaves the grid", /hands out leads here/, ({ current }) => [current, current + 1]],
    [
      "what is handed out is in the free list",
      /hands out leads here/,
      ({ current, dead }) => [current, dead],
    ],
    ["a serial of 0", /serial 0/, ({ leaf }) => [leaf + L.HEADER_SERIAL, 0]],
    ["a serial too high", /serial 1073741824/, ({ leaf }) => [leaf + L.HEADER_SERIAL, L.SERIAL_MAX + 1]],
    ["a free block with a type", /free block has a type/, ({ dead }) => [dead + L.HEADER_TYPE, 1]],
    ["a block in use without one", /block in use has no type/, ({ leaf }) => [leaf + L.HEADER_TYPE, 0]],
  ],
});
