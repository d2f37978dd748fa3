/** What the containers of a program have in common: slots, items, entries and members under one `load`, `set` and `unset`. */
import { id, typeName } from "ouroheap";

/** Only nodes and fins go into sets and weak containers: the hash that keeps the order in python3.11 is theirs. */
export function isInstance(ref) {
  return typeof ref === "object" && ref !== null && ["Node", "Fin"].includes(typeName(ref));
}

/** @returns what stands under a key as `{ value }`, or the name of python3.11's error */
export function loadKey(replay, object, key) {
  switch (typeName(object)) {
    case "list":
    case "tuple": {
      const value = object.at(key + 1);
      return value === undefined ? "IndexError" : { value };
    }
    case "dict":
      return object.has(key) ? { value: object.get(key) } : "KeyError";
    case "set":
      return "TypeError";
    case "weakref":
      return "AttributeError";
    default:
      return replay.isUnset(object, key) ? "AttributeError" : { value: object[key] };
  }
}

/** @returns null, or the name of python3.11's error */
export function setKey(replay, object, key, operand) {
  const kind = typeName(object);
  if (kind === "tuple" || kind === "weakref") return "TypeError";
  const value = replay.value(operand);
  if (kind === "set" && !isInstance(value)) return "TypeError";
  if (kind === "list" && key !== "append" && key + 1 >= object.length) return "IndexError";
  replay.holding(value, () => {
    if (kind === "set") object.add(value);
    else if (kind === "dict") object.set(key, value);
    else if (kind !== "list") object[key] = value;
    else if (key === "append") object.push(value);
    else object.set(key + 1, value);
  });
  return null;
}

/** @returns null, or the name of python3.11's error */
export function unsetKey(replay, object, key) {
  switch (typeName(object)) {
    case "tuple":
    case "weakref":
      return "TypeError";
    case "set":
      object.clear();
      return null;
    case "list":
      return unsetItem(replay, object, key);
    case "dict":
      return object.delete(key) ? null : "KeyError";
    default:
      if (replay.isUnset(object, key)) return "AttributeError";
      object[key] = replay.unset;
      return null;
  }
}

function unsetItem(replay, object, key) {
  if (key === "clear") {
    object.assign([replay.labels.get(id(object))]);
    return null;
  }
  const index = key === "pop" ? object.length - 1 : key + 1;
  if (index < 1 || index >= object.length) return "IndexError";
  object.delete(index);
  return null;
}

/** Take a member out of a set. @returns whether it was one, or the name of python3.11's error */
export function discard(replay, object, operand) {
  const value = replay.value(operand);
  if (typeName(object) !== "set") return "TypeError";
  if (!isInstance(value)) return false;
  return replay.holding(value, () => object.delete(value));
}
