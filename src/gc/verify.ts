/**
 * The second implementation: every invariant of the heap, recomputed naively from the memory alone. It shares the
 * layout with the rest and nothing else; no walk, count or list of the real code is trusted. Slow on purpose:
 * O(memory in use), with a Map or a Set for everything.
 *
 * The numbers are those of ARCHITECTURE.md.
 */
import * as L from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { type Address, type Blocks, check, verifyBlocks } from "./verify-blocks.js";
import { I8, verifyChunks, verifySettled } from "./verify-generations.js";
import { naivePairHash, naiveTextHash } from "./verify-hash.js";

const I4 = "I4 types";
const I5 = "I5 storage";
const I6 = "I6 refcount";
const I7 = "I7 references";
const I9 = "I9 tracking";
const I10 = "I10 strings";
const I11 = "I11 hash tables";
const I12 = "I12 lists";
const I13 = "I13 weak references";
const I14 = "I14 foreign values";

export interface VerifyOptions {
  /**
   * The references that JavaScript holds, by object, where they are known one by one (`checks: "verify"`, `"stress"`).
   * Without it only their sum is checked.
   */
  readonly roots?: ReadonlyMap<Address, number>;
  /** Inside a collection, after the partition: the unreachable stand in a table of their own. */
  readonly isCollecting?: boolean;
  /** Inside an operation: what is being built holds references that no handle explains. */
  readonly isInside?: boolean;
}

/**
 * Check every invariant of a heap.
 * @throws HeapCorruptionError naming the first broken invariant and the address
 */
export function verifyMemory(memory: Memory, options: VerifyOptions = {}): void {
  new Verifier(memory, options).run();
}

interface Edge {
  readonly slot: number;
  readonly target: Address;
}

class Verifier {
  private readonly i32: Int32Array;
  private readonly options: VerifyOptions;
  private readonly blocks: Blocks;
  private readonly storageOwners = new Map<Address, Address>();
  private readonly internal = new Map<Address, number>();
  /** Weak references found in the lists of their targets. */
  private weakrefs = 0;
  /** Foreign objects whose value is not disposed. */
  private foreign = 0;
  private readonly entries = new Map<Address, { entry: Address; generation: number }>();

  constructor(memory: Memory, options: VerifyOptions) {
    this.i32 = memory.i32;
    this.options = options;
    this.blocks = verifyBlocks(memory);
  }

  run(): void {
    const { i32 } = this;
    this.verifyTypes();
    this.verifyGenerations();
    for (const object of this.blocks.objects.keys()) this.verifyObject(object);
    const garbage = i32[L.CONTROL_GARBAGE];
    if (garbage !== 0) this.countReference(garbage, L.CONTROL_GARBAGE);
    this.verifyCounts();
    for (const object of this.blocks.objects.keys()) this.verifyTracking(object);
    verifySettled(i32, this.entries, (object) => this.edges(object).map(({ target }) => target));
    check(
      this.weakrefs === i32[L.CONTROL_WEAKREFS],
      I13,
      L.CONTROL_WEAKREFS,
      () => `counts ${i32[L.CONTROL_WEAKREFS]} live weak references, found ${this.weakrefs}`,
    );
    check(
      this.foreign === i32[L.CONTROL_FOREIGN],
      I14,
      L.CONTROL_FOREIGN,
      () => `counts ${i32[L.CONTROL_FOREIGN]} foreign values, found ${this.foreign}`,
    );
    // A container that is being emptied has put its storage aside; deaths wait for the outermost one.
    if (i32[L.CONTROL_USER_CODE] > 0) return;
    for (const storage of this.blocks.storage.keys())
      check(this.storageOwners.has(storage), I5, storage, () => "a storage block in use belongs to nobody");
    check(
      i32[L.CONTROL_DEFERRED] === 0,
      I6,
      L.CONTROL_DEFERRED,
      () => "a death was deferred and not taken up",
    );
  }

  // -- types and storage ----------------------------------------------------------------------

