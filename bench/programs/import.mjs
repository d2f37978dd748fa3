/** Milliseconds from before an import to the first heap, or to the end of the import where there is none. */
const start = performance.now();
const { Heap } = await import(process.argv[2]);
const heap = Heap?.create();
console.log(performance.now() - start);
if (heap !== undefined && heap.bytesUsed === 0) throw new Error("the heap is not there");
