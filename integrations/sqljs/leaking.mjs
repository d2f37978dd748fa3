/**
 * The shop of shop.mjs as it is written without an owner for its databases. It frees what it sees, and still leaks:
 * - a tenant that goes may be in use by a report, so its database is left to the garbage collector, which never closes it;
 * - a throw skips the lines that free;
 * - a statement leaves the cache while a report may use it, so nobody frees it.
 */
import { outcome } from "../lib/judge.mjs";
import { COUNTER, openSqlJs, version } from "./open.mjs";
import { QUERIES, SCHEMA } from "./shop.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const { SQL, bytesInUse } = await openSqlJs();
const before = bytesInUse();
serve(iterations);
const after = bytesInUse();
console.log(
  JSON.stringify(outcome({ library: "sql.js", version, iterations, counter: COUNTER, before, after })),
);

function serve(requests) {
  const tenants = [];
  for (let request = 0; request < requests; request++) {
    try {
      handle(tenants, request, request % 7 === 3);
    } catch (error) {
      if (!/UNIQUE constraint failed|not a database/.test(error.message)) throw error;
    }
  }
}

function handle(tenants, request, isBroken) {
  const slot = Math.floor(request / 5) % 8;
  if (request % 5 === 0 || slot >= tenants.length)
    tenants[slot] = openTenant((request % 50) / 100, isBroken ? new Uint8Array(4096).fill(1) : undefined);
  const tenant = tenants[slot];
  importOrders(tenant, request, isBroken);
  report(tenant, QUERIES[request % QUERIES.length]);
}

function openTenant(discount, image) {
  const database = new SQL.Database(image);
  database.exec(SCHEMA);
  const tenant = { discount, database, statements: new Map(), reports: [] };
  database.create_function("discounted", (cents) => Math.round(cents * (1 - tenant.discount)));
  return tenant;
}

function importOrders(tenant, request, isBroken) {
  const second = isBroken ? 2 * request : 2 * request + 1;
  const script = `BEGIN;
    INSERT OR ROLLBACK INTO orders VALUES (${2 * request}, 'tea', ${100 + request});
    INSERT OR ROLLBACK INTO orders VALUES (${second}, 'cup', 900);
    COMMIT`;
  const statements = tenant.database.iterateStatements(script);
  for (let step = statements.next(); !step.done; step = statements.next()) step.value.step();
}

function report(tenant, sql) {
  const { statements, database } = tenant;
  let query = statements.get(sql);
  if (query === undefined) {
    if (statements.size === 2) statements.delete(statements.keys().next().value);
    query = database.prepare(sql);
    statements.set(sql, query);
  }
  const { result } = query.getAsObject(["tea"]);
  query.reset();
  tenant.reports.push({ tenant, query, result });
  if (tenant.reports.length > 4) tenant.reports.shift();
}