  private verifyTypes(): void {
    const { i32 } = this;
    const count = i32[L.CONTROL_TYPE_COUNT];
    check(count <= i32[L.CONTROL_TYPE_CAPACITY] + 1, I4, L.CONTROL_TYPE_COUNT, () => `${count} types`);
    for (let id = 1; id < count; id++) {
      const type = this.type(id);
      const kind = i32[type + L.TYPE_KIND];
      check(kind > L.KIND_FREE && kind <= L.KIND_FOREIGN, I4, type, () => `type ${id} has kind ${kind}`);
      this.countReference(i32[type + L.TYPE_NAME], type);
      if (i32[type + L.TYPE_SCHEMA] !== 0) this.countReference(i32[type + L.TYPE_SCHEMA], type);
      if (i32[type + L.TYPE_EDGES] !== 0)
        this.own(i32[type + L.TYPE_EDGES], type, i32[type + L.TYPE_EDGE_COUNT]);
    }
    this.verifySharing();
    const reserve = i32[L.CONTROL_RESERVE_CHUNK];
    if (reserve !== 0) this.own(reserve, L.CONTROL_RESERVE_CHUNK, L.CHUNK_WORDS);
  }

  /** What a shared heap has beside: the thread table, each thread's storage, and parcels. */
  private verifySharing(): void {
    const { i32 } = this;
    const threads = i32[L.CONTROL_THREADS];
    if (threads !== 0) this.own(threads, L.CONTROL_THREADS, L.THREADS_MAX * L.THREAD_WORDS);
    for (let thread = 0; threads !== 0 && thread < L.THREADS_MAX; thread++) {
      const record = threads + thread * L.THREAD_WORDS;
      const roots = i32[record + L.THREAD_ROOTS];
      const rootsWords = L.ROOTS_ENTRIES + (i32[roots + L.ROOTS_MASK] + 1) * L.ROOTS_ENTRY_WORDS;
      if (roots !== 0) this.own(roots, record, rootsWords);
      if (i32[record + L.THREAD_RING] !== 0) this.own(i32[record + L.THREAD_RING], record, 1);
      if (i32[record + L.THREAD_MAIL] !== 0)
        this.own(i32[record + L.THREAD_MAIL], record, i32[record + L.THREAD_MAIL_TAIL] * L.MAIL_WORDS);
    }
    const parcels = i32[L.CONTROL_PARCELS];
    if (parcels === 0) return;
    const slots = i32[parcels + L.PARCELS_SLOTS];
    this.own(parcels, L.CONTROL_PARCELS, L.PARCELS_HEADER_WORDS + slots * L.PARCEL_WORDS);
    for (let slot = 0; slot < slots; slot++) {
      const at = parcels + L.PARCELS_HEADER_WORDS + slot * L.PARCEL_WORDS;
      if (i32[at + L.PARCEL_SITE] !== 0) this.countReference(i32[at + L.PARCEL_SITE], parcels);
    }
  }

  private type(id: number): Address {
    return this.i32[L.CONTROL_TYPE_TABLE] + id * L.TYPE_WORDS;
  }

  private typeOf(object: Address): Address {
    return this.type(this.i32[object + L.HEADER_TYPE] & L.TYPE_ID_MASK);
  }

  /** Note that `owner` owns a storage block of at least `words` words. */
  private own(storage: Address, owner: Address, words: number): void {
    const block = this.blocks.storage.get(storage);
    check(block !== undefined, I5, owner, () => `names ${storage}, which is no storage block in use`);
    check(block.words >= words, I5, owner, () => `needs ${words} words, its storage has ${block.words}`);
    const other = this.storageOwners.get(storage);
    check(other === undefined, I5, storage, () => `owned by ${other} and by ${owner}`);
    this.storageOwners.set(storage, owner);
  }

  // -- objects --------------------------------------------------------------------------------

