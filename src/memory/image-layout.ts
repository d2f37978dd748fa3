/**
 * The format of a saved heap, and what its reader keeps in memory meanwhile: every offset and constant. The contents of pages are as
 * layout.ts draws them.
 */

/**
 * A saved heap (docs/design/0006), in words:
 *
 *   header | metadata, JSON | runs | pages | generations | checksum
 *
 * runs: page, state and length of each run of pages that holds something, in address order. pages: their contents.
 * generations: the tracked objects of 0, 1, 2 and the permanent one, in list order. What is left out is 0.
 */
export const IMAGE_MAGIC_FIRST = 0x4f52554f; //  "OURO"
export const IMAGE_MAGIC_SECOND = 0x50414548; // "HEAP"
export const IMAGE_VERSION = 1;
export const IMAGE_HEADER_MAGIC = 0; //          two words
export const IMAGE_HEADER_VERSION = 2;
export const IMAGE_HEADER_LAYOUT = 3; //         LAYOUT_VERSION
export const IMAGE_HEADER_METADATA = 4; //       bytes, without what fills the last word
export const IMAGE_HEADER_RUNS = 5;
export const IMAGE_HEADER_PAGES = 6; //          pages in all runs
export const IMAGE_HEADER_FIRST_PAGE = 7;
export const IMAGE_HEADER_TOP_PAGE = 8; //       one past the last page
export const IMAGE_HEADER_RESERVED = 9; //       pages of the reservation that was saved
export const IMAGE_HEADER_GENERATIONS = 10; //   4: entries
export const IMAGE_HEADER_FRONT = 14; //         checksum of metadata and runs
export const IMAGE_HEADER_CHECKSUM = 15; //      of the words before it
export const IMAGE_HEADER_WORDS = 16;
export const IMAGE_RUN_WORDS = 3;
export const IMAGE_RUN_PAGE = 0;
export const IMAGE_RUN_STATE = 1;
export const IMAGE_RUN_LENGTH = 2;
/** The collector's generations: 0, 1, 2 and the permanent one. */
export const IMAGE_GENERATIONS = 4;
/** What an `any` slot may hold: `optional(f64)` and the like hold one kind beside null. */
export const IMAGE_ANY_NULL = 1;
export const IMAGE_ANY_BOOLEAN = 2;
export const IMAGE_ANY_NUMBER = 4;
export const IMAGE_ANY_STRING = 8;
export const IMAGE_ANY_OBJECT = 16;
export const IMAGE_ANY = 31;

/**
 * While an image is read, the side byte of a granule says what starts in it, so that one comparison answers whether a
 * reference leads to an object of some type:
 *
 *   0        nothing
 *   1        a storage block that somebody owns
 *   4 .. 254 an object: type id << 2 | lowest two bits of its address, the last of which is 0.
 *            Types from 63 on share 63: the header has to be asked too.
 */
export const IMAGE_SIDE_CLAIMED = 1;
export const IMAGE_SIDE_SHIFT = 2;
export const IMAGE_SIDE_TYPES = 64;
export const IMAGE_SIDE_MANY = (IMAGE_SIDE_TYPES - 1) << IMAGE_SIDE_SHIFT;
/** A repair has the same side bytes; this bit of an object's: it was found in the table of a generation. */
export const REPAIR_SIDE_LISTED = 1;

/** Types as the reader of an image has them (gc/image-types.ts), by type id. */
export const IMAGE_TYPE_SHIFT = 3;
export const IMAGE_TYPE_BLOCKS = 0; //       KIND_* of the blocks of instances, + 1; 0: there is no such type
export const IMAGE_TYPE_OBJECT_WORDS = 1;
export const IMAGE_TYPE_WORD = 2; //         the type word of instances
export const IMAGE_TYPE_IS_GC = 3; //        1: instances can be on a cycle
export const IMAGE_TYPE_REFERENCES = 4; //   words behind the header that are plain references; -1: not plain
export const IMAGE_TYPE_TARGETS = 5; //      where the codes of their targets begin
export const IMAGE_TYPE_WEAKREF = 6; //      word of the weak reference list, or 0
