/** The source to work on: found, read and parsed, or refused with a message for people. */
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, relative, resolve } from "node:path";
import { getLineInfo, parse, parseExpressionAt } from "acorn";

/** What is wrong with the input. The message is all that the user needs. */
export class InputError extends Error {}

/**
 * @typedef {object} Input
 * @property {string} name the path, as short as it can be
 * @property {string} text
 * @property {boolean} isJson
 */

/** @returns {Input} the file, by default the largest source at hand: the TypeScript compiler */
export function readInput(path = typescriptPath()) {
  const name = shorten(path);
  const extension = extname(path);
  if (isDirectory(path, name)) throw new InputError(`${name} is a directory: name a file in it.`);
  if (!PARSERS.has(extension))
    throw new InputError(
      `${name}: ${extension === "" ? "a file without an extension" : extension} is not known here. ` +
        `Known are ${[...PARSERS.keys()].join(", ")}.`,
    );
  return { name, text: readText(path, name), isJson: extension === ".json" };
}

function typescriptPath() {
  try {
    return createRequire(import.meta.url).resolve("typescript");
  } catch {
    throw new InputError("The TypeScript compiler is not installed here: name another file.");
  }
}

function shorten(path) {
  const short = relative(process.cwd(), resolve(path));
  return short === "" || short.startsWith("..") ? path : short;
}

function isDirectory(path, name) {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw unreadable(name, error);
  }
}

function readText(path, name) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw unreadable(name, error);
  }
}

function unreadable(name, error) {
  if (error.code === "ENOENT" || error.code === "ENOTDIR")
    return new InputError(`${name}: there is no such file.`);
  if (error.code === "EACCES") return new InputError(`${name}: reading it is not permitted.`);
  return new InputError(`${name} cannot be read: ${error.message}`);
}

/** @returns the tree in ESTree's form. @throws InputError with file, line and column */
export function parseInput({ name, text }) {
  try {
    return PARSERS.get(extname(name))(text);
  } catch (error) {
    throw unparsable(name, error);
  }
}

const options = { ecmaVersion: "latest", sourceType: "commonjs", allowHashBang: true };
const parseScript = (text) => parse(text, options);
const parseModule = (text) => parse(text, { ...options, sourceType: "module" });

const PARSERS = new Map([
  [".js", parseScriptOrModule],
  [".mjs", parseModule],
  [".cjs", parseScript],
  [".json", parseJson],
]);

/** As neither the name nor the text says which it is: whatever works; if neither does, what came further is to blame. */
function parseScriptOrModule(text) {
  try {
    return parseScript(text);
  } catch (scriptError) {
    try {
      return parseModule(text);
    } catch (moduleError) {
      throw moduleError.pos > scriptError.pos ? moduleError : scriptError;
    }
  }
}

/** JSON is one expression and nothing behind it. */
function parseJson(text) {
  const tree = parseExpressionAt(text, 0, options);
  const rest = text.slice(tree.end).search(/\S/);
  if (rest >= 0) throw syntaxError("Unexpected text after the value", text, tree.end + rest);
  return tree;
}

/** An offset in the text as `line:column`, from 1. */
export function placeOf({ text }, offset) {
  const { line, column } = getLineInfo(text, offset);
  return `${line}:${column + 1}`;
}

/** An error as the parser throws them. */
function syntaxError(message, text, pos) {
  return Object.assign(new SyntaxError(message), { pos, loc: getLineInfo(text, pos) });
}

function unparsable(name, error) {
  if (error.loc === undefined) return error;
  const { line, column } = error.loc;
  return new InputError(`${name}:${line}:${column + 1}: ${error.message.replace(/ \(\d+:\d+\)$/, "")}`);
}