  private verifyObject(object: Address): void {
    const { i32 } = this;
    const id = i32[object + L.HEADER_TYPE] & L.TYPE_ID_MASK;
    check(id < i32[L.CONTROL_TYPE_COUNT], I4, object, () => `type id ${id} is not in use`);
    const type = this.type(id);
    const block = this.blocks.objects.get(object)!;
    check(
      block.kind === i32[type + L.TYPE_BLOCK_KIND],
      I4,
      object,
      () => "in a page of the wrong kind for its type",
    );
    const kind = i32[type + L.TYPE_KIND];
    if (kind === L.KIND_STRING) this.verifyString(object, block.words);
    else
      check(
        block.words >= i32[type + L.TYPE_OBJECT_WORDS],
        I4,
        object,
        () => `a block of ${block.words} words`,
      );
    if (kind === L.KIND_LIST || this.isHolder(type)) this.verifyList(object, type);
    if (kind === L.KIND_FOREIGN && i32[object + L.FOREIGN_NUMBER] !== 0) this.foreign++;
    if (kind === L.KIND_DICT || kind === L.KIND_SET) this.verifyTable(object, type);
    this.verifyWeakrefs(object, type);
    // Half of its references are gone already, and those slots name anything.
    if ((i32[object + L.HEADER_TYPE] & L.FLAG_DYING) !== 0) return;
    for (const { target } of this.edges(object)) this.countReference(target, object);
  }

  /** The references of an object, whatever its kind. */
  private edges(object: Address): Edge[] {
    const { i32 } = this;
    const type = this.typeOf(object);
    const kind = i32[type + L.TYPE_KIND];
    const found: Edge[] = [];
    if (kind === L.KIND_STRUCT || kind === L.KIND_TUPLE || kind === L.KIND_WEAKREF) {
      const drop = i32[type + L.TYPE_DROP] >> 1;
      for (let word = 0; word < drop; word++) this.addEdge(found, L.SLOT_REF, object + L.HEADER_WORDS + word);
      for (let index = 0; drop < 0 && index < i32[type + L.TYPE_EDGE_COUNT]; index++) {
        const edge = i32[i32[type + L.TYPE_EDGES] + index];
        this.addEdge(found, edge >>> L.TYPE_EDGE_SLOT_SHIFT, object + (edge & L.TYPE_EDGE_OFFSET_MASK));
      }
    } else if (kind === L.KIND_LIST || this.isHolder(type)) {
      const slot = i32[type + L.TYPE_ITEM_SLOT];
      const words = isPair(slot) ? 2 : 1;
      for (let index = 0; index < i32[object + L.LIST_LENGTH]; index++)
        this.addEdge(found, slot, i32[object + L.LIST_ITEMS] + index * words);
    } else if (kind === L.KIND_DICT || kind === L.KIND_SET) {
      for (const entry of this.liveEntries(object)) {
        this.addEdge(found, i32[type + L.TYPE_KEY_SLOT], entry);
        this.addEdge(found, i32[type + L.TYPE_ITEM_SLOT], entry + 2);
      }
    }
    return found;
  }

  private addEdge(found: Edge[], slot: number, word: Address): void {
    const target = this.i32[word];
    const high = this.i32[word + 1];
    const isReference =
      slot === L.SLOT_REF ||
      slot === L.SLOT_STR ||
      (slot === L.SLOT_ANY && (high === L.TAG_OBJECT || high === L.TAG_STRING));
    if (isReference && target !== 0) found.push({ slot, target });
  }

  private countReference(target: Address, source: Address): void {
    check(this.blocks.objects.has(target), I7, source, () => `refers to ${target}, where no object lives`);
    this.internal.set(target, (this.internal.get(target) ?? 0) + 1);
  }

