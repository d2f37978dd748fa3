/**
 * ESLint plug-in: handles that nobody releases. `import ouroheap from "ouroheap/eslint-plugin"`, then in a flat
 * configuration `ouroheap.configs.recommended`.
 *
 * The rule sees one file and no types: it takes for handles what is made by `heap.new`, `heap.adopt`, `heap.own`,
 * `heap.from`, `heap.receive`, `pool.acquire` (of things whose names end in heap or pool) and `retain(...)`. A handle is taken care of if it is
 * bound by `using`, released, returned, given to another function or stored somewhere. What is left was forgotten.
 *
 * @packageDocumentation
 */

/** The part of ESTree that the rule reads. */
interface Node {
  readonly type: string;
  readonly parent?: Node;
  readonly [field: string]: unknown;
}
interface Variable {
  readonly defs: readonly { readonly type: string; readonly node: Node; readonly parent: Node | null }[];
  readonly references: readonly { readonly identifier: Node; isRead(): boolean; isWrite(): boolean }[];
}
interface RuleContext {
  readonly options: readonly { readonly heaps?: string; readonly pools?: string }[];
  readonly sourceCode: { getDeclaredVariables(node: Node): readonly Variable[] };
  report(problem: { node: Node; messageId: string; data?: Record<string, string> }): void;
}

const MAKERS = new Set(["new", "adopt", "own", "from", "receive"]);

/** Reports a handle that is dropped where it is made, or bound to a variable that nobody releases. */
const noUnreleasedHandle = {
  meta: {
    type: "problem" as const,
    docs: {
      description:
        "Require every handle to be released: with using, release(), a scope, or by another owner.",
      recommended: true,
    },
    schema: [
      {
        type: "object",
        properties: { heaps: { type: "string" }, pools: { type: "string" } },
        additionalProperties: false,
      },
    ],
    messages: {
      dropped:
        "The handle that {{call}} returns is dropped: its object can never be freed. Bind it with `using`, release() it, or make it through a scope.",
      unreleased:
        "`{{name}}` is a handle that is never released. Bind it with `using`, release() it, or make it through a scope.",
    },
  },
  create(context: RuleContext) {
    const { heaps = "heap$", pools = "pool$" } = context.options[0] ?? {};
    const names = { heap: new RegExp(heaps, "i"), pool: new RegExp(pools, "i") };
    return {
      ExpressionStatement(node: Node) {
        const made = unwrap(node.expression as Node);
        const call = callText(made, names);
        if (call !== undefined) context.report({ node, messageId: "dropped", data: { call } });
      },
      VariableDeclaration(node: Node) {
        if (node.kind === "using" || node.kind === "await using") return;
        for (const declarator of node.declarations as readonly Node[]) {
          const { id, init } = declarator as unknown as { id: Node; init: Node | null };
          if (init === null || id.type !== "Identifier" || callText(unwrap(init), names) === undefined)
            continue;
          const variable = context.sourceCode.getDeclaredVariables(declarator)[0];
          if (variable !== undefined && !isTakenCareOf(variable, id))
            context.report({ node: id, messageId: "unreleased", data: { name: String(id.name) } });
        }
      },
    };
  },
};

/** What is inside of TypeScript's casts, `!` and parentheses. */
function unwrap(node: Node): Node {
  let inner = node;
  while (/^(TS(As|Satisfies|NonNull|TypeAssertion)|Chain)/.test(inner.type) && inner.expression !== undefined)
    inner = inner.expression as Node;
  return inner;
}

/** How a call that makes a handle reads; undefined for anything else. */
function callText(node: Node, names: { heap: RegExp; pool: RegExp }): string | undefined {
  if (node.type !== "CallExpression") return undefined;
  const callee = node.callee as Node;
  if (callee.type === "Identifier") return callee.name === "retain" ? "retain()" : undefined;
  if (callee.type !== "MemberExpression" || callee.computed === true) return undefined;
  const owner = nameOf(callee.object as Node);
  const method = String((callee.property as Node).name);
  const isMaker =
    (names.heap.test(owner) && MAKERS.has(method)) || (names.pool.test(owner) && method === "acquire");
  return isMaker ? `${owner}.${method}()` : undefined;
}

/** The last name of `heap`, `this.heap`, `app.state.heap`. */
function nameOf(node: Node): string {
  if (node.type === "Identifier") return String(node.name);
  if (node.type === "MemberExpression" && node.computed !== true) return nameOf(node.property as Node);
  return "";
}

/** Whether a variable's handle goes anywhere but into reads of its own fields. */
function isTakenCareOf(variable: Variable, id: Node): boolean {
  return variable.references.some(({ identifier }) => identifier !== id && isHandedOn(identifier));
}

/** An identifier as a value: not `handle.field`, not the target of an assignment, not an operand of a test. */
function isHandedOn(identifier: Node): boolean {
  let node = identifier;
  let parent = node.parent;
  while (
    parent !== undefined &&
    /^(TS|Conditional|Logical|Sequence|Await|Spread|Array|Property|Object)/.test(parent.type)
  ) {
    if (parent.type === "ConditionalExpression" && parent.test === node) return false;
    node = parent;
    parent = node.parent;
  }
  switch (parent?.type) {
    case "MemberExpression":
      return parent.object !== node || isDispose(parent);
    case "CallExpression":
    case "NewExpression":
      return (parent.arguments as readonly Node[]).includes(node);
    case "AssignmentExpression":
      return parent.right === node;
    case "VariableDeclarator":
      return parent.init === node;
    case "ReturnStatement":
    case "YieldExpression":
    case "ArrowFunctionExpression":
    case "ExportSpecifier":
    case "ExportDefaultDeclaration":
      return true;
    default:
      return false;
  }
}

/** `handle[Symbol.dispose]` ends it too. */
function isDispose(member: Node): boolean {
  const property = member.property as Node;
  return member.computed === true && nameOf(property) === "dispose";
}

/** What ESLint takes a plug-in for. */
export interface LintPlugin {
  readonly meta: { readonly name: string; readonly version: string };
  /** "no-unreleased-handle". Options: `heaps` and `pools`, patterns for the names of what makes handles. */
  readonly rules: { readonly [name: string]: unknown };
  /** For a flat configuration: the rule as an error. */
  readonly configs: { recommended: unknown };
}

const plugin: LintPlugin = {
  meta: { name: "ouroheap", version: "0.1.0" },
  rules: { "no-unreleased-handle": noUnreleasedHandle },
  configs: { recommended: undefined },
};
plugin.configs.recommended = {
  name: "ouroheap/recommended",
  plugins: { ouroheap: plugin },
  rules: { "ouroheap/no-unreleased-handle": "error" },
};

/** Rules for programs that use Ouroheap, and a recommended configuration. */
export default plugin;
