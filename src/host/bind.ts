/**
 * Binding: what happens when a heap first meets a type. Everything that the type leads to is resolved with it; layouts
 * are computed, ids given, and for each type the view classes made, in two phases: first all classes, then all
 * accessors, so that an accessor captures the finished class of what it refers to (docs/design/0003).
 */
import { InvalidArgumentError, TypeMismatchError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_GARBAGE,
  HEADER_TYPE,
  SLOT_REF,
  TYPE_ID_FOREIGN,
  TYPE_ID_FOREIGN_HOLDER,
  TYPE_ID_MASK,
  TYPE_ID_WEAKREF,
} from "../memory/layout.js";
import { BoundType, type Maker } from "./bound-type.js";
import type { Context } from "./context.js";
import { defineDict } from "./dict-view.js";
import { type SlotSpec, typeText } from "./fields.js";
import { defineForeign } from "./foreign-view.js";
import { guardMembers, redirectMembers } from "./guarded-view.js";
import { defineList } from "./list-view.js";
import { makePlan, markGc, type Plan, typeLayout } from "./plan.js";
import {
  any,
  type ContainerDescriptor,
  foreignDescriptor,
  nextOrdinal,
  type ObjectDescriptor,
  type StructDescriptor,
  show,
} from "./schema.js";
import { defineSet } from "./set-view.js";
import { CONSTRUCT } from "./struct.js";
import { defineStruct } from "./struct-view.js";
import { defineTuple } from "./tuple-view.js";
import type { AnyStruct } from "./types.js";
import type { View, ViewConstructor } from "./view.js";
import { defineWeakref } from "./weakref-view.js";

export class Binder {
  private readonly context: Context;
  private readonly byOrdinal: BoundType[] = [];
  private readonly byId: BoundType[] = [];
  private readonly structs = new Map<string, StructDescriptor>();
  private readonly foreignTypes: BoundType[] = [];
  /** View classes by type id, for slots that may hold several types. */
  readonly views: ViewConstructor[] = [];
  /** `heap.new` by a type's ordinal, for types it was asked for; emptied when the heap is shared or disposed. */
  readonly makers: Maker[] = [];

  constructor(context: Context) {
    this.context = context;
    context.binder = this;
    const { core } = context;
    this.bindInternal("list", core.garbageTypeId);
    this.bindInternal("list", core.pendingTypeId);
    this.bindInternal("weakref", TYPE_ID_WEAKREF);
    for (const id of [TYPE_ID_FOREIGN_HOLDER, TYPE_ID_FOREIGN]) this.bindForeign(id);
  }

  /** Both kinds of foreign objects are of one type to the program; the descriptor leads to the plain one. */
  private bindForeign(typeId: number): void {
    const isGc = typeId === TYPE_ID_FOREIGN_HOLDER;
    const plan = { descriptor: foreignDescriptor, slots: [], layout: undefined, isGc };
    const type = new BoundType(this.context, plan, typeId);
    this.enter(type);
    this.foreignTypes.push(type);
    this.define(type);
  }

  /** Types that no schema names: weak references, and the lists behind `gc.garbage` and of pending callbacks. */
  private bindInternal(kind: "list" | "weakref", typeId: number): void {
    const spec: SlotSpec = { slot: SLOT_REF, targets: [], isOptional: false, hasDefault: false };
    const descriptor: ContainerDescriptor = {
      "@kind": kind,
      "@ordinal": nextOrdinal(),
      parts: kind === "list" ? [any] : [],
      hasDefault: kind === "list",
    };
    const slots = kind === "list" ? [{ name: "0", spec }] : [];
    const type = new BoundType(
      this.context,
      { descriptor, slots, layout: undefined, isGc: kind === "weakref" },
      typeId,
    );
    this.enter(type);
    this.define(type);
  }

  /** The types that schemas have brought, by id; the heap's own come before. */
  get schemaTypes(): readonly BoundType[] {
    return this.byId.slice(this.context.core.pendingTypeId + 1);
  }

  /** A borrowed view of the list behind `gc.garbage`. */
  get garbage(): View {
    return this.view(this.context.core.memory.i32[CONTROL_GARBAGE]);
  }

  /** Whether an object has a type that a program can see: strings have none. */
  isBound(object: Address): boolean {
    return this.typeOf(object) !== undefined;
  }

