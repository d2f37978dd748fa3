/** Values of the program in text for terminals, DOT and JSON: nothing in them may act as anything but text. */

/** Control characters, and those that turn or break lines where they are shown. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]|\p{Cs}/gu;

/** The same text with every character that would act on a terminal written as \u{...}. */
export function plainText(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** The same for a line of source text, whose tabs become blanks. */
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
