/** References beyond what a side byte can count, by granule: the few objects that have hundreds. Empty between collections. */
export class Excess {
  private readonly counts = new Map<number, number>();

  add(granule: number): void {
    this.counts.set(granule, this.of(granule) + 1);
  }

  of(granule: number): number {
    return this.counts.get(granule) ?? 0;
  }

  clear(): void {
    if (this.counts.size > 0) this.counts.clear();
  }
}
