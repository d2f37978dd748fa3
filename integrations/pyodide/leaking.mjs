/**
 * The same spreadsheet with proxies destroyed by hand, and the mistakes that are made: a throw skips `destroy`, the rows of a result
 * are proxies that nobody sees, a report that two places show is destroyed by neither. And one that is no mistake: view,
 * model, listener, view is a cycle through both collectors, which neither can free. `node pyodide/leaking.mjs [iterations]`
 */
import { setTimeout } from "node:timers/promises";
import { load } from "./judge.mjs";
import { loadModels } from "./workbook.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const CACHE_SIZE = 24;

function visit(pyodide, { Sheet, formatter }, workbook, iteration) {
  const name = `sheet${iteration % 40}`;
  const values = pyodide.toPy([iteration, 1, 2, 3]);
  const view = { model: Sheet(name, values, formatter), changes: 0, report: null };
  view.model.listen((_index, value) => {
    if (value === 13) throw new RangeError("no unlucky numbers");
    view.changes++;
  });
  workbook.views.delete(name);
  workbook.views.set(name, view); // what it replaces is dropped: somebody may still show it
  if (workbook.views.size > CACHE_SIZE) workbook.views.delete(workbook.views.keys().next().value);
  view.model.set(0, iteration % 11 === 0 ? 13 : iteration + 100);
  view.model.set(1, iteration % 7 === 0 ? -1 : 4); // throws, and `values` is left behind
  values.destroy();
  view.report = view.model.report();
  workbook.reports.push(view.report);
  if (workbook.reports.length > 12) workbook.reports.shift(); // the view has it too
  const rows = view.report.get("rows");
  let length = 0;
  for (const row of rows) length += row.get(1).length; // each `row` is a proxy
  rows.destroy();
  return length;
}

function run(pyodide, models) {
  const formatter = models.Formatter(2);
  const workbook = { views: new Map(), reports: [] };
  for (let iteration = 0; iteration < iterations; iteration++) {
    try {
      visit(pyodide, { Sheet: models.Sheet, formatter }, workbook, iteration);
    } catch (error) {
      if (error.name !== "PythonError") throw error;
    }
  }
  for (const { model } of workbook.views.values()) model.destroy();
  formatter.destroy();
}

// Without the list of live proxies, so that V8 may finalize them: the count is of the JavaScript values that Python holds.
const { pyodide, countReferences, countObjects } = await load({ tracesProxies: false });
const models = loadModels(pyodide);
const pythonObjects = [countObjects()];
const before = countReferences();
run(pyodide, models);
const after = countReferences();
pythonObjects.push(countObjects());
await setTimeout(1000);
const aSecondLater = countReferences();
pythonObjects.push(countObjects());
console.log(JSON.stringify({ iterations, before, after, aSecondLater, pythonObjects }));
