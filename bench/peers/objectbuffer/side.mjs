/**
 * The half of a contest that @bnaya/objectbuffer plays: objects in an ArrayBuffer behind proxies. It frees nothing before its
 * buffer goes, so it can only build and walk. It is so slow that it does a tenth of the work, and its times are told times ten.
 */
import { createInterface } from "node:readline";
import objectbuffer from "@bnaya/objectbuffer";
import { expect, timed } from "../../lib/measure.mjs";

const SHARE = 10;
const BYTES_PER_NODE = 1000;

const [group, options] = process.argv.slice(2);
const n = JSON.parse(options).n / SHARE;
const text = { textEncoder: new TextEncoder(), textDecoder: new TextDecoder() };
const makeBuffer = () =>
  objectbuffer.createObjectBuffer(text, n * BYTES_PER_NODE, { list: null, tree: null });

function buildList(store) {
  for (let i = 0; i < n; i++) store.list = { a: store.list, b: null, c: null, v: i + 0.5 };
}
function sumList({ list }) {
  let total = 0;
  for (let node = list; node !== null; node = node.a) total += node.v;
  return total;
}

/** As one literal: that is how it takes a tree. */
function buildTree(store) {
  let made = 0;
  function balanced(nodes) {
    if (nodes === 0) return null;
    const a = balanced((nodes - 1) >> 1);
    const b = balanced(nodes - 1 - ((nodes - 1) >> 1));
    return { a, b, c: null, v: made++ + 0.5 };
  }
  store.tree = balanced(n);
}
function sumTree(node) {
  let total = node.v;
  const left = node.a;
  if (left !== null) total += sumTree(left);
  const right = node.b;
  if (right !== null) total += sumTree(right);
  return total;
}

function checked(run) {
  const { ms, result } = timed(run);
  if (result !== undefined) expect("the sum", result, (n * n) / 2);
  return { ms: ms * SHARE };
}

const groups = {
  build: () => ({
    run() {
      const store = makeBuffer();
      const { ms } = checked(() => buildList(store));
      checked(() => sumList(store));
      return { ms, dropMs: 0 };
    },
  }),
  walk() {
    const store = makeBuffer();
    buildList(store);
    buildTree(store);
    const walks = { list: () => sumList(store), tree: () => sumTree(store.tree) };
    return { walk: (shape) => checked(walks[shape]) };
  },
};

const steps = groups[group]();
for await (const line of createInterface({ input: process.stdin })) {
  const [step, argument] = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(steps[step](argument) ?? {})}\n`);
}
