/** Arguments that may be anything in a program without types: refused before they are used. */
import { show } from "../host/schema.js";
import { InvalidArgumentError } from "../memory/errors.js";

/** @throws InvalidArgumentError for what is no object of options */
export function requireOptions(options: unknown, whose: string): void {
  if (typeof options === "object" && options !== null && !Array.isArray(options)) return;
  throw new InvalidArgumentError(`The options of ${whose} must be an object, got ${show(options)}.`);
}

/** @throws InvalidArgumentError for what is no array */
export function requireArray(value: unknown, what: string): void {
  if (!Array.isArray(value)) throw new InvalidArgumentError(`${what} must be an array, got ${show(value)}.`);
}

/** @throws InvalidArgumentError for what is no function */
export function requireFunction(value: unknown, what: string): void {
  if (typeof value !== "function")
    throw new InvalidArgumentError(`${what} must be a function, got ${show(value)}.`);
}
