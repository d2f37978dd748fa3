/** A type as one heap knows it: what its objects are called, where their fields are, and how they are built and shown. */
import { type Address, HEADER_SERIAL, TYPE_LAYOUT_HASH } from "../memory/layout.js";
import type { FieldLayout } from "../object/struct.js";
import type { Context } from "./context.js";
import { typeText } from "./fields.js";
import type { Fill } from "./fill.js";
import { makeGuardedViewClass, refuseEarlierIterator } from "./guarded-view.js";
import type { NamedSlot, Plan } from "./plan.js";
import type { ObjectDescriptor } from "./schema.js";
import { BOUND, makeViewClass, type View, type ViewConstructor } from "./view.js";

/** Builds an instance, and wraps it in a handle. */
export type Maker = (type: unknown, init: unknown) => View;

/** A type as one heap knows it. */
export class BoundType {
  readonly [BOUND] = true;
  readonly context: Context;
  readonly descriptor: ObjectDescriptor;
  readonly id: number;
  /** "TreeNode", "list", "dict": what `typeName` says. */
  readonly name: string;
  /** "list(TreeNode)": as it would be written. */
  readonly text: string;
  /** Whether instances can be part of a cycle. */
  readonly isGc: boolean;
  /** Names and slots: a struct's fields, a tuple's items, a list's or set's item, a dict's key and value. */
  readonly slots: readonly NamedSlot[];
  readonly layout: FieldLayout | undefined;
  /** Of the layout; a type of the same name and hash is the same type. */
  get hash(): number {
    const { core } = this.context;
    return core.memory.i32[core.types.descriptor(this.id) + TYPE_LAYOUT_HASH];
  }
  /** What `create` and `fill` are when they are first asked for: a thread that only reads compiles neither. */
  declare makeCreate: () => (init: unknown) => Address;
  declare makeFill: () => Fill;
  private created: ((init: unknown) => Address) | undefined = undefined;
  private filled: Fill | undefined = undefined;
  /** Build an empty container. @returns a new reference */
  declare createEmpty: () => Address;
  /** Structs: what a zeroed instance still needs. */
  declare nullAnySlots: (object: Address) => void;
  /** Prototypes of the iterators that its views make. */
  readonly iterators: { next: () => unknown }[] = [];
  /** The class of its views: another one once the heap is shared. */
  View: ViewConstructor;

  constructor(context: Context, plan: Plan, id: number) {
    this.context = context;
    this.descriptor = plan.descriptor;
    this.id = id;
    this.name = plan.descriptor["@kind"] === "struct" ? plan.descriptor.typeName : plan.descriptor["@kind"];
    this.text = typeText(plan.descriptor);
    this.isGc = plan.isGc;
    this.slots = plan.slots;
    this.layout = plan.layout;
    this.View = this.makeView();
  }

  /** Build an instance from a literal. @returns a new reference */
  get create(): (init: unknown) => Address {
    this.created ??= this.makeCreate();
    return this.created;
  }

  /** Structs: write a literal into an instance. */
  get fill(): Fill {
    this.filled ??= this.makeFill();
    return this.filled;
  }

  private makeView(): ViewConstructor {
    const { sharing } = this.context;
    return sharing === undefined ? makeViewClass(this.name) : makeGuardedViewClass(this.name, sharing.lock);
  }

  /** The heap is shared from now on. @returns the prototype of the views that were made before */
  replaceView(): object {
    const before = this.View.prototype as object;
    for (const iterator of this.iterators.splice(0)) iterator.next = refuseEarlierIterator;
    this.View = this.makeView();
    this.created = undefined;
    this.filled = undefined;
    return before;
  }

  /** A borrowed view of an object of this type. */
  view(object: Address): View {
    return new this.View(object, this.context.core.memory.i32[object + HEADER_SERIAL]);
  }

  /** A handle that takes over a reference the caller owns. */
  handle(object: Address): View {
    return this.context.handles.own(this, object);
  }
}
