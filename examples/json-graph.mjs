// A graph from JSON: heap.from copies plain data into the heap, links and all, and heap.toJS copies it back.
import { Heap, is, release } from "ouroheap";

const towns = JSON.parse(`{
  "Bern":   { "people": 134000, "roads": ["Thun"] },
  "Thun":   { "people": 43000,  "roads": ["Bern"] },
  "Biel":   { "people": 55000,  "roads": ["Bern", "Thun"] }
}`);
// JSON knows no cycles: names become links.
for (const town of Object.values(towns)) town.roads = town.roads.map((name) => towns[name]);

const heap = Heap.create();
const graph = heap.from(towns); // objects are dicts, arrays are lists, what was shared is shared
const bern = graph.get("Bern");
console.log("one Bern:", is(bern, graph.get("Biel").get("roads").at(0)));
console.log("objects in the heap:", heap.gc.getObjects().length);

bern.set("people", 135000);
graph.delete("Biel"); // no road leads to Biel: freed at once, with its list of roads
console.log("objects in the heap:", heap.gc.getObjects().length);

console.log(JSON.stringify(bern)); // cycles are named by their path
const back = heap.toJS(graph); // and are cycles again in plain JavaScript
console.log("back again:", back.Bern.people, back.Thun.roads[0] === back.Bern);

release(graph);
console.log("collected:", heap.gc.collect());

/* prints:
one Bern: true
objects in the heap: 7
objects in the heap: 5
{"people":135000,"roads":[{"people":43000,"roads":[{"$ref":"$"}]}]}
back again: 135000 true
collected: 4
*/
