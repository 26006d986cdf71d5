// One clip as it came from Python (encoding.py): frames and what is drawn over them.
// The files of this folder are joined in the order of their use; nothing is loaded from elsewhere.

// A byte array, whichever view the widget manager hands over.
function bytesOf(value) {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

class Clip {
  constructor(content) {
    [this.count, this.height, this.width] = content.shape;
    this.content = content;
    this.rowBytes = (this.width + 7) >> 3; // of a mask: a bit a pixel, every row from a new byte
    this.parts = new Array(Math.ceil(this.count / content.part));
    this.arrived = new Set(); // numbers of parts, those still being inflated included
    this.outlines = new Map(); // by layer and frame, made when first shown
  }

  // A part holds some frames of everything, one array after the other as encoding.py lays them.
  async receive(number, bytes) {
    this.arrived.add(number);
    const buffer = await inflated(bytes);
    const first = number * this.content.part;
    const frames = Math.min(this.content.part, this.count - first);
    const area = this.height * this.width;
    let place = 0;
    const next = (length) => new Uint8Array(buffer, (place += length) - length, length);
    const numbers = (length) => new Float32Array(next(4 * length).slice().buffer);
    this.parts[number] = {
      frames: next(frames * area),
      layers: this.content.layers.map((layer) => ({
        masks: layer.masks ? next(frames * this.height * this.rowBytes) : null,
        heat: layer.heat ? next(frames * area) : null,
        points: layer.points ? numbers(frames * layer.points * 2) : null,
        segments: layer.segments ? numbers(frames * layer.segments * 4) : null,
      })),
    };
  }

  partOf(frame) {
    return Math.floor(frame / this.content.part);
  }

  has(frame) {
    return this.parts[this.partOf(frame)] !== undefined;
  }

  // What belongs to one frame, out of an array that holds all frames of its part.
  cut(array, frame) {
    const part = this.partOf(frame);
    const first = part * this.content.part;
    const length = array.length / Math.min(this.content.part, this.count - first);
    return array.subarray((frame - first) * length, (frame - first + 1) * length);
  }

  image(frame) {
    return this.cut(this.parts[this.partOf(frame)].frames, frame);
  }

  // `kind` of a layer in one frame: masks, heat, points or segments; null where there is none.
  of(layer, kind, frame) {
    const known = this.content.layers[layer].known;
    const array = this.parts[this.partOf(frame)].layers[layer][kind];
    return array && (!known || known[frame]) ? this.cut(array, frame) : null;
  }

  outline(layer, frame) {
    const key = layer * this.count + frame;
    if (!this.outlines.has(key)) {
      const bits = this.of(layer, "masks", frame);
      this.outlines.set(key, bits && outlineOf(bits, this.width, this.height, this.rowBytes));
    }
    return this.outlines.get(key);
  }
}

function isInside(bits, rowBytes, x, y) {
  return (bits[y * rowBytes + (x >> 3)] >> (x & 7)) & 1;
}

// Outline of a mask by marching squares, in px with pixel centres at integers. Outside of the
// frame counts as outside of the mask, so that outlines close at its border.
function outlineOf(bits, width, height, rowBytes) {
  const path = new Path2D();
  const inside = (x, y) =>
    x >= 0 && y >= 0 && x < width && y < height && isInside(bits, rowBytes, x, y) === 1;
  let [left, right, top, bottom] = [rowBytes, -1, height, -1]; // of what is marked; columns in bytes
  bits.forEach((byte, place) => {
    if (!byte) return;
    const row = Math.floor(place / rowBytes);
    const column = place - row * rowBytes;
    [left, right] = [Math.min(left, column), Math.max(right, column)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
  });
  for (let y = top - 1; y <= bottom; y++) {
    for (let x = left * 8 - 1; x < Math.min(width, right * 8 + 8); x++) {
      // The four pixels of a cell, clockwise from top left, and the middles of its four sides.
      const corners = [inside(x, y), inside(x + 1, y), inside(x + 1, y + 1), inside(x, y + 1)];
      if (corners.every((corner) => corner === corners[0])) continue; // no edge here
      const sides = [[x + 0.5, y], [x + 1, y + 0.5], [x + 0.5, y + 1], [x, y + 0.5]];
      for (let start = 0; start < 4; start++) {
        // A line enters through the side where outside turns to inside, clockwise, and leaves
        // through the next side where inside turns to outside.
        if (corners[start] || !corners[(start + 1) % 4]) continue;
        let end = (start + 1) % 4;
        while (corners[(end + 1) % 4]) end = (end + 1) % 4;
        path.moveTo(...sides[start]);
        path.lineTo(...sides[end]);
      }
    }
  }
  return path;
}
