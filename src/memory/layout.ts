/**
 * Every offset, bit and constant of the heap. Nothing outside this file knows a number of the layout.
 *
 * Unit: the word (4 bytes). An address is a word index into the reservation, at most 2^31 - 1, so it is a
 * small integer in every engine. Address 0 is null. Little-endian only (checked when a memory is reserved).
 *
 *   reservation
 *   +-----------+------------+------------+-------------------------------------------------+
 *   | control   | page table | type table | pages ...                                       |
 *   +-----------+------------+------------+-------------------------------------------------+
 *   0           CONTROL_WORDS             first page                          page count
 *
 *   A heap that was loaded with a larger reservation than it was saved with has both tables behind its pages.
 *
 *   object                              (word offsets from its address)
 *     0  refcount        strong references
 *     1  type id : 16 | flags : 16
 *     2  serial          30 bits, raised when the block is freed: a view that remembers the old one is stale
 *     3  entry           tracked: address of its entry in a generation table
 *                        string: length in UTF-16 units << 1 | is wide
 *                        deferred by the trashcan: the next deferred object
 *     4  payload
 *
 *   struct, tuple payload: object references, string references, then (as alignment allows) the weak
 *   reference list, `any` slots, 8-byte scalars, 4-byte scalars, bytes packed four to a word.
 *
 *   free block                          page of storage blocks: word 0 only
 *     0  next free block of the page, or 0
 *     1  0 (no type)
 *     2  serial
 */

export type Address = number;

export const MAGIC = 0x4f55524f; // "OURO"
export const LAYOUT_VERSION = 2;
export const WORD_BYTES = 4;
/** 8 GiB: the reach of a non-negative 32-bit word index. */
export const RESERVATION_BYTES_MAX = 2 ** 33;
export const RESERVATION_BYTES_MIN = 256 * 1024;

// -- pages ------------------------------------------------------------------------------------

/** A page is 16 KiB: 4096 words. */
export const PAGE_SHIFT = 12;
export const PAGE_WORDS = 1 << PAGE_SHIFT;
export const PAGE_BYTES = PAGE_WORDS * WORD_BYTES;
/** The heap takes fresh pages by arenas of 64 KiB. */
export const ARENA_PAGES = 4;

/**
 * Page descriptor: 8 words in the page table, apart from the pages so that thousands of them share a cache.
 * Equations of a page of blocks: used + free list = capacity; used = live + retired + what its class took over.
 */
export const PAGE_DESCRIPTOR_SHIFT = 3;
export const PAGE_DESCRIPTOR_WORDS = 1 << PAGE_DESCRIPTOR_SHIFT;
export const PAGE_STATE = 0; //       PAGE_* kind : 8 | size class : 8
export const PAGE_FREE_LIST = 1; //   first free block, or 0
export const PAGE_USED = 2; //        blocks not in its free list (large: 1)
export const PAGE_CAPACITY = 3; //    blocks in the page
export const PAGE_BLOCK_WORDS = 4; // words of a block (large: of the whole run)
export const PAGE_NEXT = 5; //        descriptor of the next page in its list, or 0
export const PAGE_PREVIOUS = 6; //    descriptor of the previous one, or 0
export const PAGE_RUN = 7; //         pages in the run; a free run has it at both ends

export const PAGE_UNUSED = 0; //       never handed out
export const PAGE_FREE_RUN = 1;
export const PAGE_CONTINUATION = 2; // second and later pages of a run
/** The three block kinds start here: PAGE_SMALL + kind, PAGE_LARGE + kind. */
export const PAGE_SMALL = 4;
export const PAGE_LARGE = 8;

/** Objects that may be tracked by the collector: only their pages are walked by a full collection. */
export const KIND_CONTAINER = 0;
/** Objects that can never be part of a cycle: strings, structs of scalars and strings. */
export const KIND_LEAF = 1;
/** Headerless memory owned by one object or by the heap: list items, hash tables, generation chunks. */
export const KIND_STORAGE = 2;
export const KIND_COUNT = 3;

