/** The same nodes as plain JavaScript objects: four classes with the same fields, for comparison. */
import { CALL, IDENTIFIER, LITERAL, NEW, PRIVATE_IDENTIFIER, TEMPLATE_ELEMENT } from "./tables.mjs";

/** Written out and not inherited: a chain of constructors would make the objects slower to build. */
class PlainIdentifier {
  constructor({ kind, flags, detail, start, end, text }, field, parent, next) {
    this.parent = parent;
    this.next = next;
    this.start = start;
    this.end = end;
    this.kind = kind;
    this.field = field;
    this.flags = flags;
    this.detail = detail;
    this.name = text;
  }
  get first() {
    return null;
  }
}

class PlainLiteral {
  constructor({ kind, flags, detail, start, end, text }, field, parent, next) {
    this.parent = parent;
    this.next = next;
    this.start = start;
    this.end = end;
    this.kind = kind;
    this.field = field;
    this.flags = flags;
    this.detail = detail;
    this.text = text;
  }
  get first() {
    return null;
  }
}

class PlainCall {
  constructor({ kind, flags, detail, start, end }, field, parent, next) {
    this.parent = parent;
    this.next = next;
    this.start = start;
    this.end = end;
    this.kind = kind;
    this.field = field;
    this.flags = flags;
    this.detail = detail;
    this.first = null;
  }
  get callee() {
    return this.first;
  }
}

class PlainNode {
  constructor({ kind, flags, detail, start, end }, field, parent, next) {
    this.parent = parent;
    this.next = next;
    this.start = start;
    this.end = end;
    this.kind = kind;
    this.field = field;
    this.flags = flags;
    this.detail = detail;
    this.first = null;
  }
}

/** @returns {import("./load.mjs").NodeStore} */
export function plainStore() {
  function make(reading, field, parent, next) {
    switch (reading.kind) {
      case IDENTIFIER:
      case PRIVATE_IDENTIFIER:
        return new PlainIdentifier(reading, field, parent, next);
      case LITERAL:
      case TEMPLATE_ELEMENT:
        return new PlainLiteral(reading, field, parent, next);
      case CALL:
      case NEW:
        return new PlainCall(reading, field, parent, next);
      default:
        return new PlainNode(reading, field, parent, next);
    }
  }
  function setFirst(parent, child) {
    parent.first = child;
  }
  return { make, setFirst, drop: () => {} };
}
