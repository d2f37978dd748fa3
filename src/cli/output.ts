/** Text for people: tables, numbers, and nothing that a value of the program could do to a terminal. */
import { pathToFileURL } from "node:url";
import { plainText } from "../inspect/escape.js";

/** Where a command writes, and whether a person is watching. */
export interface Output {
  write(text: string): void;
  /** Messages that are no result. */
  note(text: string): void;
}

/** Rows under a heading; the first column is on the left, numbers on the right. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [headings, ...rows.map((row) => row.map(cellText))];
  const widths = headings.map((_, column) =>
    cells.reduce((widest, row) => Math.max(widest, row[column].length), 0),
  );
  const isNumber = headings.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"),
  );
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
        )
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `  ${line}\n`)
    .join("");
}

function cellText(cell: string | number): string {
  return typeof cell === "number" ? count(cell) : plainText(cell);
}

/** 1234567 as 1,234,567. */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** Bytes with a unit that keeps three digits. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let amount = value;
  let unit = 0;
  for (; amount >= 1024 && unit < units.length - 1; unit++) amount /= 1024;
  return `${unit === 0 ? amount : amount.toPrecision(3)} ${units[unit]}`;
}

/** The folder that paths are shown from. */
export function here(): string {
  return pathToFileURL(process.cwd()).href;
}

/** A text in which the paths of files under a folder begin there. */
export function shorten(text: string, folder: string): string {
  return text.replaceAll(`${folder}/`, "");
}

/** A heading over what follows. */
export function heading(text: string): string {
  return `\n${plainText(text)}\n`;
}