export const SIZE_CLASS_COUNT_MAX = 64;

// -- control words ----------------------------------------------------------------------------

export const CONTROL_MAGIC = 0;
export const CONTROL_VERSION = 1;
export const CONTROL_PAGE_COUNT = 2; //     one past the last page that can hold blocks
export const CONTROL_FIRST_PAGE = 3; //     first page that can hold blocks
export const CONTROL_TOP_PAGE = 4; //       first page never handed out
export const CONTROL_PAGES_USED = 5; //     pages holding blocks or runs
export const CONTROL_PAGE_TABLE = 6;
export const CONTROL_TYPE_TABLE = 7;
export const CONTROL_TYPE_CAPACITY = 8;
export const CONTROL_TYPE_COUNT = 9;
export const CONTROL_SERIAL_SEED = 10;
export const CONTROL_ROOT_COUNT = 11; //    references held by handles
export const CONTROL_DEFERRED = 12; //      newest object deferred by the trashcan
export const CONTROL_RAW_USED = 13; //      1 once `ouroheap/unsafe` has been opened: roots are then not all known
export const CONTROL_RESERVE_CHUNK = 14; // a chunk kept for the collector, so that a full heap can be collected
export const CONTROL_RETIRED_BLOCKS = 15; //blocks whose serial is used up

export const CONTROL_COUNTS = 16; //        3: gc.getCount()
export const CONTROL_THRESHOLDS = 19; //    3: gc.getThreshold()
/** count0 above this starts a collection; INT32_MAX while disabled, collecting or threshold0 is 0. */
export const CONTROL_TRIGGER = 22;
export const CONTROL_ENABLED = 23;
export const CONTROL_COLLECTING = 24;
export const CONTROL_DEBUG = 25;
export const CONTROL_LONG_LIVED_TOTAL = 26;
export const CONTROL_LONG_LIVED_PENDING = 27;
export const CONTROL_GARBAGE = 28; //       address of the list behind gc.garbage, or 0
export const CONTROL_USER_CODE = 29; //     calls of finalizers and callbacks under way: what dies around them is half gone
export const CONTROL_WEAKREFS = 30; //      weak references with a target
export const CONTROL_FOREIGN = 31; //       foreign objects whose value has not been disposed

/** 3 generations x (collections, collected, uncollectable), as f64. */
export const CONTROL_STATS = 32;
export const STATS_WORDS = 6;

/** Generations 0, 1, 2, the permanent one, and the unreachable of the collection in progress. */
export const CONTROL_GENERATIONS = 52;
export const GENERATION_WORDS = 4;
export const GENERATION_FIRST = 0; //  first chunk, or 0
export const GENERATION_LAST = 1; //   last chunk, or 0
export const GENERATION_CURSOR = 2; // where the next entry goes; a multiple of CHUNK_WORDS: no room
export const GENERATION_CHUNKS = 3; // chunks in the list
export const PERMANENT = 3;
export const UNREACHABLE = 4;
export const GENERATION_COUNT = 5;
/** Where the next tracked object goes: generation 0's cursor. */
export const CONTROL_YOUNG_CURSOR = CONTROL_GENERATIONS + GENERATION_CURSOR;

/** As f64, in bytes: what all adopted values hold; what they took since the last full collection; how much starts one. */
export const CONTROL_ADOPTED_BYTES = 72;
export const CONTROL_ADOPTED_SINCE = 74;
export const CONTROL_BYTE_THRESHOLD = 76;

/** Free runs of pages by floor(log2(length)): descriptor of the first run of each bin. */
export const CONTROL_FREE_RUNS = 80;
export const FREE_RUN_BINS = 20;