  /** The types of the objects that a slot of this type takes: one, but for foreign values. */
  allOf(descriptor: ObjectDescriptor): readonly BoundType[] {
    return descriptor === foreignDescriptor ? this.foreignTypes : [this.bind(descriptor)];
  }

  /** The type of an object. */
  typeOf(object: Address): BoundType {
    return this.byId[this.context.core.memory.i32[object + HEADER_TYPE] & TYPE_ID_MASK];
  }

  /** The type of a number; undefined for strings, which no program sees as objects. */
  typeOfId(id: number): BoundType | undefined {
    return this.byId[id];
  }

  /** A borrowed view of an object of any type. */
  view(object: Address): View {
    return this.typeOf(object).view(object);
  }

  /**
   * The type as this heap knows it; on first use it is bound, with every type that it leads to, or nothing is.
   * @throws TypeMismatchError for a name that another struct or class has here
   * @throws InvalidArgumentError for a schema that cannot be stored
   */
  bind(descriptor: ObjectDescriptor): BoundType {
    const bound = this.byOrdinal[descriptor["@ordinal"]];
    if (bound !== undefined) {
      if (bound.descriptor !== descriptor)
        this.refuseSecondClass(bound.descriptor as StructDescriptor, descriptor as StructDescriptor);
      return bound;
    }
    const plans = this.planAll(descriptor);
    // Getters of shapes and constructors are user code: if they have used the heap, plans may have come true meanwhile.
    if (plans.some((plan) => this.byOrdinal[plan.descriptor["@ordinal"]] !== undefined))
      return this.bind(descriptor);
    markGc(plans, (target) => this.byOrdinal[target["@ordinal"]]?.isGc);
    return this.add(plans)[0];
  }

  /** Bind the types of a saved heap, all of them and in the order of their ids. The heap has no others yet. */
  restore(plans: readonly Plan[]): void {
    const names = new Map<string, StructDescriptor>();
    for (const { descriptor } of plans)
      if (descriptor["@kind"] === "struct") this.checkStruct(descriptor, names);
    this.add(plans);
  }

  private add(plans: readonly Plan[]): BoundType[] {
    const { types } = this.context.core;
    const first = types.count;
    const layouts = plans.map((plan) => typeLayout(plan));
    const { sharing } = this.context;
    if (sharing === undefined) types.register(layouts);
    else sharing.register(plans, layouts);
    const added = plans.map((plan, index) => new BoundType(this.context, plan, first + index));
    this.enterAll(added);
    sharing?.noteTypes(first);
    return added;
  }

  private enterAll(added: readonly BoundType[]): void {
    for (const type of added) this.enter(type);
    for (const type of added) this.define(type);
  }

  // -- shared heaps ---------------------------------------------------------------------------

  /** How many type ids this thread knows; other threads may have registered more. */
  get known(): number {
    return this.byId.length;
  }

  /** Structs that the program wants for those of the same names in a shared heap. */
  given: readonly AnyStruct[] = [];

  /** Types that other threads have registered, in the order of their ids, from `known` on. */
  adopt(plans: readonly Plan[]): void {
    const first = this.known;
    this.enterAll(plans.map((plan, index) => new BoundType(this.context, plan, first + index)));
  }

  /** The structs that this thread knows. */
  get boundStructs(): Iterable<StructDescriptor> {
    return this.structs.values();
  }

  /** The heap is shared from now on: every view asks for a guard, those made before too. */
  guardAll(): void {
    const types = this.byId.filter((type) => type !== undefined);
    this.makers.length = 0;
    const before = types.map((type) => type.replaceView());
    for (const type of types) this.views[type.id] = type.View;
    for (const type of types) this.define(type);
    for (const [index, type] of types.entries())
      redirectMembers(before[index], type.View.prototype as object);
  }

  private enter(type: BoundType): void {
    this.byOrdinal[type.descriptor["@ordinal"]] = type;
    this.byId[type.id] = type;
    this.views[type.id] = type.View;
    if (type.descriptor["@kind"] === "struct") this.structs.set(type.name, type.descriptor);
  }

  private define(type: BoundType): void {
    this.defineMembers(type);
    const { sharing } = this.context;
    if (sharing !== undefined) guardMembers(type.View.prototype as object, sharing);
  }

  /** `heap.new` for one type. @throws as `bind` */
  maker(descriptor: ObjectDescriptor): Maker {
    const type = this.bind(descriptor);
    const make = this.context.handles.makeMaker(type);
    this.makers[descriptor["@ordinal"]] = make;
    return make;
  }

