import { describe, expect, it } from "vitest";
import type { Core } from "../../../src/gc/core.js";
import { CONTROL_PARCELS, CONTROL_ROOT_COUNT, PARCELS_COUNT } from "../../../src/memory/layout.js";
import { forEachParcel, Parcels } from "../../../src/object/parcels.js";
import { makeCore } from "../../support/heaps.js";

/** Parcels of strings: what they carry makes no difference here. */
function makeParcels() {
  const core = makeCore();
  const parcels = new Parcels(core.allocator);
  const send = (text: string) => {
    const object = core.strings.create(text);
    const site = core.strings.create(`line of ${text}`);
    parcels.reserve();
    return { object, site, parcel: parcels.add(object, site) };
  };
  return { core, parcels, send };
}

function under(core: Core) {
  const { i32 } = core.memory;
  const numbers: number[] = [];
  forEachParcel(i32, (_object, _site, parcel) => numbers.push(parcel));
  return { numbers, count: i32[i32[CONTROL_PARCELS] + PARCELS_COUNT], roots: i32[CONTROL_ROOT_COUNT] };
}

describe("a parcel that is taken under a shared lock", () => {
  it("is taken once, and no longer under way", () => {
    const { core, parcels, send } = makeParcels();
    const [a, b] = [send("a"), send("b")];
    expect(parcels.takeShared(a.parcel)).toBe(true);
    expect(parcels.takeShared(a.parcel)).toBe(false);
    expect(parcels.find(a.parcel)).toBe(0);
    expect(under(core)).toEqual({ numbers: [b.parcel], count: 1, roots: 1 });
  });

  it("leaves a slot that is used again once it was reclaimed, under another number", () => {
    const { core, parcels, send } = makeParcels();
    const sent = ["a", "b", "c"].map(send);
    for (const { parcel } of sent) expect(parcels.takeShared(parcel)).toBe(true);
    expect(parcels.reclaim()).toEqual(sent.map(({ site }) => site).reverse());
    expect(parcels.reclaim()).toEqual([]);
    const table = core.memory.i32[CONTROL_PARCELS];
    const again = Array.from({ length: 31 }, (_, index) => send(`again ${index}`).parcel);
    expect(core.memory.i32[CONTROL_PARCELS]).toBe(table);
    expect(again.filter((parcel) => sent.some((one) => one.parcel === parcel))).toEqual([]);
    expect(sent.map(({ parcel }) => parcels.find(parcel))).toEqual([0, 0, 0]);
  });

  it("is not found again after a repair", () => {
    const { core, parcels, send } = makeParcels();
    const a = send("a");
    parcels.takeShared(a.parcel);
    parcels.relink();
    expect(parcels.reclaim()).toEqual([]);
    const numbers = Array.from({ length: 31 }, (_, index) => send(`again ${index}`).parcel);
    expect(numbers).not.toContain(a.parcel);
    expect(under(core).count).toBe(31);
  });
});
