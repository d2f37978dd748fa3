/** A list of addresses that grows, in memory of JavaScript's. */
import type { Address } from "../memory/layout.js";

const CAPACITY_FIRST = 1024;

export class AddressList {
  /** Valid up to `count`. */
  items = new Int32Array(CAPACITY_FIRST);
  count = 0;

  push(address: Address): void {
    if (this.count === this.items.length) this.reserve(this.count * 2);
    this.items[this.count++] = address;
  }

  /** Undefined behaviour where it is empty. */
  pop(): Address {
    return this.items[--this.count];
  }

  append(other: AddressList): void {
    if (this.items.length < this.count + other.count) this.reserve((this.count + other.count) * 2);
    this.items.set(other.items.subarray(0, other.count), this.count);
    this.count += other.count;
  }

  private reserve(capacity: number): void {
    const longer = new Int32Array(capacity);
    longer.set(this.items.subarray(0, this.count));
    this.items = longer;
  }
}
