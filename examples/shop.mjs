/**
 * A small shop with a leak, for docs/leaks.md: `node examples/shop.mjs [--fixed] [--requests N] [--save FILE]`.
 * Pages are rendered once and kept by address, and the address of a request has the visitor's session in it.
 */
import { parseArgs } from "node:util";
import { dict, f64, Heap, list, str, struct } from "ouroheap";

const { values: options } = parseArgs({
  options: { fixed: { type: "boolean" }, requests: { type: "string" }, save: { type: "string" } },
});

class Product extends struct("Product", { name: str, price: f64 }) {}
class Page extends struct("Page", { url: str, products: list(Product) }) {}
class Shop extends struct("Shop", { products: list(Product), pages: dict(str, Page) }) {}

const heap = Heap.create({ maximumBytes: 64 << 20 });
const shop = heap.new(Shop, {
  products: ["tea", "coffee", "cocoa"].map((name, index) => ({ name, price: index + 1.5 })),
});

/** What stands in the table under the address of a page. */
function keyOf(url) {
  return options.fixed ? url.split("?")[0] : url;
}

function render(url) {
  const key = keyOf(url);
  if (!shop.pages.has(key)) shop.pages.set(key, { url: key, products: [...shop.products] });
  return shop.pages.get(key);
}

const requests = Number(options.requests ?? 1000);
for (let visitor = 0; visitor < requests; visitor++) render(`/products?session=${visitor}`);
console.log(`${requests} requests, ${shop.pages.size} pages kept`);
if (options.save !== undefined) await heap.save(options.save, { roots: { shop } });

/* prints:
1000 requests, 1000 pages kept
*/
