/**
 * What the browser has that V8 does not collect in time: textures and buffers of WebGL, or canvases where there is no
 * WebGL; bitmaps; event listeners. Each is adopted when it is made, and remembered with a way to ask the browser whether
 * it is alive.
 */
const SIDE = 64;
const TEXTURE_BYTES = SIDE * SIDE * 4;
const BUFFER_BYTES = 4096;

/** All that was adopted, of which kind, and how to ask for its life. */
class Ledger {
  entries = [];

  enter(kind, bytes, isAlive) {
    this.entries.push({ kind, bytes, isAlive });
  }

  /** The browser's own word: how many of each kind are alive, and their bytes. */
  count() {
    const alive = { textures: 0, buffers: 0, bitmaps: 0, listeners: 0 };
    let bytes = 0;
    for (const entry of this.entries) {
      if (!entry.isAlive()) continue;
      alive[entry.kind]++;
      bytes += entry.bytes;
    }
    return { alive, bytes };
  }
}

/** @param {boolean} wantsWebgl false: as if the browser had none */
export function openResources(wantsWebgl) {
  const gl = wantsWebgl ? new OffscreenCanvas(SIDE, SIDE).getContext("webgl2") : null;
  const ledger = new Ledger();
  return { ledger, ...(gl === null ? canvasResources(ledger) : webglResources(gl, ledger)) };
}

function webglResources(gl, ledger) {
  const deleteTexture = (texture) => gl.deleteTexture(texture);
  return {
    hasWebgl: true,
    judge: "WebGL 2: gl.isTexture, gl.isBuffer",
    deleteTexture,
    adoptTexture(owner, dispose = deleteTexture) {
      const texture = gl.createTexture();
      const handle = owner.adopt(texture, dispose, { bytes: TEXTURE_BYTES });
      ledger.enter("textures", TEXTURE_BYTES, () => gl.isTexture(texture));
      gl.bindTexture(gl.TEXTURE_2D, texture); // WebGL calls it a texture from now on
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, SIDE, SIDE, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
      return handle;
    },
    adoptBuffer(owner) {
      const buffer = gl.createBuffer();
      const handle = owner.adopt(buffer, (buffer) => gl.deleteBuffer(buffer), { bytes: BUFFER_BYTES });
      ledger.enter("buffers", BUFFER_BYTES, () => gl.isBuffer(buffer));
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, BUFFER_BYTES, gl.STATIC_DRAW);
      return handle;
    },
    /** @throws TypeError from WebGL for what is no image */
    fill(texture, image) {
      gl.bindTexture(gl.TEXTURE_2D, texture.value);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    },
  };
}

/** A canvas without width has given its pixels back. */
function canvasResources(ledger) {
  const adoptCanvas = (owner, kind, bytes, dispose) => {
    const canvas = new OffscreenCanvas(SIDE, bytes / SIDE / 4);
    const handle = owner.adopt(canvas, dispose, { bytes });
    ledger.enter(kind, bytes, () => canvas.width > 0);
    return handle;
  };
  const empty = (canvas) => {
    canvas.width = 0;
  };
  return {
    hasWebgl: false,
    judge: "no WebGL; canvas 2D: the width of the canvas",
    deleteTexture: empty,
    adoptTexture: (owner, dispose = empty) => adoptCanvas(owner, "textures", TEXTURE_BYTES, dispose),
    adoptBuffer: (owner) => adoptCanvas(owner, "buffers", BUFFER_BYTES, empty),
    /** @throws TypeError from the canvas for what is no image */
    fill(texture, image) {
      texture.value.getContext("2d").drawImage(image, 0, 0);
    },
  };
}

/** A bitmap, which has a `close()` that `own` finds. */
export async function ownBitmap(owner, ledger) {
  const bitmap = await createImageBitmap(new ImageData(SIDE, SIDE));
  const handle = owner.own(bitmap, { bytes: TEXTURE_BYTES });
  ledger.enter("bitmaps", TEXTURE_BYTES, () => bitmap.width > 0);
  return handle;
}

/**
 * A listener on a button, which holds a handle in its closure: V8 sees the closure, the heap sees the handle, and neither
 * sees a cycle through both. `traverse` shows it to the collector.
 */
export function adoptListener(owner, ledger, held, onClick) {
  const button = document.createElement("button");
  let calls = 0;
  const listener = () => {
    calls++;
    onClick(held);
  };
  const remove = () => button.removeEventListener("click", listener);
  const handle = owner.adopt(listener, remove, { traverse: () => [held] });
  button.addEventListener("click", listener);
  ledger.enter("listeners", 0, () => {
    const before = calls;
    button.click();
    return calls > before;
  });
  return handle;
}