  private verifyString(string: Address, blockWords: number): void {
    const { i32 } = this;
    const word = i32[string + L.STRING_LENGTH];
    const length = word >>> 1;
    const isWide = (word & 1) === 1;
    check(
      L.STRING_DATA + Math.ceil((isWide ? length * 2 : length) / 4) <= blockWords,
      I10,
      string,
      () => `length ${length}`,
    );
    const units = Array.from({ length }, (_, i) =>
      isWide
        ? (i32[string + L.STRING_DATA + (i >> 1)] >>> ((i % 2) * 16)) & 0xffff
        : (i32[string + L.STRING_DATA + (i >> 2)] >>> ((i % 4) * 8)) & 0xff,
    );
    const hash = naiveTextHash(units, isWide);
    check(hash === i32[string + L.STRING_HASH], I10, string, () => "the hash is not that of the text");
  }

  private verifyList(list: Address, type: Address): void {
    const { i32 } = this;
    const length = i32[list + L.LIST_LENGTH];
    const capacity = i32[list + L.LIST_CAPACITY];
    check(length >= 0 && length <= capacity, I12, list, () => `length ${length}, capacity ${capacity}`);
    const storage = i32[list + L.LIST_ITEMS];
    check((storage === 0) === (capacity === 0), I12, list, () => `storage ${storage}, capacity ${capacity}`);
    if (storage !== 0) this.own(storage, list, capacity * (isPair(i32[type + L.TYPE_ITEM_SLOT]) ? 2 : 1));
  }

  // -- weak references ------------------------------------------------------------------------

  /** The list of an object; and that a weak reference stands in its target's. */
  private verifyWeakrefs(object: Address, type: Address): void {
    const { i32 } = this;
    const header = i32[object + L.HEADER_TYPE];
    const offset = i32[type + L.TYPE_WEAKREF_OFFSET];
    let previous = 0;
    for (let ref = offset === 0 ? 0 : i32[object + offset]; ref !== 0; ref = i32[ref + L.WEAKREF_NEXT]) {
      check(this.blocks.objects.has(ref), I13, object, () => `its list names ${ref}, where no object lives`);
      check(
        i32[this.typeOf(ref) + L.TYPE_KIND] === L.KIND_WEAKREF && i32[ref + L.WEAKREF_TARGET] === object,
        I13,
        ref,
        () => `in the list of ${object}, but no weak reference to it`,
      );
      check(i32[ref + L.WEAKREF_PREVIOUS] === previous, I13, ref, () => "its predecessor is another one");
      check((header & L.FLAG_OBSERVED) !== 0, I13, object, () => "weakly referenced, but not observed");
      previous = ref;
      this.weakrefs++;
    }
    const isObserved = (i32[type + L.TYPE_FLAGS] & (L.TYPE_FINALIZER | L.TYPE_FOREIGN)) !== 0;
    const isWeakref = i32[type + L.TYPE_KIND] === L.KIND_WEAKREF;
    if (isWeakref && i32[object + L.WEAKREF_TARGET] !== 0) this.verifyTarget(object);
    if (isObserved || isWeakref || (header & L.FLAG_POOLED) !== 0)
      check((header & L.FLAG_OBSERVED) !== 0, I13, object, () => "its death would go unobserved");
  }

  private verifyTarget(ref: Address): void {
    const { i32 } = this;
    const target = i32[ref + L.WEAKREF_TARGET];
    check(this.blocks.objects.has(target), I13, ref, () => `leads to ${target}, where no object lives`);
    const previous = i32[ref + L.WEAKREF_PREVIOUS];
    const offset = i32[this.typeOf(target) + L.TYPE_WEAKREF_OFFSET];
    const place = previous === 0 ? i32[target + offset] : i32[previous + L.WEAKREF_NEXT];
    check(offset !== 0 && place === ref, I13, ref, () => `not in the list of its target ${target}`);
  }

  // -- hash tables ----------------------------------------------------------------------------

  private entryWords(table: Address): number {
    return this.i32[this.typeOf(table) + L.TYPE_ITEM_SLOT] === L.SLOT_NONE ? 2 : 4;
  }

