/** Names and values of a program, or of a file, in text for people: nothing in them may act as anything but text. */

/** Control characters, and those that turn or break lines where they are shown. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]|\p{Cs}/gu;

/** The same text with every character that would act on a terminal written as \u{...}. */
export function plainText(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** The same, but for the ends of lines. */
export function plainLines(text: string): string {
  return text.split("\n").map(plainText).join("\n");
}
