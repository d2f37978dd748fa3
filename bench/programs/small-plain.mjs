/** The small program with plain objects. V8 does not say what it collects, so that number is the nodes and their arrays. */
const nodes = Number(process.argv[2]);

class Item {
  constructor(value, parent) {
    this.value = value;
    this.parent = parent;
    this.children = [];
  }
  add(value) {
    this.children.push(new Item(value, this));
  }
  sum() {
    let total = this.value;
    for (const child of this.children) total += child.sum();
    return total;
  }
  depth() {
    let depth = 0;
    for (let item = this.parent; item !== null; item = item.parent) depth++;
    return depth;
  }
}

const root = new Item(0, null);

const open = [root];
for (let made = 1; made < nodes; ) {
  const parent = open.shift();
  for (let k = 0; k < 8 && made < nodes; k++) {
    parent.add(made++);
    open.push(parent.children.at(-1));
  }
}

let deepest = 0;
let sevenths = 0;
(function visit(item) {
  deepest = Math.max(deepest, item.depth());
  if (item.value % 7 === 0) sevenths++;
  for (const child of item.children) visit(child);
})(root);
const total = root.sum();

console.log(JSON.stringify([total, sevenths, deepest, nodes * 2]));
console.log(process.resourceUsage().maxRSS); // KiB
