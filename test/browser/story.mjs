/** What the page does with a heap, step by step. The counts after each step are told to `note`. */
import { dict, foreign, i32, list, optional, release, retain, str, struct } from "../../dist/index.js";
import { adoptListener, ownBitmap } from "./resources.mjs";

const TEXTURES = 6;
const SHAPES = 3;
const SPRITES = 60;
const PANELS = 100;

class Sprite extends struct("Sprite", {
  name: str,
  texture: foreign(),
  shape: foreign(),
}) {}

class Panel extends struct("Panel", {
  title: str,
  clicks: i32,
  texture: foreign(),
  listener: optional(foreign()),
}) {}

/** @param {(step: string) => void} note */
export async function tell(heap, resources, note) {
  checkTexts(heap);
  shareAmongSprites(heap, resources, note);
  await keepSomeBitmaps(heap, resources, note);
  closeCycles(heap, resources, note);
  failInTheMiddle(heap, resources, note);
  failToDispose(heap, resources, note);
  letBytesCollect(heap, resources, note);
}

/** Browsers have no Buffer: texts are decoded in another way than in Node. */
function checkTexts(heap) {
  const texts = [
    "",
    "short",
    "longer than a few letters",
    "é".repeat(5000),
    "猫".repeat(9000),
    "\ud800 alone",
  ];
  const kept = heap.new(list(str), texts);
  const isSame = [...kept].every((text, i) => text === texts[i]);
  release(kept);
  if (!isSame) throw new Error("A text came back changed.");
}

/** No cycle: counts alone free each texture with its last sprite. */
function shareAmongSprites(heap, resources, note) {
  const sprites = heap.scope((scope) => {
    const textures = Array.from({ length: TEXTURES }, () => resources.adoptTexture(scope));
    const shapes = Array.from({ length: SHAPES }, () => resources.adoptBuffer(scope));
    const literals = Array.from({ length: SPRITES }, (_, i) => ({
      name: `sprite ${i}`,
      texture: textures[i % TEXTURES],
      shape: shapes[i % SHAPES],
    }));
    return scope.new(list(Sprite), literals);
  });
  note("60 sprites share 6 textures and 3 buffers");
  for (let i = SPRITES - 1; i >= 0; i--) if (i % TEXTURES < 3) sprites.delete(i);
  note("The sprites of 3 textures are dropped");
  release(sprites);
  note("All sprites are dropped");
}

/** The dict is never released: the heap's end has to dispose of its bitmaps, and to name this line. */
async function keepSomeBitmaps(heap, resources, note) {
  const kept = heap.new(dict(str, foreign()), []);
  await heap.scope(async (scope) => {
    for (const name of ["a", "b", "c", "d"]) {
      const bitmap = await ownBitmap(scope, resources.ledger);
      if (name < "c") kept.set(name, bitmap);
    }
    note("4 bitmaps are made, 2 of them kept in a dict");
  });
  note("The scope of the bitmaps ends");
}

function makePanel(heap, resources) {
  return heap.scope((scope) => {
    const panel = scope.new(Panel, { title: "panel", texture: resources.adoptTexture(scope) });
    const onClick = (held) => {
      held.clicks++;
    };
    panel.listener = adoptListener(scope, resources.ledger, retain(panel), onClick);
    return panel;
  });
}

function closeCycles(heap, resources, note) {
  const panels = Array.from({ length: 3 }, () => makePanel(heap, resources));
  note("3 panels: each holds a texture, and a listener that holds it");
  // To ask whether a listener is alive, `note` has clicked each.
  if (panels.some((panel) => panel.clicks === 0)) throw new Error("A listener did not reach its panel.");
  for (const panel of panels) release(panel);
  note("The panels are dropped, the cycles stay");
  heap.gc.collect();
  note("The collector has run");
}

function failInTheMiddle(heap, resources, note) {
  try {
    heap.scope((scope) => {
      resources.adoptBuffer(scope);
      const texture = resources.adoptTexture(scope);
      note("A scope makes a buffer and a texture");
      resources.fill(texture, {});
      resources.adoptTexture(scope);
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    note("An upload throws, the scope ends");
    return;
  }
  throw new Error("The browser took an object for an image.");
}

function failToDispose(heap, resources, note) {
  heap.scope((scope) => {
    resources.adoptTexture(scope);
    resources.adoptTexture(scope, (texture) => {
      resources.deleteTexture(texture);
      throw new Error("told by a disposer");
    });
    resources.adoptTexture(scope);
  });
  note("3 textures go, one with a disposer that throws");
}

/** Nobody calls the collector: the bytes of what was adopted start it. */
function letBytesCollect(heap, resources, note) {
  heap.gc.setByteThreshold(2 ** 19);
  for (let i = 0; i < PANELS; i++) release(makePanel(heap, resources));
  note("100 panels come and go; their bytes start the collector");
  heap.gc.collect();
  note("The collector has run once more");
}
