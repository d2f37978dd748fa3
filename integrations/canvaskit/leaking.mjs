/**
 * The map server of tiles.mjs as it is written without an owner. It deletes what it sees, and still leaks:
 * - `surface.delete()` leaves the surface's pixels: `dispose()` is the one that frees them;
 * - forgotten intermediates: the path builder, and the circle that went into the union;
 * - a throw skips the lines that delete;
 * - the old paints and the pictures are shared, so nobody dares to delete them.
 */
import { outcome } from "../lib/judge.mjs";
import { COUNTER, openCanvasKit, version } from "./open.mjs";
import { NO_ROAD, ROADS, SIZE } from "./tiles.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const { CanvasKit, bytesInUse } = await openCanvasKit();
draw(100);
const before = bytesInUse();
draw(iterations);
const after = bytesInUse();
console.log(
  JSON.stringify(
    outcome({ library: "canvaskit-wasm", version, iterations, counter: COUNTER, before, after }),
  ),
);

function draw(tiles) {
  const server = { sheet: undefined, tiles: [], pictures: new Map() };
  for (let tile = 0; tile < tiles; tile++) {
    try {
      if (tile % 50 === 0) server.sheet = restyle(tile);
      drawTile(server, tile, tile % 7 === 3);
    } catch (error) {
      if (!error.message.startsWith("No road")) throw error;
    }
  }
}

function restyle(seed) {
  const colors = [CanvasKit.Color(200, 40, seed % 255, 1), CanvasKit.Color(20, 40, 200, 1)];
  const gradient = CanvasKit.Shader.MakeLinearGradient(
    [0, 0],
    [SIZE, SIZE],
    colors,
    null,
    CanvasKit.TileMode.Clamp,
  );
  const sheet = { area: new CanvasKit.Paint(), line: new CanvasKit.Paint() };
  sheet.area.setStyle(CanvasKit.PaintStyle.Fill);
  sheet.line.setStyle(CanvasKit.PaintStyle.Stroke);
  for (const paint of [sheet.area, sheet.line]) {
    paint.setAntiAlias(true);
    paint.setShader(gradient);
  }
  gradient.delete();
  return sheet;
}

function drawTile(server, number, isBroken) {
  const surface = CanvasKit.MakeSurface(SIZE, SIZE);
  for (const index of [0, 1]) {
    const features = makeFeatures(server.sheet, number + index, isBroken && index === 1);
    for (const { path, paint } of features) surface.getCanvas().drawPath(path, paint);
    for (const { path } of features) path.delete();
  }
  const picture = surface.makeImageSnapshot();
  server.pictures.set(`tile ${number % 24}`, picture);
  server.tiles.push({ picture });
  if (server.tiles.length > 12) server.tiles.shift();
  surface.delete();
  return picture.encodeToBytes();
}

function makeFeatures(sheet, seed, isBroken) {
  const road = CanvasKit.Path.MakeFromSVGString(ROADS[seed % ROADS.length]);
  const town = new CanvasKit.PathBuilder().addCircle(16, 16, 4 + (seed % 10)).snapshot();
  const union = CanvasKit.Path.MakeFromOp(road, town, CanvasKit.PathOp.Union);
  if (isBroken && CanvasKit.Path.MakeFromSVGString(NO_ROAD) === null) throw new Error(`No road: ${NO_ROAD}`);
  return [
    { path: union, paint: sheet.area },
    { path: road, paint: sheet.line },
  ];
}
