/**
 * A shop server: each tenant has an SQLite database of its own, with a cache of prepared statements, and reports that share
 * them. A tenant's SQL calls back into the heap: its price function reads the tenant's discount.
 */
import { dict, f64, foreign, list, retain, str, struct } from "ouroheap";

const TENANTS = 8;
/** A tenant moves in every so many requests, and another has to go. */
const REQUESTS_PER_TENANT = 5;
const CACHED_STATEMENTS = 2;
const REPORTS = 4;
/** About what one database takes; the heap collects when this adds up. */
const DATABASE_BYTES = 150_000;
const COLLECT_AT_BYTES = 4 << 20;

export const SCHEMA = `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL, cents INTEGER NOT NULL);
  CREATE INDEX orders_by_item ON orders (item)`;
export const QUERIES = [
  "SELECT count(*) AS result FROM orders WHERE item = ?",
  "SELECT sum(discounted(cents)) AS result FROM orders WHERE item = ?",
  "SELECT max(discounted(cents)) AS result FROM orders WHERE item <> ?",
];

class Tenant extends struct("Tenant", {
  discount: f64,
  database: foreign(),
  statements: dict(str, foreign()),
  get reports() {
    return list(Report);
  },
}) {}

/** Keeps its query and its tenant; the tenant keeps the report. */
class Report extends struct("Report", { tenant: Tenant, query: foreign(), result: f64 }) {}

/**
 * Serve so many requests, of which some fail halfway, and leave nothing behind.
 * @param {import("sql.js").SqlJsStatic} SQL
 * @param {import("ouroheap").Heap} heap
 * @param {number} requests
 * @param {(request: number) => boolean} isBroken whether a request's data is bad
 */
export function serve(SQL, heap, requests, isBroken = (request) => request % 7 === 3) {
  heap.gc.setByteThreshold(COLLECT_AT_BYTES);
  const served = heap.scope((scope) => {
    const tenants = scope.new(list(Tenant), []);
    let count = 0;
    for (let request = 0; request < requests; request++) {
      try {
        handle(SQL, heap, tenants, request, isBroken(request));
        count++;
      } catch (error) {
        if (!/UNIQUE constraint failed|not a database/.test(error.message)) throw error;
      }
    }
    return count;
  });
  heap.gc.collect(); // the last tenants: each is on a cycle through its reports, and through its price function
  return served;
}

function handle(SQL, heap, tenants, request, isBroken) {
  heap.scope((scope) => {
    const slot = Math.floor(request / REQUESTS_PER_TENANT) % TENANTS;
    if (request % REQUESTS_PER_TENANT === 0 || slot >= tenants.length) {
      const image = isBroken ? new Uint8Array(4096).fill(1) : undefined;
      const tenant = openTenant(SQL, scope, (request % 50) / 100, image);
      if (slot < tenants.length) tenants.set(slot, tenant);
      else tenants.push(tenant);
    }
    const tenant = tenants.at(slot);
    importOrders(scope, tenant, request, isBroken);
    report(scope, tenant, QUERIES[request % QUERIES.length]);
  });
}

/** The database's price function keeps the tenant, which keeps the database: a cycle through a JavaScript closure. */
function openTenant(SQL, scope, discount, image) {
  const held = [];
  const database = scope.own(new SQL.Database(image), { bytes: DATABASE_BYTES, traverse: () => held });
  database.value.exec(SCHEMA); // throws if the image is no database; run() would leak the text of the error
  const tenant = scope.new(Tenant, { discount, database });
  const self = retain(tenant);
  held.push(self);
  database.value.create_function("discounted", (cents) => Math.round(cents * (1 - self.discount)));
  return tenant;
}

/** The iterator keeps the SQL text and one statement in WASM memory; a throw leaves it in the middle. */
function importOrders(scope, tenant, request, isBroken) {
  const second = isBroken ? 2 * request : 2 * request + 1;
  const script = `BEGIN;
    INSERT OR ROLLBACK INTO orders VALUES (${2 * request}, 'tea', ${100 + request});
    INSERT OR ROLLBACK INTO orders VALUES (${second}, 'cup', 900);
    COMMIT`;
  const statements = scope.adopt(tenant.database.value.iterateStatements(script), (it) => it.return(), {
    holds: [tenant.database],
  });
  for (let step = statements.value.next(); !step.done; step = statements.value.next()) step.value.step();
}

/** The statement has two owners, the cache and the report, and either may let go of it first. */
function report(scope, tenant, sql) {
  const query = prepared(scope, tenant, sql);
  const result = query.value.getAsObject(["tea"]).result;
  query.value.reset();
  tenant.reports.push({ tenant, query, result: result ?? 0 });
  if (tenant.reports.length > REPORTS) tenant.reports.delete(0);
}

function prepared(scope, tenant, sql) {
  const { statements, database } = tenant;
  const cached = statements.get(sql);
  if (cached !== undefined) return cached;
  const [oldest] = statements.keys();
  if (statements.size === CACHED_STATEMENTS) statements.delete(oldest);
  const statement = scope.own(database.value.prepare(sql), { holds: [database] });
  statements.set(sql, statement);
  return statement;
}
