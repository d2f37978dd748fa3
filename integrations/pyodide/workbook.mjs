/**
 * A spreadsheet: its views are heap objects in JavaScript, its models are Python's. A model calls its view when a value
 * changes. Nothing here destroys a proxy: a heap object owns each, and several may own the same.
 */
import { readFileSync } from "node:fs";
import { dict, f64, foreign, i32, list, optional, release, retain, str, struct } from "ouroheap";

const View = struct("View", {
  name: str,
  model: optional(foreign()), // Python's Sheet, whose listener holds this view: a cycle through JavaScript and Python
  formatter: foreign(), // shared with the workbook and all its views
  report: optional(foreign()), // shared with the workbook's list of reports
  changes: i32,
  total: f64,
  get linked() {
    return list(View); // sheets that refer to each other: a cycle in the heap
  },
});

const Workbook = struct("Workbook", {
  formatter: foreign(),
  views: dict(str, View), // the least recently opened leaves first
  reports: list(foreign()),
});

const CACHE_SIZE = 24;
const REPORTS_KEPT = 12;
const NAMES = 40;

/** The Python side. @returns its classes */
export function loadModels(pyodide) {
  pyodide.runPython(readFileSync(new URL("sheet.py", import.meta.url), "utf8"));
  return { Sheet: pyodide.globals.get("Sheet"), Formatter: pyodide.globals.get("Formatter") };
}

/** Open, link, change, report and save sheets. @returns what happened, to compare runs */
export async function runWorkbook({ heap, pyodide, models, iterations, interrupt = () => {} }) {
  const workbook = heap.scope((scope) => scope.new(Workbook, { formatter: scope.own(models.Formatter(2)) }));
  const host = { heap, pyodide, models, workbook, interrupt };
  const tally = { opened: 0, rejected: 0, sum: 0 };
  try {
    for (let iteration = 0; iteration < iterations; iteration++) {
      try {
        tally.sum += await visit(host, iteration);
        tally.opened++;
      } catch (error) {
        if (!isExpected(error)) throw error;
        tally.rejected++;
      }
    }
  } finally {
    release(workbook);
    heap.gc.collect();
  }
  return tally;
}

function visit(host, iteration) {
  const { heap, interrupt } = host;
  return heap.scope(async (scope) => {
    const view = openView(host, scope, iteration);
    linkAndKeep(host.workbook, view);
    interrupt("kept", iteration);
    changeValues(view, iteration);
    interrupt("changed", iteration);
    const length = report(host, scope, view);
    if (iteration % 10 === 0) await save(host, scope, view);
    return length + view.changes;
  });
}

function openView(host, scope, iteration) {
  const { pyodide, models, workbook, interrupt } = host;
  const { formatter } = workbook;
  const name = `sheet${iteration % NAMES}`;
  const view = scope.new(View, { name, formatter });
  const values = scope.own(pyodide.toPy([iteration, 1, 2, 3]));
  interrupt("values", iteration);
  let self; // what the listener holds; retained once the model has an owner, so that a throw loses nothing
  const model = scope.own(models.Sheet(name, values.value, formatter.value), {
    traverse: () => (self ? [self] : []),
  });
  self = retain(view);
  model.value.listen((_index, value) => onChange(self, value));
  view.model = model;
  interrupt("listening", iteration);
  return view;
}

/** Called by Python. */
function onChange(view, value) {
  if (value === 13) throw new RangeError("no unlucky numbers");
  view.changes++;
}

function linkAndKeep({ views }, view) {
  const neighbour = views.get(`sheet${(Number(view.name.slice(5)) ^ 1) % NAMES}`);
  if (neighbour !== undefined) {
    view.linked.push(neighbour);
    neighbour.linked.clear();
    neighbour.linked.push(view);
  }
  views.delete(view.name);
  views.set(view.name, view);
  if (views.size <= CACHE_SIZE) return;
  const [oldest] = views.keys();
  views.delete(oldest);
}

/** Every seventh sheet gets a value that Python refuses, every eleventh one that the listener refuses. */
function changeValues(view, iteration) {
  const { set } = view.model.value;
  set(0, iteration % 11 === 0 ? 13 : iteration + 100);
  set(1, iteration % 7 === 0 ? -1 : 4);
}

/** Each row that is read is a proxy of its own, as each result is. */
function report({ workbook, interrupt }, scope, view) {
  const result = scope.own(view.model.value.report());
  view.report = result;
  workbook.reports.push(result);
  if (workbook.reports.length > REPORTS_KEPT) workbook.reports.delete(0);
  const rows = scope.own(result.value.get("rows"));
  let length = 0;
  for (const row of rows.value) {
    length += scope.own(row).value.get(1).length;
    interrupt("row");
  }
  return length;
}

/** A buffer is memory of the model's: it is released before the model can go. The coroutine is Pyodide's own to end. */
async function save({ interrupt }, scope, view) {
  const { model } = view;
  const buffer = scope.own(model.value.values.getBuffer(), { holds: [model] });
  view.total = await model.value.save();
  interrupt("saved");
  if (buffer.value.data.length !== 4) throw new Error("A sheet has four values.");
}

/** What `interrupt` throws. Python's ValueError, and the listener's RangeError through Python, are expected too. */
export class Interrupted extends Error {}
function isExpected(error) {
  if (error instanceof Interrupted) return true;
  return error.name === "PythonError" && /no negative values|no unlucky numbers/.test(error.message);
}
