/** What the parts of a replay share. */

/** What python3.11 would raise, by name. */
export class PythonError extends Error {
  constructor(name, message = "") {
    super(message);
    this.name = name;
  }
}

export function noSuch(name) {
  return new PythonError("KeyError", name);
}

export function isObject(value) {
  return typeof value === "object" && value !== null;
}
