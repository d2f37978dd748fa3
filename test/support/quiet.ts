/**
 * Keeps one message of the tests off the console: hundreds of them leave handles to a heap that they end, or drop them.
 * Whatever else a heap says there is shown. What the message says is tested where console.warn is replaced
 * (test/unit/host/handle-leaks.test.ts).
 */
const { warn } = console;
console.warn = (...values: unknown[]) => {
  if (!/^Ouroheap: (a handle|\d+ handles) to a /.test(String(values[0]))) warn(...values);
};