  private liveEntries(table: Address): Address[] {
    const { i32 } = this;
    const isPairKey = isPair(i32[this.typeOf(table) + L.TYPE_KEY_SLOT]);
    const first = i32[table + L.TABLE_STORAGE] + i32[table + L.TABLE_MASK] + 1;
    const live: Address[] = [];
    for (let number = 0; number < i32[table + L.TABLE_USED]; number++) {
      const entry = first + number * this.entryWords(table);
      if (i32[entry + 1] !== (isPairKey ? L.TAG_EMPTY : L.HASH_DELETED)) live.push(entry);
    }
    return live;
  }

  private verifyTable(table: Address, type: Address): void {
    const { i32 } = this;
    const mask = i32[table + L.TABLE_MASK];
    const size = i32[table + L.TABLE_SIZE];
    const storage = i32[table + L.TABLE_STORAGE];
    const used = i32[table + L.TABLE_USED];
    if (storage === 0) {
      check(mask === 0 && size === 0 && used === 0, I11, table, () => "no storage, but not empty");
      return;
    }
    check(mask >= L.TABLE_INDEX_MIN - 1 && ((mask + 1) & mask) === 0, I11, table, () => `mask ${mask}`);
    check(
      used >= size && used * 3 <= (mask + 1) * 2,
      I11,
      table,
      () => `${used} entries, index of ${mask + 1}`,
    );
    this.own(storage, table, mask + 1 + used * this.entryWords(table));
    // Some of its keys are freed already, and their memory is somebody else's.
    if ((i32[table + L.HEADER_TYPE] & L.FLAG_DYING) !== 0) return;
    const live = this.liveEntries(table);
    check(live.length === size, I11, table, () => `counts ${size} entries, has ${live.length}`);
    const first = storage + mask + 1;
    const indexed = new Map<number, number>();
    for (let probe = 0; probe <= mask; probe++)
      if (i32[storage + probe] > 0) indexed.set(i32[storage + probe] & mask, probe);
    check(indexed.size === size, I11, table, () => `${indexed.size} index words for ${size} entries`);
    for (const entry of live) {
      const number = (entry - first) / this.entryWords(table) + 1;
      check(indexed.has(number), I11, entry, () => `entry ${number} is not in the index`);
      const hash = this.hashOf(entry, i32[type + L.TYPE_KEY_SLOT]);
      const word = (hash & ~mask) | number;
      let probe = hash & mask;
      while (i32[storage + probe] !== word && i32[storage + probe] !== 0) probe = (probe + 1) & mask;
      check(i32[storage + probe] === word, I11, entry, () => `entry ${number} is not found by its hash`);
    }
  }

  private hashOf(entry: Address, keySlot: number): number {
    const { i32 } = this;
    const [first, second] = [i32[entry], i32[entry + 1]];
    if (keySlot === L.SLOT_STR) {
      const hash = first === 0 ? EMPTY_TEXT_HASH : i32[first + L.STRING_HASH];
      check(hash === second, I11, entry, () => "the hash beside a key is not the key's");
      return hash;
    }
    if (!isPair(keySlot)) return second;
    if (second === L.TAG_STRING) return first === 0 ? EMPTY_TEXT_HASH : i32[first + L.STRING_HASH];
    return naivePairHash(first, second);
  }

  // -- generations ----------------------------------------------------------------------------

  private verifyGenerations(): void {
    for (let generation = 0; generation < L.GENERATION_COUNT; generation++) {
      const isAllowed = generation !== L.UNREACHABLE || this.options.isCollecting === true;
      const own = (chunk: Address) => this.own(chunk, generation, L.CHUNK_WORDS);
      for (const { chunk, used } of verifyChunks(this.i32, generation, isAllowed, own))
        for (let index = 0; index < used; index++)
          this.verifyEntry(chunk + L.CHUNK_ENTRIES + index, generation);
    }
  }

  private verifyEntry(entry: Address, generation: number): void {
    const object = this.i32[entry];
    if (object === 0) return; // a tombstone
    check(this.blocks.objects.has(object), I8, entry, () => `entry of ${object}, where no object lives`);
    const own = this.i32[object + L.HEADER_ENTRY];
    check(own === entry, I8, object, () => `stands at ${entry}, its header says another`);
    check(!this.entries.has(object), I8, object, () => "in two tables");
    this.entries.set(object, { entry, generation });
  }

