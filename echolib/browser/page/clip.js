// One clip as received from Python (encoding.py): its frames and the layers drawn over them.
// The files of this folder are joined in the order of their use; no other file is loaded.

// The bytes of any typed array or DataView that the widget manager passes.
function bytesOf(value) {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

class Clip {
  constructor(content) {
    [this.count, this.height, this.width] = content.shape;
    this.content = content;
    this.curves = content.curves; // an editor adds its own
    this.marks = content.marks;
    this.blind = false; // whether nothing may tell of the expert's outlines, see blind.js
    this.rowBytes = (this.width + 7) >> 3; // per row of a mask: one bit per pixel, whole bytes
    this.parts = new Array(Math.ceil(this.count / content.part));
    this.arrived = new Set(); // numbers of the parts received, inflated or not
    this.outlines = new Map(); // by layer and frame, made when first shown
  }

  // A part holds some frames of every array, in the order that encoding.py defines.
  async receive(number, bytes) {
    this.arrived.add(number);
    const buffer = await inflate(bytes);
    const first = number * this.content.part;
    const frames = Math.min(this.content.part, this.count - first);
    const area = this.height * this.width;
    let offset = 0;
    const next = (length) => new Uint8Array(buffer, (offset += length) - length, length);
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

  // The curves that are drawn.
  get drawnCurves() {
    const experts = this.content.layers.filter(({ role }) => EXPERT.includes(role));
    return this.curves.filter(
      (curve) => !this.blind || !experts.some(({ name }) => name === curve.name));
  }

  partOf(frame) {
    return Math.floor(frame / this.content.part);
  }

  has(frame) {
    return this.parts[this.partOf(frame)] !== undefined;
  }

  // The values of one frame, out of an array that holds all frames of its part.
  slice(array, frame) {
    const part = this.partOf(frame);
    const first = part * this.content.part;
    const length = array.length / Math.min(this.content.part, this.count - first);
    return array.subarray((frame - first) * length, (frame - first + 1) * length);
  }

  image(frame) {
    return this.slice(this.parts[this.partOf(frame)].frames, frame);
  }

  // One array of a layer in one frame, or null. kind: "masks", "heat", "points" or "segments".
  array(layer, kind, frame) {
    const { labelled } = this.content.layers[layer];
    const array = this.parts[this.partOf(frame)].layers[layer][kind];
    return array && (!labelled || labelled[frame]) ? this.slice(array, frame) : null;
  }

  outline(layer, frame) {
    const key = layer * this.count + frame;
    if (!this.outlines.has(key)) {
      const bits = this.array(layer, "masks", frame);
      this.outlines.set(key, bits && outlineOf(bits, this.width, this.height, this.rowBytes));
    }
    return this.outlines.get(key);
  }
}

function isInside(bits, rowBytes, x, y) {
  return (bits[y * rowBytes + (x >> 3)] >> (x & 7)) & 1;
}

// Outline of a mask by marching squares, in px with pixel centres at integers. Pixels outside the
// frame count as outside the mask, so that outlines close at the border of the frame.
function outlineOf(bits, width, height, rowBytes) {
  const path = new Path2D();
  const inside = (x, y) =>
    x >= 0 && y >= 0 && x < width && y < height && isInside(bits, rowBytes, x, y) === 1;
  // Bounds of the mask, those of columns in bytes.
  let [left, right, top, bottom] = [rowBytes, -1, height, -1];
  bits.forEach((byte, index) => {
    if (!byte) return;
    const row = Math.floor(index / rowBytes);
    const column = index - row * rowBytes;
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
        // Clockwise, a line enters through a side that leads from outside to inside the mask, and
        // leaves through the next side that leads from inside to outside.
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

// The line of text about a frame: its number, time, marks, and what is measured in it.
function readout(clip, frame) {
  const { numbers, fps, labels, layers } = clip.content;
  const number = numbers ? numbers[frame] : frame;
  const text = numbers
    ? [`frame ${number} (${frame + 1} of ${clip.count} shown)`]
    : [`frame ${number} / ${clip.count - 1}`];
  if (fps) text.push(`${(number / fps).toFixed(2)} s`);
  text.push(...clip.marks.filter(([index]) => index === frame).map(([, mark]) => mark));
  if (labels && labels[frame]) text.push(labels[frame]);
  for (const layer of layers) {
    if (!layer.areas || layer.areas[frame] === null) continue;
    if (clip.blind && EXPERT.includes(layer.role)) continue;
    const dice = !clip.blind && layer.dice && layer.dice[frame] !== null
      ? ` Dice ${layer.dice[frame].toFixed(2)}` : "";
    text.push(`${layer.name} ${short(layer.areas[frame])} ${layer.unit}${dice}`);
  }
  for (const { name, unit, values } of clip.drawnCurves) { // those that are no area of a layer
    if (values[frame] === null) continue;
    if (layers.some((layer) => layer.areas && layer.name === name && layer.unit === unit)) continue;
    text.push(`${name} ${short(values[frame])} ${unit}`.trim());
  }
  return text.join(" · ");
}
