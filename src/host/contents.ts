/** What is inside a heap object, whatever its kind: for everything that shows or copies it. */
import { SLOT_STR } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import type { View } from "./view.js";

/** A step from an object to what it holds, for a path: `.name`, `[3]`. */
export type Step = string | number;

/** Names and values of a struct's fields; values are borrowed. */
export function fieldsOf(view: View): [string, unknown][] {
  const fields = view as unknown as Record<string, unknown>;
  return view["@type"].slots.map(({ name }) => [name, fields[name]]);
}

/** The items of a list, tuple or set, in order; borrowed. */
export function itemsOf(view: View): Iterable<unknown> {
  return view as unknown as Iterable<unknown>;
}

/** The entries of a dict, in order; borrowed. */
export function entriesOf(view: View): Iterable<[unknown, unknown]> {
  return view as unknown as Iterable<[unknown, unknown]>;
}

/** Whether a dict's keys are all strings, so that it reads as a plain object. */
export function hasStringKeys(type: BoundType): boolean {
  const key = type.slots[0].spec;
  return key.slot === SLOT_STR;
}

/** A path as it would be written in JavaScript: `$.a[3]["b c"]`. */
export function pathText(steps: readonly Step[]): string {
  return steps.reduce<string>((path, step) => {
    if (typeof step === "number") return `${path}[${step}]`;
    return /^[A-Za-z_$][\w$]*$/.test(step) ? `${path}.${step}` : `${path}[${JSON.stringify(step)}]`;
  }, "$");
}

/** Define an own property whatever its name: assigning to `__proto__` would set something else. */
export function defineOwn(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}