  // -- counts and tracking --------------------------------------------------------------------

  private verifyCounts(): void {
    const { i32 } = this;
    const { roots, isInside } = this.options;
    // Raw references, and those of an operation under way, are known to nobody.
    const isLoose = isInside === true || i32[L.CONTROL_RAW_USED] !== 0 || i32[L.CONTROL_USER_CODE] > 0;
    const explains = (known: number, found: number) => (isLoose ? found >= known : found === known);
    let rootSum = 0;
    for (const object of this.blocks.objects.keys()) {
      const count = i32[object + L.HEADER_REFCOUNT];
      const internal = this.internal.get(object) ?? 0;
      const isDead =
        i32[L.CONTROL_USER_CODE] > 0 && count <= 1 && (i32[object + L.HEADER_TYPE] & L.FLAG_TRACKED) === 0;
      if (isDead && internal === 0) {
        // A death waits for this one, or for the outermost; unless it lives by one handle and was never tracked.
        rootSum += count;
        continue;
      }
      check(count > 0, I6, object, () => `count ${count}`);
      check(count >= internal, I6, object, () => `count ${count}, but ${internal} references lead here`);
      const external = count - internal;
      rootSum += external;
      const known = roots?.get(object) ?? 0;
      const isExplained = roots === undefined || explains(known, external);
      check(isExplained, I6, object, () => `count ${count}: ${internal} from inside, ${known} handles`);
    }
    const counted = i32[L.CONTROL_ROOT_COUNT];
    check(
      explains(counted, rootSum),
      I6,
      L.CONTROL_ROOT_COUNT,
      () => `${counted} handles, but ${rootSum} unexplained counts`,
    );
  }

  private verifyTracking(object: Address): void {
    const { i32 } = this;
    const type = this.typeOf(object);
    const header = i32[object + L.HEADER_TYPE];
    const place = this.entries.get(object);
    const isTracked = (header & L.FLAG_TRACKED) !== 0;
    check(
      isTracked === (place !== undefined),
      I8,
      object,
      () => `tracked: ${isTracked}, in a table: ${place !== undefined}`,
    );
    const isFrozen = (header & L.FLAG_FROZEN) !== 0;
    check(isFrozen === (place?.generation === L.PERMANENT), I8, object, () => `frozen: ${isFrozen}`);
    if (isTracked) {
      check(this.isGc(type), I9, object, () => "tracked, though its type cannot be");
      return;
    }
    const isInPool = (header & L.FLAG_POOLED) !== 0;
    if (!this.isGc(type) || isInPool || i32[L.CONTROL_USER_CODE] > 0) return;
    const kind = i32[type + L.TYPE_KIND];
    check(
      kind === L.KIND_DICT || kind === L.KIND_TUPLE,
      I9,
      object,
      () => "untracked, though its type always is",
    );
    for (const { target } of this.edges(object))
      check(!this.isContainer(target), I9, object, () => `untracked, but holds the container ${target}`);
  }

  /** A foreign object whose references stand in a list's words. */
  private isHolder(type: Address): boolean {
    return this.i32[type + L.TYPE_KIND] === L.KIND_FOREIGN && this.isGc(type);
  }

  private isGc(type: Address): boolean {
    return (this.i32[type + L.TYPE_FLAGS] & L.TYPE_GC) !== 0;
  }

  private isContainer(object: Address): boolean {
    const type = this.typeOf(object);
    if (!this.isGc(type)) return false;
    return this.i32[type + L.TYPE_KIND] !== L.KIND_TUPLE || this.entries.has(object);
  }
}

const EMPTY_TEXT_HASH = naiveTextHash([], false);

function isPair(slot: number): boolean {
  return slot === L.SLOT_F64 || slot === L.SLOT_I64 || slot === L.SLOT_ANY;
}