  private defineMembers(type: BoundType): void {
    switch (type.descriptor["@kind"]) {
      case "foreign":
        defineForeign(type);
        break;
      case "weakref":
        defineWeakref(type);
        break;
      case "struct":
        defineStruct(type);
        break;
      case "tuple":
        defineTuple(type);
        break;
      case "list":
        defineList(type);
        break;
      case "dict":
        defineDict(type);
        break;
      default:
        defineSet(type);
    }
  }

  /** The type and all unbound ones that it leads to, the type first. */
  private planAll(root: ObjectDescriptor): Plan[] {
    const plans = new Map<ObjectDescriptor, Plan>();
    const queue: ObjectDescriptor[] = [root];
    const names = new Map<string, StructDescriptor>();
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (plans.has(next)) continue;
      const bound = this.byOrdinal[next["@ordinal"]];
      if (bound !== undefined) {
        if (bound.descriptor !== next)
          this.refuseSecondClass(bound.descriptor as StructDescriptor, next as StructDescriptor);
        continue;
      }
      if (next["@kind"] === "struct") this.checkStruct(next, names);
      const plan = makePlan(next);
      plans.set(next, plan);
      for (const { spec } of plan.slots)
        for (const target of [...spec.targets, ...(spec.weakTargets ?? [])]) queue.push(target);
    }
    return [...plans.values()];
  }

  private checkStruct(struct: StructDescriptor, names: Map<string, StructDescriptor>): void {
    const other = names.get(struct.typeName) ?? this.structs.get(struct.typeName);
    if (other !== undefined && other !== struct) this.refuseSecondClass(other, struct);
    names.set(struct.typeName, struct);
    checkClass(struct);
  }

  private refuseSecondClass(known: StructDescriptor, other: StructDescriptor): never {
    const isSameStruct = known["@declaration"] === other["@declaration"];
    const nameOf = (descriptor: StructDescriptor) => (descriptor as unknown as { name: string }).name;
    const [fields, otherFields] = [describeFields(known), describeFields(other)];
    const hint =
      fields === otherFields
        ? " If the heap was loaded, give the class to Heap.load(source, { types }); if it is shared, to heap.share({ types }) or Heap.attach(token, types)."
        : "";
    throw new TypeMismatchError(
      isSameStruct
        ? `Struct "${known.typeName}" is the class ${nameOf(known)} in this heap and cannot be the class ${nameOf(other)} too: one subclass of a struct is its type.`
        : `This heap has a struct "${known.typeName}" (${fields}) and cannot have another of that name (${otherFields}).${hint}`,
    );
  }
}

function describeFields(struct: StructDescriptor): string {
  const { shape } = struct;
  return (
    Object.keys(shape)
      .map((name) => `${name}: ${typeText(shape[name])}`)
      .join(", ") || "no fields"
  );
}

/**
 * JavaScript fields of a subclass would live on each view and be lost with it; a field must not hide a method, and a
 * handle's own disposal must not hide the class's.
 */
function checkClass(struct: StructDescriptor): void {
  const { typeName } = struct;
  let probe: object;
  try {
    probe = Reflect.construct(struct as unknown as new (token: unknown) => object, [CONSTRUCT]) as object;
  } catch (cause) {
    throw new InvalidArgumentError(
      `The constructor of struct "${typeName}" threw. A struct class needs none: the heap makes instances without it.`,
      { cause },
    );
  }
  const own = Reflect.ownKeys(probe);
  if (own.length > 0)
    throw new InvalidArgumentError(
      `Struct "${typeName}" declares the JavaScript field ${show(String(own[0]))}, which would be lost with each view. Put it into the shape, or make it a getter.`,
    );
  for (
    let prototype = struct.prototype;
    prototype !== struct["@declaration"].base.prototype;
    prototype = Object.getPrototypeOf(prototype) as object
  ) {
    for (const name of Object.keys(struct.shape))
      if (Object.hasOwn(prototype, name))
        throw new InvalidArgumentError(`Struct "${typeName}" has a field and a method called ${show(name)}.`);
    if (Object.hasOwn(prototype, Symbol.dispose))
      throw new InvalidArgumentError(
        `Struct "${typeName}" has a method [Symbol.dispose], which would never run: disposing of a handle releases it. Give the method a name of its own.`,
      );
  }
}
