/**
 * A map server: it draws features (paths in styles) on tiles, and keeps the last tiles with their pictures. A style's paint,
 * a road's path and a tile's picture each have several owners; a layer and its features hold one another; and each layer
 * has a painter, a JavaScript function that keeps the layer it paints.
 */
import { dict, foreign, list, optional, retain, str, struct } from "ouroheap";

export const SIZE = 32;
const TILE_BYTES = SIZE * SIZE * 4;
const KEPT_TILES = 12;
/** A style sheet is replaced every so many tiles, while kept tiles still use the old one. */
const TILES_PER_SHEET = 50;
const COLLECT_AT_BYTES = 1 << 20;

export const ROADS = ["M2 2 L30 30 L20 8 Z", "M0 16 C8 0 24 32 32 16", "M4 28 Q16 2 28 28 Z"];
/** What a broken source sends. */
export const NO_ROAD = "M2 2 L what";

class Style extends struct("Style", { paint: foreign() }) {}

class Feature extends struct("Feature", {
  path: foreign(),
  style: Style,
  get layer() {
    return Layer;
  },
}) {}

class Layer extends struct("Layer", {
  get features() {
    return list(Feature);
  },
  painter: optional(foreign()),
}) {}

class Tile extends struct("Tile", {
  surface: foreign(),
  layers: list(Layer),
  picture: optional(foreign()),
}) {}

class Server extends struct("Server", {
  sheet: dict(str, Style),
  tiles: list(Tile),
  pictures: dict(str, foreign()),
}) {}

/**
 * Draw so many tiles, of which some fail halfway, and leave nothing behind.
 * @param {import("canvaskit-wasm").CanvasKit} CanvasKit
 * @param {import("ouroheap").Heap} heap
 * @param {number} tiles
 * @param {(tile: number) => boolean} isBroken whether a tile's data is bad
 * @returns {number} the size of all PNG files served
 */
export function draw(CanvasKit, heap, tiles, isBroken = (tile) => tile % 7 === 3) {
  heap.gc.setByteThreshold(COLLECT_AT_BYTES);
  const served = heap.scope((scope) => {
    const server = scope.new(Server, {});
    let bytes = 0;
    for (let tile = 0; tile < tiles; tile++) {
      try {
        if (server.sheet.size === 0 || tile % TILES_PER_SHEET === 0) restyle(CanvasKit, heap, server, tile);
        bytes += drawTile(CanvasKit, heap, server, tile, isBroken(tile)).length;
      } catch (error) {
        if (!error.message.startsWith("No road")) throw error;
      }
    }
    return bytes;
  });
  heap.gc.collect(); // the last layers: each is on a cycle with its features, and with its painter
  return served;
}

/** New styles; the old ones live as long as a feature uses them. Both paints of a sheet use one gradient. */
function restyle(CanvasKit, heap, server, seed) {
  heap.scope((scope) => {
    const { Color } = CanvasKit;
    const colors = [Color(200, 40, seed % 255, 1), Color(20, 40, 200, 1)];
    const gradient = scope.own(
      CanvasKit.Shader.MakeLinearGradient([0, 0], [SIZE, SIZE], colors, null, CanvasKit.TileMode.Clamp),
    );
    for (const [name, paintStyle] of [
      ["area", CanvasKit.PaintStyle.Fill],
      ["line", CanvasKit.PaintStyle.Stroke],
    ]) {
      const paint = scope.own(new CanvasKit.Paint());
      paint.value.setStyle(paintStyle);
      paint.value.setAntiAlias(true);
      paint.value.setShader(gradient.value);
      server.sheet.set(name, { paint });
    }
  });
}

function drawTile(CanvasKit, heap, server, number, isBroken) {
  return heap.scope((scope) => {
    // Not own(): a surface has `delete` from embind and `dispose` of its own, and only the latter frees its pixels.
    const surface = scope.adopt(CanvasKit.MakeSurface(SIZE, SIZE), (value) => value.dispose(), {
      bytes: TILE_BYTES,
    });
    const tile = scope.new(Tile, { surface });
    for (const layer of [0, 1]) {
      tile.layers.push(makeLayer(CanvasKit, scope, server.sheet, number + layer, isBroken && layer === 1));
      tile.layers.at(layer).painter.value(surface.value.getCanvas());
    }
    keep(scope, server, tile, `tile ${number % (2 * KEPT_TILES)}`);
    return tile.picture.value.encodeToBytes();
  });
}

/** A road's path is shared by its area and its outline. */
function makeLayer(CanvasKit, scope, sheet, seed, isBroken) {
  const layer = scope.new(Layer, {});
  const road = roadPath(CanvasKit, scope, ROADS[seed % ROADS.length]);
  const circle = scope.own(new CanvasKit.PathBuilder());
  circle.value.addCircle(16, 16, 4 + (seed % 10));
  const town = scope.own(circle.value.snapshot());
  const union = scope.own(CanvasKit.Path.MakeFromOp(road.value, town.value, CanvasKit.PathOp.Union));
  layer.features.push(
    { path: union, style: sheet.get("area"), layer },
    { path: road, style: sheet.get("line"), layer },
  );
  layer.painter = painterOf(CanvasKit, scope, layer);
  if (isBroken) roadPath(CanvasKit, scope, NO_ROAD);
  return layer;
}

function roadPath(CanvasKit, scope, text) {
  const path = CanvasKit.Path.MakeFromSVGString(text);
  if (path === null) throw new Error(`No road: ${text}`);
  return scope.own(path);
}

/** A function that holds its layer, which holds the function; and it has a buffer in WASM memory. */
function painterOf(CanvasKit, scope, layer) {
  const bounds = CanvasKit.Malloc(Float32Array, 4);
  const self = retain(layer);
  function paint(canvas) {
    for (const { path, style } of self.features) {
      bounds.toTypedArray().set(path.value.getBounds());
      canvas.drawPath(path.value, style.paint.value);
      canvas.drawPoints(CanvasKit.PointMode.Points, bounds, style.paint.value);
    }
  }
  return scope.adopt(paint, () => CanvasKit.Free(bounds), { traverse: () => [self] });
}

/** The picture belongs to the tile and to the index of pictures, which drop it at different times. */
function keep(scope, server, tile, name) {
  const picture = scope.own(tile.surface.value.makeImageSnapshot(), { bytes: TILE_BYTES });
  tile.picture = picture;
  server.pictures.set(name, picture);
  server.tiles.push(tile);
  if (server.tiles.length > KEPT_TILES) server.tiles.delete(0);
}
