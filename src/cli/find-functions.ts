/** Functions of a script by name, in its text: where `ouro run --profile` watches them. */
import { type Node, type Options, parse } from "acorn";
import type { FunctionPlace } from "../inspect/line-hits.js";

/** Any node: its parts are found by looking at all that it has. */
type AnyNode = Node & { readonly [part: string]: unknown };

interface Visit {
  readonly node: AnyNode;
  /** What the node is called by what it is part of: a variable, a property, a field. */
  readonly calledAs: string | undefined;
  /** The class around it. */
  readonly inClass: string | undefined;
}

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

/**
 * The functions, methods and arrow functions of this name; of a method "Class.method" too. Arrow functions are called as what they
 * are assigned to. @throws SyntaxError where the text is none that is known here
 */
export function findFunctions(scriptId: string, source: string, name: string): FunctionPlace[] {
  const found: FunctionPlace[] = [];
  const stack: Visit[] = [{ node: parseScript(source), calledAs: undefined, inClass: undefined }];
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    const { node, inClass } = visit;
    const own = nameOf(node.id) ?? visit.calledAs;
    const isFunction = FUNCTIONS.has(node.type);
    if (isFunction && own !== undefined && (own === name || `${inClass}.${own}` === name))
      found.push(placeOf(scriptId, node, inClass === undefined ? own : `${inClass}.${own}`));
    const isClass = node.type === "ClassDeclaration" || node.type === "ClassExpression";
    for (const part of partsOf(node))
      stack.push({
        node: part,
        calledAs:
          part === node.value || part === node.init || part === node.right ? targetOf(node) : undefined,
        // What is nested in a method is none.
        inClass: isClass ? own : isFunction ? undefined : inClass,
      });
  }
  return found.sort((one, other) => one.start.lineNumber - other.start.lineNumber);
}

/** As a module, which most are, or as a script, with what Node allows in either. */
function parseScript(source: string): AnyNode {
  const options: Options = {
    ecmaVersion: "latest",
    sourceType: "module",
    locations: true,
    allowHashBang: true,
    allowReturnOutsideFunction: true,
  };
  try {
    return parse(source, options) as unknown as AnyNode;
  } catch {
    return parse(source, { ...options, sourceType: "script" }) as unknown as AnyNode;
  }
}

function* partsOf(node: AnyNode): IterableIterator<AnyNode> {
  for (const part of Object.values(node))
    for (const one of Array.isArray(part) ? (part as unknown[]) : [part]) if (isNode(one)) yield one;
}

function isNode(value: unknown): value is AnyNode {
  return typeof (value as { type?: unknown } | null)?.type === "string";
}

/** Name of an identifier, a private name, or a property that is written as a string. */
function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "Identifier") return node.name as string;
  if (node.type === "PrivateIdentifier") return `#${String(node.name)}`;
  return node.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

/** What is assigned to: the name of a variable, a property or a field. */
function targetOf(node: AnyNode): string | undefined {
  if (node.computed === true) return undefined;
  const target = node.key ?? node.id ?? node.left;
  if (isNode(target) && target.type === "MemberExpression")
    return target.computed === true ? undefined : nameOf(target.property);
  return nameOf(target);
}

function placeOf(scriptId: string, node: AnyNode, name: string): FunctionPlace {
  const at = ({ line, column }: { line: number; column: number }) => ({
    scriptId,
    lineNumber: line - 1,
    columnNumber: column,
  });
  const body = (node.body as AnyNode).loc!.start;
  const isBlock = (node.body as AnyNode).type === "BlockStatement";
  return {
    name,
    start: at(node.loc!.start),
    // Before an expression, which may be a function itself, stands the arrow or a space.
    inside: at(isBlock || body.column === 0 ? body : { ...body, column: body.column - 1 }),
    end: at(node.loc!.end),
  };
}
