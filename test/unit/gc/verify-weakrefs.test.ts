/** What the witness checks of weak references and of the lists of their targets. */
import * as L from "../../../src/memory/layout.js";
import { describeWitness } from "./verify-support.js";

describeWitness({
  "I13 weak references": [
    [
      "a list that names what is dead",
      /its list names \d+, where no object lives/,
      ({ weakrefHead, target, dead }) => [weakrefHead(target), dead],
    ],
    [
      "the same behind the first",
      /its list names \d+, where no object lives/,
      ({ weakref, dead }) => [weakref + L.WEAKREF_NEXT, dead],
    ],
    [
      "a list that names an object of another type",
      /but no weak reference to it/,
      ({ weakrefHead, target, node }) => [weakrefHead(target), node],
    ],
    [
      "a list that names a weak reference to another",
      /but no weak reference to it/,
      ({ called, other }) => [called + L.WEAKREF_NEXT, other],
    ],
    [
      "a list that names a dead weak reference",
      /but no weak reference to it/,
      ({ called, orphan }) => [called + L.WEAKREF_NEXT, orphan],
    ],
    [
      "a list that runs in a circle",
      /its predecessor is another one/,
      ({ called, weakref }) => [called + L.WEAKREF_NEXT, weakref],
    ],
    [
      "the predecessor of the first",
      /its predecessor is another one/,
      ({ weakref, called }) => [weakref + L.WEAKREF_PREVIOUS, called],
    ],
    [
      "the predecessor of the second",
      /its predecessor is another one/,
      ({ called }) => [called + L.WEAKREF_PREVIOUS, 0],
    ],
    [
      "a target that is not observed",
      /weakly referenced, but not observed/,
      ({ i32, target }) => [target + L.HEADER_TYPE, i32[target + L.HEADER_TYPE] & ~L.FLAG_OBSERVED],
    ],
    [
      "a finalizer that nobody would call",
      /its death would go unobserved/,
      ({ typeOf, plain, i32 }) => [
        typeOf(plain) + L.TYPE_FLAGS,
        i32[typeOf(plain) + L.TYPE_FLAGS] | L.TYPE_FINALIZER,
      ],
    ],
    [
      "a weak reference that would not leave its list",
      /its death would go unobserved/,
      ({ i32, orphan }) => [orphan + L.HEADER_TYPE, i32[orphan + L.HEADER_TYPE] & ~L.FLAG_OBSERVED],
    ],
    [
      "a weak reference to what is dead",
      /leads to \d+, where no object lives/,
      ({ orphan, dead }) => [orphan + L.WEAKREF_TARGET, dead],
    ],
    [
      "a weak reference that its target does not know",
      /not in the list of its target/,
      ({ orphan, target }) => [orphan + L.WEAKREF_TARGET, target],
    ],
    [
      "a weak reference to what knows none",
      /not in the list of its target/,
      ({ orphan, node }) => [orphan + L.WEAKREF_TARGET, node],
    ],
    [
      "a list that has lost its second",
      /not in the list of its target/,
      ({ weakref }) => [weakref + L.WEAKREF_NEXT, 0],
    ],
    [
      "a list that has lost its first",
      /not in the list of its target/,
      ({ weakrefHead, target }) => [weakrefHead(target), 0],
    ],
    [
      "the number of live weak references",
      /counts 4 live weak references, found 3/,
      () => [L.CONTROL_WEAKREFS, 4],
    ],
  ],
});
