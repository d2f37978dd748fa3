import { RuleTester } from "eslint";
import { afterAll, describe, it } from "vitest";
import plugin from "../../../src/inspect/eslint-plugin.js";

Object.assign(RuleTester, { afterAll, describe, it });

const tester = new RuleTester({ languageOptions: { ecmaVersion: 2026, sourceType: "module" } });

tester.run("no-unreleased-handle", plugin.rules["no-unreleased-handle"] as never, {
  valid: [
    "using node = heap.new(Node, {});",
    "const node = heap.new(Node, {}); release(node);",
    "const node = heap.new(Node, {}); try { use(node.value); } finally { node[Symbol.dispose](); }",
    "function make() { const node = heap.new(Node, {}); node.value = 1; return node; }",
    "const make = () => heap.new(Node, {});",
    "const make = (heap) => { const node = heap.new(Node, {}); return [node, 1]; };",
    "const node = scope.new(Node, {}); node.value = 1;",
    "scope.adopt(texture, (t) => t.destroy());",
    "const node = scope.use(heap.new(Node, {}));",
    "const texture = heap.adopt(value, dispose); this.texture = texture;",
    "class Cache { constructor(heap) { this.node = heap.new(Node, {}); } }",
    "let kept; const node = retain(other); kept = node;",
    "const node = heap.new(Node, {}); const alias = condition ? node : null; release(alias);",
    "const node = heap.new(Node, {}); list.push(node); release(node);",
    "export const root = heap.new(Node, {}); ".replace("export const root", "const root") +
      "export { root };",
    "const array = Array.from(items); array.length;",
    "emitter.new('x');",
    "heap.gc.collect();",
    "heap['new'](Node, {});",
    { code: "const node = store.new(Node, {}); node.value;", options: [{ heaps: "^memory$" }] },
  ],
  invalid: [
    { code: "heap.new(Node, {});", errors: [{ messageId: "dropped", data: { call: "heap.new()" } }] },
    { code: "retain(node);", errors: [{ messageId: "dropped", data: { call: "retain()" } }] },
    { code: "this.heap.adopt(value, dispose);", errors: [{ messageId: "dropped" }] },
    { code: "app.mainHeap.own(value);", errors: [{ messageId: "dropped" }] },
    { code: "heap.receive(Node, parcel);", errors: [{ messageId: "dropped" }] },
    { code: "sparkPool.acquire({});", errors: [{ messageId: "dropped" }] },
    {
      code: "const node = heap.new(Node, {}); node.value = 1; console.log(node.value);",
      errors: [{ messageId: "unreleased", data: { name: "node" } }],
    },
    { code: "let copy = heap.from({ a: 1 }); if (copy) { count++; }", errors: [{ messageId: "unreleased" }] },
    {
      code: "const a = heap.new(Node, {}), b = retain(a); release(a); b.value;",
      errors: [{ messageId: "unreleased", data: { name: "b" } }],
    },
    { code: "const unused = heap.own(value);", errors: [{ messageId: "unreleased" }] },
    {
      code: "const node = memory.new(Node, {}); node.value;",
      options: [{ heaps: "^memory$" }],
      errors: [{ messageId: "unreleased" }],
    },
  ],
});
