/** The layers below the host put together: everything that works on addresses. */
import { Allocator } from "../alloc/allocator.js";
import {
  CONTROL_GARBAGE,
  KIND_LIST,
  LIST_WORDS,
  SLOT_REF,
  TRAVERSE_LIST,
  TYPE_GC,
  TYPE_ID_FIRST_FREE,
  TYPE_TRACKED_AT_BIRTH,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { ForeignObjects } from "../object/foreign.js";
import { Generations } from "../object/generation.js";
import { HashTables } from "../object/hash-table.js";
import { createHooks, type Hooks } from "../object/hooks.js";
import { Lifetime } from "../object/lifetime.js";
import { Lists } from "../object/list.js";
import { createObjects, type Objects } from "../object/objects.js";
import { createReferenceCounts, type ReferenceCounts } from "../object/refcount.js";
import { Strings } from "../object/string.js";
import { Tracking } from "../object/tracking.js";
import { Traversal } from "../object/traverse.js";
import { TypeTable } from "../object/type.js";
import { WeakReferences } from "../object/weakref.js";
import { createBulkDeath } from "./bulk-death.js";
import { Clearing } from "./clear.js";
import { Collector } from "./collect.js";
import { CollectorEvents } from "./events.js";
import { Finalization } from "./finalize.js";
import { createInternalCounts } from "./internal-counts.js";
import { LocalPartition } from "./local-partition.js";
import { createPartition } from "./partition.js";
import { Promotion } from "./promotion.js";
import { Trigger } from "./trigger.js";
import { UnreachableObjects } from "./unreachable.js";
import { createYoungPartition } from "./young-partition.js";

export interface CoreOptions {
  /** Collect at allocations as `stress` does, poison freed memory, keep pages with their class. */
  readonly isStress?: boolean;
  /**
   * The memory is a heap already, which another core has made: nothing is written to it. Which types there are is in the
   * memory; what is JavaScript's (hooks, listeners, watchers) each core has for itself.
   */
  readonly isAttached?: boolean;
}

/** Every heap registers these first. */
const TYPE_ID_GARBAGE_LIST = TYPE_ID_FIRST_FREE;
const TYPE_ID_PENDING_LIST = TYPE_ID_FIRST_FREE + 1;

/** How often `stress` collects everything rather than generation 0. */
const STRESS_FULL_EVERY = 1000;

export class Core {
  readonly memory: Memory;
  readonly hooks: Hooks;
  readonly allocator: Allocator;
  readonly strings: Strings;
  readonly types: TypeTable;
  readonly generations: Generations;
  readonly counts: ReferenceCounts;
  readonly objects: Objects;
  readonly lists: Lists;
  readonly tables: HashTables;
  readonly traversal: Traversal;
  readonly tracking: Tracking;
  readonly trigger: Trigger;
  readonly events: CollectorEvents;
  readonly collector: Collector;
  readonly weakrefs: WeakReferences;
  readonly lifetime: Lifetime;
  readonly foreign: ForeignObjects;
  readonly clearing: Clearing;
  /** Type of the list behind `gc.garbage`: never tracked, so that a collection sees its items as held from outside. */
  readonly garbageTypeId: number;
  /** Type of the list that holds the pending callbacks of a death. */
  readonly pendingTypeId: number;
  private stressAllocations = 0;

  constructor(memory: Memory, options: CoreOptions = {}) {
    const isStress = options.isStress === true;
    const isAttached = options.isAttached === true;
    this.memory = memory;
    this.hooks = createHooks();
    this.allocator = new Allocator(memory, isStress);
    this.strings = new Strings(this.allocator);
    this.types = new TypeTable(this.allocator, this.strings, isAttached);
    this.generations = new Generations(this.allocator, isAttached);
    this.counts = createReferenceCounts(this.allocator, this.generations, this.types, this.hooks);
    this.objects = createObjects(this.allocator, this.generations, this.types, this.hooks);
    this.lists = new Lists(this.allocator, this.objects, this.counts, this.types);
    this.tables = new HashTables(this.allocator, this.objects, this.counts, this.strings, this.types);
    this.traversal = new Traversal(memory, this.types);
    this.tracking = new Tracking(memory.i32, this.generations, this.types, this.traversal);
    this.trigger = new Trigger(memory, isStress, isAttached);
    this.events = new CollectorEvents();
    this.weakrefs = new WeakReferences(memory.i32, this.objects, this.counts, this.types, this.hooks);
    this.garbageTypeId = TYPE_ID_GARBAGE_LIST;
    this.pendingTypeId = TYPE_ID_PENDING_LIST;
    if (!isAttached) {
      this.registerInternalList("gc.garbage", 0);
      this.registerInternalList("pending callbacks", TYPE_GC | TYPE_TRACKED_AT_BIRTH);
    }
    this.lifetime = new Lifetime(this);
    this.foreign = new ForeignObjects(memory.i32, this.objects, this.lists, this.counts);
    this.clearing = new Clearing(
      memory.i32,
      this.counts,
      this.lists,
      this.tables,
      this.types,
      this.weakrefs,
      this.hooks,
    );
    const { allocator, generations, traversal, types } = this;
    const bulk = createBulkDeath(allocator, generations, this.counts, traversal, types);
    const internal = createInternalCounts(allocator, traversal, types);
    const unreachable = new UnreachableObjects(memory.side, generations, bulk, internal);
    const youngPartition = createYoungPartition(memory, generations, traversal, types, internal, unreachable);
    const partition = createPartition(allocator, generations, traversal, types, internal, unreachable);
    this.collector = new Collector({
      ...this,
      promotion: new Promotion({ ...this, partition, youngPartition, unreachable }),
      unreachable,
      localPartition: new LocalPartition(memory.i32, traversal),
      finalization: new Finalization({ ...this, youngPartition, unreachable }),
    });
    this.hooks.beforeAllocation = isStress
      ? () => this.collectForStress()
      : () => this.collector.collectIfDue();
    if (!isAttached) memory.i32[CONTROL_GARBAGE] = this.lists.create(this.garbageTypeId);
  }

  /** A list of references that no schema names. */
  private registerInternalList(description: string, flags: number): void {
    this.types.register([
      {
        name: "list",
        kind: KIND_LIST,
        objectWords: LIST_WORDS,
        flags,
        traverse: TRAVERSE_LIST,
        drop: TRAVERSE_LIST,
        edges: [],
        weakrefOffset: 0,
        keySlot: 0,
        itemSlot: SLOT_REF,
        description,
      },
    ]);
  }

  private collectForStress(): void {
    this.stressAllocations++;
    const isFull = this.stressAllocations % STRESS_FULL_EVERY === 0;
    this.trigger.countAllocation();
    this.collector.collect(isFull ? 2 : Math.max(0, this.trigger.pick()));
  }
}