/** How much of generation 2 is settled (object/settled.ts): the chunk and the entry of its end; chunk 0: nothing. */
export const CONTROL_SETTLED = 100;
export const CONTROL_SETTLED_END = 101;
/** The same before the last collection that settled more, and how many of those there were. */
export const CONTROL_SETTLED_FROM = 102;
export const CONTROL_SETTLED_FROM_END = 103;
export const CONTROL_SETTLINGS = 104;
/** 1 once a program has got at the words of the heap: references may come and go unseen. */
export const CONTROL_RAW_WRITES = 105;

/** The lock of a shared heap (memory/lock.ts): its state, who waits for it, whose turn it is, and what waiters sleep on. */
export const CONTROL_LOCK = 106;
export const CONTROL_LOCK_WRITERS = 107;
export const CONTROL_LOCK_READERS = 108;
export const CONTROL_LOCK_TURN = 109;
export const CONTROL_LOCK_EVENTS = 110;
/** Address of the thread table (memory/threads.ts); 0: the heap is not shared. */
export const CONTROL_THREADS = 111;
/** 1: a thread has ended while it held the lock exclusively, or between a count and its root, and nobody has repaired the heap since. */
export const CONTROL_DAMAGED = 112;
/** Address of the table of parcels, or 0. */
export const CONTROL_PARCELS = 113;
/** TYPES_HAVE_*: what a collection has to look for. */
export const CONTROL_TYPES_HAVE = 114;
/** Shared heaps: a number of its own, by which a thread knows that it has attached it already. */
export const CONTROL_HEAP_ID = 115;
/** One past the highest number that a thread has had. */
export const CONTROL_THREADS_END = 116;
export const TYPES_HAVE_TUPLES = 1;
export const TYPES_HAVE_DICTS = 2;
export const TYPES_HAVE_FINALIZERS = 4;
export const TYPES_HAVE_POOLS = 8;

/** gc.setPolicy(), and what it has made of threshold0 and of the quarter rule (gc/adaptive.ts); as they are by default: CPython's. */
export const CONTROL_POLICY = 117;
export const CONTROL_YOUNG_THRESHOLD = 118;
export const CONTROL_GROWTH_QUARTERS = 119;
export const POLICY_PYTHON = 0;
export const POLICY_ADAPTIVE = 1;

/** The next free block of the current page, by kind and size class. */
export const CONTROL_CURRENT = 128;
/** Other pages with a free block: descriptor of the first, by kind and size class. */
export const CONTROL_AVAILABLE = CONTROL_CURRENT + KIND_COUNT * SIZE_CLASS_COUNT_MAX;

export const CONTROL_WORDS = CONTROL_AVAILABLE + KIND_COUNT * SIZE_CLASS_COUNT_MAX;

// -- generation tables ------------------------------------------------------------------------

/**
 * A generation is a list of chunks; a chunk is a storage block of 1024 words, aligned to its size, so that
 * an entry's address leads to its chunk by a mask. An entry is an object's address, or 0: a tombstone.
 *
 *   0 next chunk | 1 generation | 2 used | 3 sequence | 8.. entries
 *
 * used: entries written; CHUNK_OPEN while the chunk is the last one and still grows. sequence: rises along the list.
 */
export const CHUNK_WORDS = 1024;
export const CHUNK_MASK = CHUNK_WORDS - 1;
export const CHUNK_NEXT = 0;
export const CHUNK_GENERATION = 1;
export const CHUNK_USED = 2;
export const CHUNK_SEQUENCE = 3;
export const CHUNK_ENTRIES = 8;
export const CHUNK_CAPACITY = CHUNK_WORDS - CHUNK_ENTRIES;
export const CHUNK_OPEN = 0x7fffffff;

/** Side bytes: what a collection knows of the object that starts in a granule (gc/partition.ts). */
export const SIDE_OUTSIDE = 0;
export const SIDE_MEMBER = 1;
export const SIDE_SATURATED = 253;
export const SIDE_TENTATIVE = 254;
export const SIDE_REACHABLE = 255;

// -- object header ----------------------------------------------------------------------------

