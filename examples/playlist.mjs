// A doubly linked list. Neighbours hold each other, so a list that is dropped whole is the collector's work; a song that
// is taken out properly is freed at once. A scope releases our handle, however it is left.
import { Heap, optional, str, struct } from "ouroheap";

class Song extends struct("Song", {
  title: str,
  get previous() {
    return optional(Song);
  },
  get next() {
    return optional(Song);
  },
}) {
  insertAfter(title) {
    this.next = { title, previous: this, next: this.next }; // a literal: built in place, no handle to release
    if (this.next.next) this.next.next.previous = this.next;
  }
  remove() {
    // `this` is borrowed: what still holds it must let go last, and nothing may be read from it afterwards.
    if (this.next) this.next.previous = this.previous;
    if (this.previous) this.previous.next = this.next;
  }
  *[Symbol.iterator]() {
    for (let song = this; song; song = song.next) yield song.title;
  }
}

const heap = Heap.create();
heap.scope((scope) => {
  const first = scope.new(Song, { title: "So What" });
  for (const title of ["Flamenco Sketches", "All Blues", "Blue in Green"]) first.insertAfter(title);
  console.log([...first].join(", "));

  const { bytesUsed } = heap;
  first.next.next.remove();
  console.log([...first].join(", "));
  console.log("freed at once:", heap.gc.getObjects().length === 3 && heap.bytesUsed <= bytesUsed);
  console.log("backwards from the end:", first.next.next.previous.previous.title);
}); // the scope gives up the first song; the others hold one another
console.log("found by the collector:", heap.gc.collect());

/* prints:
So What, Blue in Green, All Blues, Flamenco Sketches
So What, Blue in Green, Flamenco Sketches
freed at once: true
backwards from the end: So What
found by the collector: 3
*/
