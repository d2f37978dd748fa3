/** `node integrations/sqljs/program.mjs [requests]`: one line, with the bytes that malloc has out before and after. */
import { makeHeap, outcome } from "../lib/judge.mjs";
import { COUNTER, openSqlJs, version } from "./open.mjs";
import { serve } from "./shop.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const { SQL, bytesInUse } = await openSqlJs();
const heap = makeHeap();
serve(SQL, heap, 50); // what SQLite makes once and keeps
const before = bytesInUse();
serve(SQL, heap, iterations);
const after = bytesInUse();
console.log(
  JSON.stringify(outcome({ library: "sql.js", version, iterations, counter: COUNTER, before, after })),
);