export const HEADER_REFCOUNT = 0;
export const HEADER_TYPE = 1;
export const HEADER_SERIAL = 2;
export const HEADER_ENTRY = 3;
export const HEADER_WORDS = 4;

export const TYPE_ID_MASK = 0xffff;
export const FLAG_TRACKED = 1 << 16; //   in a generation table
export const FLAG_FROZEN = 1 << 17; //    in the permanent generation
export const FLAG_FINALIZED = 1 << 18; // its finalizer has run (CPython: _PyGC_PREV_MASK_FINALIZED)
/**
 * Its death is more than dropping references: its type has a finalizer, it is weakly referenced, or it is a weak
 * reference or a foreign object.
 */
export const FLAG_OBSERVED = 1 << 19;
/** Being dropped while a finalizer or callback runs: its slots may name what is gone. Only the verifier asks. */
export const FLAG_DYING = 1 << 20;
/** A pool's: its death gives it back to the pool, which is told by FLAG_OBSERVED as well. */
export const FLAG_POOLED = 1 << 21;
/** A full collection found a reason for it to stay where it is (object/settled.ts); a hint, which may outlive the reason. */
export const FLAG_SETTLED = 1 << 22;
/** Serials have 30 bits: a small integer in every engine. */
export const SERIAL_MAX = 0x3fffffff;
/**
 * A block whose serial has come this far is retired: one death raises a serial at most four times (when a collection
 * begins to end it, when it is deferred, before its weak references are cleared, when it is freed).
 */
export const SERIAL_RETIRED = SERIAL_MAX - 4;
/** A granule is 16 bytes; every block starts in a granule of its own. */
export const GRANULE_SHIFT = 2;
export const GRANULE_MASK = (1 << GRANULE_SHIFT) - 1; // of word addresses
/** `unsafe` refuses more references than this to one object; heap references cannot reach it (8 GiB / 4 B = 2^31). */
export const REFCOUNT_MAX = 2 ** 30;

// -- slots: how a field, item, key or value is stored ------------------------------------------

export const SLOT_NONE = 0;
export const SLOT_F64 = 1;
export const SLOT_F32 = 2;
export const SLOT_I32 = 3;
export const SLOT_U32 = 4;
export const SLOT_U8 = 5;
export const SLOT_I64 = 6;
export const SLOT_BOOL = 7;
export const SLOT_STR = 8; // one word: address of a string, 0 for ""
export const SLOT_REF = 9; // one word: address of an object, or 0 for null
export const SLOT_ANY = 10; // two words: a number, or a tag in the high word

/** In an `any` slot the high word of every number lies outside [TAG_FIRST, TAG_LAST]: NaN is canonical. */
export const TAG_NULL = -0x40000; //   0xfffc0000
export const TAG_BOOLEAN = -0x3ffff; // low word 0 or 1
export const TAG_STRING = -0x3fffe; //  low word: address of a string, 0 for ""
export const TAG_OBJECT = -0x3fffd; //  low word: address of an object
export const TAG_EMPTY = -0x3fffc; //   a deleted hash table entry
export const TAG_FIRST = TAG_NULL;
export const TAG_LAST = TAG_EMPTY;
export const NAN_HIGH = 0x7ff80000;

// -- types ------------------------------------------------------------------------------------

export const TYPE_SHIFT = 4;
export const TYPE_WORDS = 1 << TYPE_SHIFT;
export const TYPE_KIND = 0;
export const TYPE_OBJECT_WORDS = 1; //   words of an instance
export const TYPE_FLAGS = 2;
/** References that a traversal visits: a count n >= 0 means the words 4 .. 4+n-1 in order; else TRAVERSE_*. */
export const TYPE_TRAVERSE = 3;
/**
 * What a death drops: the same count or TRAVERSE_*, shifted left by one, | 1 if the death lowers count0. Lists and hash
 * tables always have their TRAVERSE_*, because their storage has to be freed.
 */
