/** Names that fit into a byte: what a node is, what it is to its parent, which operator it has. */

const NAMES_MAX = 256;

/** Numbers names in the order in which they turn up, from 0. */
class NameTable {
  #ids = new Map();
  #names = [];

  constructor(...names) {
    for (const name of names) this.idOf(name);
  }

  idOf(name) {
    return this.#ids.get(name) ?? this.#add(name);
  }

  nameOf(id) {
    return this.#names[id];
  }

  #add(name) {
    const id = this.#names.length;
    if (id === NAMES_MAX) throw new RangeError(`No number is left for the name "${name}".`);
    this.#names.push(name);
    this.#ids.set(name, id);
    return id;
  }
}

/** Kinds of nodes: ESTree's type names. */
export const kinds = new NameTable();
export const IDENTIFIER = kinds.idOf("Identifier");
export const PRIVATE_IDENTIFIER = kinds.idOf("PrivateIdentifier");
export const LITERAL = kinds.idOf("Literal");
export const TEMPLATE_ELEMENT = kinds.idOf("TemplateElement");
export const CALL = kinds.idOf("CallExpression");
export const NEW = kinds.idOf("NewExpression");
export const MEMBER = kinds.idOf("MemberExpression");
export const PROPERTY = kinds.idOf("Property");

/** What a child is to its parent: ESTree's property names. 0: it has no parent. */
export const fields = new NameTable("");
/** Operators, and the words of declarations and methods: `+`, `const`, `get`. 0: none. */
export const details = new NameTable("");

/** What is true of a node, by ESTree's property names. No two names of one bit occur on one kind of node. */
export const flagBits = new Map([
  ["computed", 1],
  ["optional", 2],
  ["async", 4],
  ["await", 4],
  ["generator", 8],
  ["delegate", 8],
  ["static", 16],
  ["shorthand", 32],
  ["method", 64],
  ["prefix", 128],
]);
export const COMPUTED = 1;
