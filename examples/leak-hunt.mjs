// Who keeps this alive? Count by type, ask for referrers, and let the roots name the line that forgot a release.
import { DEBUG, Heap, list, optional, release, retain, str, struct, typeName } from "ouroheap";
import { rootsOf } from "ouroheap/inspect";

class Session extends struct("Session", {
  user: str,
  get peer() {
    return optional(Session);
  },
}) {}
const Server = struct("Server", { sessions: list(Session) });

const heap = Heap.create({ checks: { handles: { every: 1 } } }); // record the line of every handle
const server = heap.new(Server, {});
const count = (name) => heap.gc.getObjects().filter((object) => typeName(object) === name).length;

let lastSeen;
function serve(user) {
  server.sessions.push({ user });
  const session = server.sessions.at(-1);
  if (user === "eve") lastSeen = retain(session); // <- the leak: nobody releases this
  server.sessions.pop()[Symbol.dispose]();
}
for (const user of ["adam", "eve", "cain"]) serve(user);

console.log("sessions still there:", count("Session"));
const [leaked] = heap.gc.getObjects().filter((object) => typeName(object) === "Session");
console.log(leaked, "is held by", heap.gc.getReferrers(leaked).length, "objects and by");
for (const { madeAt } of rootsOf(leaked))
  console.log("  a handle made at", madeAt.split("\n")[0].replace(/file:.*\//, ""));
release(lastSeen);
console.log("sessions still there:", count("Session"));

// Cycles: let the collector say what it finds, and keep it for a look.
heap.gc.debugSink = (text) => process.stdout.write(text);
heap.gc.callbacks.push((phase, info) =>
  console.log(`[${phase}] generation ${info.generation}, ${info.collected} found`),
);
const abel = heap.new(Session, { user: "abel" });
abel.peer = abel;
release(abel);
heap.gc.setDebug(DEBUG.STATS | DEBUG.LEAK);
heap.gc.collect();
console.log(heap.gc.garbage);

/* prints:
sessions still there: 1
Session { user: 'eve', peer: null } is held by 0 objects and by
  a handle made at serve (leak-hunt.mjs:21:34)
sessions still there: 0
[start] generation 2, 0 found
gc: collecting generation 2...
gc: objects in each generation: 3 0 0
gc: objects in permanent generation: 0
gc: collectable <Session 0x1410080>
gc: done, 1 unreachable, 0 uncollectable, 0.0060s elapsed
[stop] generation 2, 1 found
list(any) [ Session { user: 'abel', peer: [Circular Session] } ]
*/