export const TYPE_DROP = 4;
export const TYPE_EDGES = 5; //          address of the edge table (offset | slot kind << 24), in visit order
export const TYPE_EDGE_COUNT = 6;
export const TYPE_NAME = 7; //           address of a string
export const TYPE_LAYOUT_HASH = 8;
export const TYPE_WEAKREF_OFFSET = 9; // word of the weak reference list, or 0
export const TYPE_KEY_SLOT = 10; //      SLOT_* of dict keys, set members
export const TYPE_ITEM_SLOT = 11; //     SLOT_* of list items, dict values
export const TYPE_BLOCK_KIND = 12; //    KIND_CONTAINER or KIND_LEAF
export const TYPE_SIZE_CLASS = 13; //    size class of an instance, or -1: large
export const TYPE_SCHEMA = 14; //        shared heaps: address of a string that describes the type to other threads
export const TYPE_THREADS = 15; //       shared heaps: bit i: thread i knows the class, and so its finalizer

export const TRAVERSE_EDGES = -1; //     by the edge table
export const TRAVERSE_LIST = -2; //      items, last to first
export const TRAVERSE_TABLE = -3; //     hash table entries, in insertion order

export const KIND_FREE = 0;
export const KIND_STRING = 1;
export const KIND_STRUCT = 2;
export const KIND_TUPLE = 3;
export const KIND_LIST = 4;
export const KIND_DICT = 5;
export const KIND_SET = 6;
export const KIND_WEAKREF = 7;
export const KIND_FOREIGN = 8;

/** Instances can be part of a cycle: allocations count towards count0. */
export const TYPE_GC = 1;
/** Instances are tracked when made (structs, lists, sets, tuples); dicts wait for their first container. */
export const TYPE_TRACKED_AT_BIRTH = 2;
/** Instances have a finalizer. */
export const TYPE_FINALIZER = 4;
/** Instances stand for a value of the host, which is disposed when they die. */
export const TYPE_FOREIGN = 8;

export const TYPE_EDGE_OFFSET_MASK = 0xffffff;
export const TYPE_EDGE_SLOT_SHIFT = 24;

/** Type ids that every heap has. */
export const TYPE_ID_STRING = 1;
export const TYPE_ID_WEAKREF = 2;
export const TYPE_ID_FOREIGN = 3; //        a foreign object that holds nothing of the heap
export const TYPE_ID_FOREIGN_HOLDER = 4; // one that does, and so can be part of a cycle
export const TYPE_ID_FIRST_FREE = 5;
export const TYPE_ID_MAX = 0xffff;

// -- built-in payloads ------------------------------------------------------------------------

/** string: header (length in word 3), hash, then Latin-1 bytes or UTF-16 units packed into words. */
export const STRING_LENGTH = HEADER_ENTRY;
export const STRING_HASH = 4;
export const STRING_DATA = 5;

/** list: the items stand in a storage block, or nowhere while the capacity is 0. */
export const LIST_ITEMS = 4;
export const LIST_LENGTH = 5;
export const LIST_CAPACITY = 6; // items
export const LIST_WORDS = 8;

/**
 * dict and set: one storage block holds an index (a power of two of words) and behind it the entries in insertion
 * order, as in CPython's compact dict.
 *
 *   index word             0: free   -1: deleted   else, with a mask of k bits:
 *     bit 31               0
 *     bits k to 30         the same bits of the key's hash, whose bits 0 to k - 1 say where the search begins
 *     bits 0 to k - 1      entry number + 1
 *
 *   entry, one-word keys:  key, hash, [value]     hash -1: deleted
 *   entry, two-word keys:  low, high, [value]     high TAG_EMPTY: deleted
 */
