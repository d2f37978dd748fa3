/** What Pyodide and CPython count themselves: proxies, references from Python to JavaScript, and Python's own objects. */
import { loadPyodide } from "pyodide";

export const COUNTER =
  "live PyProxies (pyproxy_alloc_map) + JavaScript values held by Python (hiwire_num_refs); ok asks also for len(gc.get_objects())";

/**
 * @param options `tracesProxies`: the library lists its live proxies, and so keeps them from V8's collector
 * @returns an interpreter, and functions that count
 */
export async function load({ tracesProxies = true } = {}) {
  const pyodide = await loadPyodide();
  const module = pyodide._module;
  if (tracesProxies) module.enable_pyproxy_allocation_tracing();
  const countReferences = () => {
    forgetLastError(pyodide);
    return module.pyproxy_alloc_map.size + module._hiwire_num_refs();
  };
  const countObjects = () => {
    forgetLastError(pyodide);
    return pyodide.runPython("import gc; gc.collect(); len(gc.get_objects())");
  };
  return { pyodide, countReferences, countObjects };
}

/** Python keeps its last uncaught error for debuggers, with the frames that it passed and all they refer to. */
function forgetLastError(pyodide) {
  pyodide.runPython("import sys; sys.last_exc = sys.last_type = sys.last_value = sys.last_traceback = None");
}
