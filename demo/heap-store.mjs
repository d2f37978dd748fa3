/** Nodes as structs in a heap. `make` returns a handle, which the loader drops once the tree holds the node. */
import { release } from "ouroheap";
import { Call, Identifier, Literal, Node } from "./syntax.mjs";
import { CALL, IDENTIFIER, LITERAL, NEW, PRIVATE_IDENTIFIER, TEMPLATE_ELEMENT } from "./tables.mjs";

/** @returns {import("./load.mjs").NodeStore} */
export function heapStore(heap) {
  function make({ kind, flags, detail, start, end, text }, field, parent, next) {
    switch (kind) {
      case IDENTIFIER:
      case PRIVATE_IDENTIFIER:
        return heap.new(Identifier, { parent, next, start, end, kind, field, flags, detail, name: text });
      case LITERAL:
      case TEMPLATE_ELEMENT:
        return heap.new(Literal, { parent, next, start, end, kind, field, flags, detail, text });
      case CALL:
      case NEW:
        return heap.new(Call, { parent, next, start, end, kind, field, flags, detail });
      default:
        return heap.new(Node, { parent, next, start, end, kind, field, flags, detail });
    }
  }
  function setFirst(parent, child) {
    parent.first = child;
  }
  return { make, setFirst, drop: release };
}