export const TABLE_STORAGE = 4;
export const TABLE_MASK = 5; //     index words - 1; 0: no storage yet
export const TABLE_SIZE = 6; //     live entries
export const TABLE_USED = 7; //     entries written, deleted ones included
export const TABLE_EPOCH = 8; //    raised when entries move
export const TABLE_WEAKREFS = 9; // sets only
export const TABLE_WORDS = 10;
export const TABLE_INDEX_MIN = 8;
export const ENTRY_VALUE = 2; //    of the words of an entry: its value, if it has one
export const INDEX_FREE = 0;
export const INDEX_DELETED = -1;
export const HASH_MASK = 0x7fffffff;
export const HASH_DELETED = -1;
/** What the words of keys are multiplied with to be mixed: any odd numbers of many bits. */
export const HASH_FACTOR = 0x45d9f3b;
export const HASH_HIGH_FACTOR = -0x61c8864f;

/**
 * weak reference: what it calls when its target dies, its target, and its place in the target's list, whose head is the
 * word at the target's TYPE_WEAKREF_OFFSET. The order of a list is CPython's: the shared reference, the shared proxy, and
 * those with a callback, newest first.
 */
export const WEAKREF_CALLBACK = 4; //      a heap object, counted, or 0
export const WEAKREF_TARGET = 5; //        not counted; 0: dead
export const WEAKREF_NEXT = 6;
export const WEAKREF_PREVIOUS = 7; //      0: first
export const WEAKREF_HOST_CALLBACK = 8; // number of a JavaScript function, or 0
export const WEAKREF_IS_PROXY = 9;
export const WEAKREF_WORDS = 10;

/**
 * foreign: a value of the host, which the heap knows by number. A holder's references are laid out as a list's items; the
 * other kind leaves those words alone.
 */
export const FOREIGN_NUMBER = 7; //   0: the value has been disposed
export const FOREIGN_WEAKREFS = 8;
export const FOREIGN_WORDS = 9;

// -- threads ----------------------------------------------------------------------------------

/** Threads that can be attached to a heap at a time: a bit each in the word of the lock. */
export const THREADS_MAX = 30;
/** The lock word: held exclusively; its low bits are then the number of the thread, else a bit for each that holds it shared. */
export const LOCK_EXCLUSIVE = -0x80000000;
export const LOCK_THREAD_MASK = 31;
/** Numbers of foreign values and of the host's callbacks: the thread is in the bits from here on. */
export const HOST_NUMBER_SHIFT = 26;
export const HOST_NUMBER_MAX = 2 ** HOST_NUMBER_SHIFT - 1;
/** Instead of the number of a function whose thread has ended. */
export const HOST_NUMBER_LOST = 31 * 2 ** HOST_NUMBER_SHIFT;

/** A thread's root table: a mask, how many entries are in use, and pairs of an address and a count. */
export const ROOTS_MASK = 0;
export const ROOTS_USED = 1; //        those of count 0 included
export const ROOTS_ENTRIES = 2;
export const ROOTS_ENTRY_WORDS = 2;

/** Releases that can wait in a thread's ring. */
export const RING_WORDS = 1 << 14;

/** A mail: what it is about, and two numbers. */
export const MAIL_WORDS = 3;
export const MAIL_KIND = 0;
export const MAIL_FIRST = 1;
export const MAIL_SECOND = 2;
/** A value's foreign object is gone: its number. */
export const MAIL_DISPOSE = 1;
/** A weak reference has lost its target: the reference, which the mail holds, and the number of the function. */
export const MAIL_CALLBACK = 2;
/** A function will not be called any more: its number. */
export const MAIL_FORGET = 3;
/** An object, which the mail holds, has to be finalized. */
export const MAIL_FINALIZE = 4;
/** What is at this address is no instance of a pool any more, or one of another thread's pool. */
export const MAIL_LEFT_POOL = 5;

/**
 * The table of parcels: a storage block that begins with how many slots there are, the first free slot + 1, how many parcels are
 * under way, and the first slot + 1 that a reader has emptied. A slot: the object, or 0; its serial, raised before the slot is used
 * again; the line that sent it, a string, or 0; the next free or emptied slot + 1.
 */
