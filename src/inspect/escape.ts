/** Values of the program in text for terminals, DOT and JSON: nothing in them may act as anything but text. */

import { plainText } from "../memory/plain-text.js";

export { plainText };

/** `plainText` for a line of source text, whose tabs become blanks. */
export function plainLine(text: string): string {
  return plainText(text.replaceAll("\t", "  "));
}

/** A text in double quotes, on one line, cut off after `max` characters. */
export function quoted(text: string, max = 40): string {
  const isLong = text.length > max;
  return plainText(JSON.stringify(isLong ? text.slice(0, max) : text)) + (isLong ? "…" : "");
}

/** Text for markup: HTML, SVG, and labels of DOT, where Graphviz reads entities. */
export function markupText(text: string): string {
  return plainText(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
