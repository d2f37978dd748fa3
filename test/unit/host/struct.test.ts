import { describe, expect, it } from "vitest";
import {
  any,
  bool,
  f64,
  InvalidArgumentError,
  i32,
  list,
  optional,
  str,
  struct,
  u8,
} from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "./support.js";

describe("struct", () => {
  it("needs a name and a shape", () => {
    for (const name of ["", undefined, null, 5] as never[])
      expect(messageOf("INVALID_ARGUMENT", () => struct(name, {}))).toMatch(/^A struct needs a name, got /);
    for (const shape of [null, undefined, 5, "x: f64"] as never[])
      expect(messageOf("INVALID_ARGUMENT", () => struct("Point", shape))).toMatch(
        /^The shape of struct "Point" must be an object, got /,
      );
  });

  it("refuses options that are none", () => {
    const refused = (options: unknown) =>
      messageOf("INVALID_ARGUMENT", () => struct("Bad", {}, options as never));
    expect(refused(null)).toBe('The options of struct "Bad" must be an object, got null.');
    expect(refused("acyclic")).toBe('The options of struct "Bad" must be an object, got "acyclic".');
    expect(refused({ cyclic: "no" })).toBe(
      'The option cyclic of struct "Bad" must be true or false, got "no".',
    );
    expect(refused({ weakrefs: 0 })).toBe(
      'The option weakrefs of struct "Bad" must be true or false, got 0.',
    );
    struct("Good", {}, { cyclic: undefined as never, weakrefs: false });
  });

  it("refuses field names that JavaScript or the library needs", () => {
    const refused = (shape: object) => messageOf("INVALID_ARGUMENT", () => struct("Bad", shape));
    const computed = (name: string | symbol) => ({ fine: f64, [name]: f64 });
    expect(refused(computed("__proto__"))).toBe(
      'Struct "Bad" cannot have the field "__proto__": JavaScript gives that name a meaning of its own.',
    );
    expect(refused(computed("constructor"))).toContain('"constructor": JavaScript gives that name');
    for (const name of ["0", "1", "42", "-1", "1.5", "NaN", "Infinity"])
      expect(refused(computed(name))).toContain(
        `"${name}": JavaScript reorders names that look like numbers`,
      );
    for (const name of ["", "@", "@type", "@address"])
      expect(refused(computed(name))).toContain("names that begin with @ are the library's own");
    expect(refused(computed("toJSON"))).toBe(
      'Struct "Bad" cannot have the field "toJSON": JSON.stringify calls what has that name; the class may have it as a method.',
    );
    expect(refused(computed(Symbol("s")))).toContain("field names are strings");
    expect(refused(Object.defineProperty({}, "@hidden", { value: f64 }))).toContain("@hidden");
  });

  it("takes names that only look odd", () => {
    const heap = makeHeap();
    const names = [
      "01",
      "1e3",
      "a b",
      "a-b",
      "ä",
      "__proto",
      "prototype",
      "length",
      "name",
      "then",
      "type",
      "id",
      "x@y",
    ];
    const Odd = struct("Odd", Object.fromEntries(names.map((name) => [name, f64])));
    using odd = heap.new(Odd, Object.fromEntries(names.map((name, index) => [name, index])));
    expect(heap.toJS(odd)).toEqual(Object.fromEntries(names.map((name, index) => [name, index])));
    for (const name of ["constructor-like", "\u2028", '"', "\\", "`$`"]) {
      const Quoted = struct(`Quoted ${name}`, { [name]: str });
      using quoted = heap.new(Quoted, { [name]: "kept" });
      expect(quoted[name]).toBe("kept");
    }
  });

  it("keeps its name and shape for everybody to read", () => {
    const shape = { x: f64 };
    const Point = struct("Point", shape);
    expect(Point.typeName).toBe("Point");
    expect(Point.shape).toBe(shape);
  });

  it("says how many bytes an instance takes, header included", () => {
    expect(struct("Empty", {}, { weakrefs: false }).byteSize).toBe(16);
    expect(struct("Weak", {}).byteSize).toBe(24); // a word for weak references, rounded up
    expect(struct("Point", { x: f64, y: f64 }, { weakrefs: false }).byteSize).toBe(32);
    expect(struct("Bytes", { a: u8, b: bool, c: u8, d: u8 }, { weakrefs: false }).byteSize).toBe(24);
    class Node extends struct("Node", {
      get left() {
        return optional(Node);
      },
      get children() {
        return list(Node);
      },
      label: str,
      value: f64,
    }) {}
    // Three references, the word for weak references, a double.
    expect(Node.byteSize).toBe(16 + 3 * 4 + 4 + 8);
  });

  it("has no instances but a heap's", () => {
    const Point = struct("Point", { x: f64 });
    class Named extends struct("Named", { x: f64 }) {}
    for (const Struct of [Point, Named] as unknown as (new (
      internal?: unknown,
    ) => object)[]) {
      expect(() => new Struct()).toThrow(InvalidArgumentError);
      expect(() => new Struct(Symbol("construct"))).toThrow(
        /^Only a heap makes instances of "(Point|Named)": heap\.new/,
      );
    }
  });

  it("does not look at getters before a heap meets the type", () => {
    let looked = 0;
    const Lazy = struct("Lazy", {
      get later() {
        looked++;
        return optional(Later);
      },
    });
    const Later = struct("Later", { value: i32 });
    expect(looked).toBe(0);
    using lazy = makeHeap().new(Lazy, { later: { value: 1 } });
    expect(lazy.later!.value).toBe(1);
    expect(looked).toBeGreaterThan(0);
  });

  it("gives a class its methods, getters and statics", () => {
    class Account extends struct("Account", { balance: f64, notes: list(any) }) {
      static readonly kind = "account";
      static open(heap: ReturnType<typeof makeHeap>, balance: number) {
        return heap.new(Account, { balance });
      }
      get isOverdrawn() {
        return this.balance < 0;
      }
      withdraw(amount: number) {
        this.balance -= amount;
        this.notes.push(`withdrew ${amount}`);
        return this;
      }
    }
    using account = Account.open(makeHeap(), 10);
    expect(account.withdraw(15).isOverdrawn).toBe(true);
    expect([account.balance, account.notes.at(0)]).toEqual([-5, "withdrew 15"]);
    expect(account).toBeInstanceOf(Account);
    expect(Account.kind).toBe("account");
  });
});