export const PARCELS_SLOTS = 0;
export const PARCELS_FREE = 1;
export const PARCELS_COUNT = 2;
export const PARCELS_EMPTIED = 3;
export const PARCELS_HEADER_WORDS = 4;
export const PARCEL_WORDS = 4;
export const PARCEL_OBJECT = 0;
export const PARCEL_SERIAL = 1;
export const PARCEL_SITE = 2;
export const PARCEL_NEXT = 3;
export const PARCEL_SLOT_BITS = 20; // a parcel is a number: slot + serial * 2 ** this

/**
 * The thread table: one storage block, THREADS_MAX records. Its thread writes its state, text, ring's tail, entries of its roots, WEB_LOCK,
 * UNSETTLED and IS_BASED at any time; any thread its bell, SITE_LENGTH (to ask) and state (to report its end). All else is under the exclusive lock.
 */
export const THREAD_SHIFT = 6;
export const THREAD_WORDS = 1 << THREAD_SHIFT;
export const THREAD_STATE = 0; //       THREAD_FREE and so on, and above THREAD_STATE_BITS the host's number of the thread + 1; 0: unknown
export const THREAD_ROOTS = 1; //       storage block of its root table, or 0
export const THREAD_WEB_LOCK = 2; //    1: the thread holds its Web Lock, by which its end is reported in a browser
export const THREAD_UNSETTLED = 3; //   1: a count was raised whose root is not in the table yet: if the thread ends now, counts are wrong
export const THREAD_RING = 4; //        storage block of releases that wait, or 0
export const THREAD_RING_HEAD = 5; //   applied so far
export const THREAD_RING_TAIL = 6; //   written so far
export const THREAD_MAIL = 7; //        storage block of the mailbox, or 0
export const THREAD_RECOUNT = 8; //     1: its thread has to look which of its values, pool instances and callbacks are still somebody's, after a repair or a mail that found no memory
export const THREAD_MAIL_TAIL = 9;
export const THREAD_BELL = 10; //       raised when mail comes: what its event loop waits on
export const THREAD_SITE_LENGTH = 11; // characters of the line that took the lock; 0: not recorded; or THREAD_SITE_ASKED
export const THREAD_IS_BASED = 12; //   1: the handles that were made before share() are in its root table
export const THREAD_NAME_LENGTH = 13;
export const THREAD_NAME = 14; //       6 words of Latin-1
export const THREAD_ADOPTED_BYTES = 20; // f64: its share of CONTROL_ADOPTED_BYTES
export const THREAD_TAKEN = 22; //      object of the release that is being taken from the ring, or 0; the next two words are what there will be after it:
export const THREAD_TAKEN_ROOTS = 23; //   the object's count in the root table
export const THREAD_TAKEN_HEAD = 24; //    THREAD_RING_HEAD
export const THREAD_SITE = 25; //       39 words of Latin-1
export const THREAD_FREE = 0;
export const THREAD_ATTACHED = 1;
export const THREAD_ENDED = 2; //        its end was reported: the next exclusive owner takes its roots away, and frees the record
export const THREAD_ENDING = 3; //       its end is being reported: the lock may still know it
export const THREAD_LEFT = 4; //         it has given up all it had, and is about to leave the lock and then to free its record
export const THREAD_JOINING = 5; //      it has a record and waits for the lock: it has nothing yet, and gets no mail
export const THREAD_STATE_BITS = 3;
export const THREAD_SITE_ASKED = -1; //  in THREAD_SITE_LENGTH: another thread has waited long and wants to know

// -- poison -----------------------------------------------------------------------------------

/** `stress` fills a freed object's payload with this: seeing it means a read of a dead object. */
export const POISON_OBJECT = 0x5ead0b1e;
/** ... and freed storage with this: a read of list items or hash table entries after they moved or died. */
export const POISON_STORAGE = 0x5ead57a6;

// -- limits ----------------------------------------------------------------------------------

export const INT32_MAX = 0x7fffffff;
/** CPython's PyTrash_UNWIND_LEVEL: how many deaths may nest before the next is deferred. */
export const TRASHCAN_LIMIT = 50;
