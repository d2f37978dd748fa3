/** Words and numbers in columns. */

const LABEL_WIDTH = 24;
const VALUE_WIDTH = 11;

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (value) => whole.format(value);
export const megabytes = (bytes) => `${tenths.format(bytes / 1e6)} MB`;
/** Below ten with one decimal: a time of "0 ms" says nothing. */
export const milliseconds = (ms) => `${(ms < 9.95 ? tenths : whole).format(ms)} ms`;
export const decimal = (value) => tenths.format(value);

/** Without an argument an empty line. */
export function text(...lines) {
  for (const line of lines.length === 0 ? [""] : lines) console.log(`  ${line}`.trimEnd());
}

export function heading(title) {
  console.log(`\n${title}`);
}

/** A line `label   value   remark`, the values flush right. */
export function row(label, value, remark = "") {
  text(`${label.padEnd(LABEL_WIDTH)}${value.padStart(VALUE_WIDTH)}${remark === "" ? "" : `   ${remark}`}`);
}

/** Names and values in two columns, the first half of them in the first. */
export function twoColumns(pairs) {
  const nameWidth = Math.max(...pairs.map(([name]) => name.length));
  const valueWidth = Math.max(...pairs.map(([, value]) => value.length));
  const cells = pairs.map(([name, value]) => `${name.padEnd(nameWidth)}   ${value.padStart(valueWidth)}`);
  const half = Math.ceil(cells.length / 2);
  for (let index = 0; index < half; index++) text(`  ${[cells[index], cells[index + half]].join("      ")}`);
}

/** A table: first column flush left, the others flush right. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  for (const cells of rows)
    text(
      cells
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column] + 3)))
        .join(""),
    );
}
