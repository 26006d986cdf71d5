// One picture: a grey frame, enlarged, with the visible layers drawn over it.

const DISPLAY_SIZE = 448; // CSS px; a small frame's longer side is enlarged to this or more
const HEAT_OPACITY = 0.7; // of the strongest heat
const EDITED_OPACITY = 40; // of 255, of an edited mask, under which the speckle is still seen
const DASHES = { interpolated: [7, 5], proposed: [1, 5] }; // CSS px, of curves that nobody has drawn

class Picture {
  constructor(canvas, clip) {
    this.canvas = canvas;
    this.clip = clip;
    const { width, height } = clip;
    // A whole number, so that every pixel of a frame becomes a square of the same size.
    this.scale = Math.ceil(DISPLAY_SIZE / Math.max(height, width));
    this.density = Math.max(1, Math.round(window.devicePixelRatio || 1));
    // The place keeps its width, and with it the controls below; the picture in it is never taller
    // than the window leaves, see `fit` in browser.js.
    canvas.parentElement.style.width = `${width * this.scale}px`;
    canvas.style.width = `min(100%, var(--tallest, 9999px) * ${width / height})`;
    canvas.width = width * this.scale * this.density;
    canvas.height = height * this.scale * this.density;
    this.context = canvas.getContext("2d");
    this.small = document.createElement("canvas"); // a frame at its original size
    this.small.width = width;
    this.small.height = height;
    this.image = new ImageData(width, height);
    // One integer per pixel; its bytes are alpha, blue, green, red, from the highest.
    this.packed = new Uint32Array(this.image.data.buffer);
  }

  // Convert canvas px to px of the frame, with pixel centres at integers.
  toFrame(x, y, viewport) {
    const enlargement = (this.canvas.width / this.clip.width) * viewport.zoom;
    return [x / enlargement + viewport.left - 0.5, y / enlargement + viewport.top - 0.5];
  }

  // viewport: zoom, and the upper left corner in px of the frame; greys: 256 packed colours;
  // layers: indices of the layers to draw; compared: index of the model's layer that is compared
  // with the truth, or undefined; edited(frame): shapes of an editor, see `Editor.overlay`.
  draw(frame, viewport, greys, smooth, layers, compared, edited) {
    const { clip, context, canvas, packed } = this;
    const pixels = clip.image(frame);
    for (let i = 0; i < packed.length; i++) packed[i] = greys[pixels[i]];
    context.setTransform(1, 0, 0, 1, 0, 0);
    // Enlarged pixels may be slightly transparent, so the previous frame must be erased first.
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    this.paint(viewport);
    for (const layer of layers) this.tint(layer, frame, viewport, compared);
    const shapes = edited(frame);
    this.fill(shapes, viewport);
    const enlargement = (canvas.width / clip.width) * viewport.zoom;
    // Pixel centres are at integers in the data, and at half-integers on a canvas.
    context.setTransform(enlargement, 0, 0, enlargement,
      (0.5 - viewport.left) * enlargement, (0.5 - viewport.top) * enlargement);
    context.lineCap = "round";
    for (const layer of layers) this.stroke(layer, frame, this.density / enlargement);
    for (const shape of shapes) this.outline(shape, this.density / enlargement);
  }

  paint({ left, top, zoom }) {
    const { small, canvas } = this;
    small.getContext("2d").putImageData(this.image, 0, 0);
    this.context.drawImage(small, left, top, small.width / zoom, small.height / zoom,
      0, 0, canvas.width, canvas.height);
  }

  // Draw the layers that colour whole pixels: doubt, and the difference of a model and the truth.
  tint(layer, frame, viewport, compared) {
    const { clip, packed } = this;
    const heat = clip.array(layer, "heat", frame);
    if (heat) {
      const colour = pack(clip.content.layers[layer].rgb, 0);
      for (let i = 0; i < packed.length; i++) {
        packed[i] = colour | ((heat[i] * HEAT_OPACITY) << 24);
      }
      this.paint(viewport);
    }
    if (clip.content.layers[layer].role !== "difference" || compared === undefined) return;
    const truth = clip.content.layers.findIndex((other) => other.role === "truth");
    const bits = [compared, truth].map((other) => clip.array(other, "masks", frame));
    if (!bits[0] || !bits[1]) return;
    const colours = [compared, truth].map((other) => pack(clip.content.layers[other].rgb, 128));
    for (let y = 0, i = 0; y < clip.height; y++) {
      for (let x = 0; x < clip.width; x++, i++) {
        const [inModel, inTruth] = bits.map((b) => isInside(b, clip.rowBytes, x, y));
        packed[i] = inModel === inTruth ? 0 : colours[inModel ? 0 : 1];
      }
    }
    this.paint(viewport);
  }

  // Tint the pixels of the masks that an editor has.
  fill(shapes, viewport) {
    const masks = shapes.filter(({ mask }) => mask);
    if (!masks.length) return;
    this.packed.fill(0);
    for (const { mask, rgb } of masks) {
      const colour = pack(rgb, EDITED_OPACITY);
      for (let i = 0; i < mask.length; i++) if (mask[i]) this.packed[i] = colour;
    }
    this.paint(viewport);
  }

  // Draw an editor's curve: by the line one sees who has made it.
  outline({ path, made, rgb }, unit) {
    this.context.strokeStyle = `rgb(${rgb.join(", ")})`;
    this.context.lineWidth = 1.5 * unit;
    this.context.setLineDash((DASHES[made] ?? []).map((length) => length * unit));
    this.context.stroke(path);
    this.context.setLineDash([]);
  }

  // Draw outlines, lines and points. unit: one CSS px in px of the frame.
  stroke(layer, frame, unit) {
    const { clip, context } = this;
    const [red, green, blue] = clip.content.layers[layer].rgb;
    context.strokeStyle = context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.lineWidth = 1.5 * unit;
    const outline = clip.outline(layer, frame);
    if (outline) context.stroke(outline);
    const segments = clip.array(layer, "segments", frame) || [];
    context.lineWidth = unit;
    context.beginPath();
    for (let i = 0; i < segments.length; i += 4) {
      if (Number.isNaN(segments[i])) continue;
      context.moveTo(segments[i], segments[i + 1]);
      context.lineTo(segments[i + 2], segments[i + 3]);
    }
    context.stroke();
    const points = clip.array(layer, "points", frame) || [];
    for (let i = 0; i < points.length; i += 2) {
      if (Number.isNaN(points[i])) continue;
      context.beginPath();
      context.arc(points[i], points[i + 1], 2 * unit, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

// Pack a colour into one integer, as in `Picture.packed`.
function pack([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// The displayed colours of the 256 grey levels: a window from `low` to `high`, then a power law.
function greysOf([low, high], gamma) {
  return Uint32Array.from({ length: 256 }, (_, value) => {
    const share = Math.min(Math.max((value - low) / Math.max(1, high - low), 0), 1);
    const grey = Math.round(255 * share ** gamma);
    return pack([grey, grey, grey], 255);
  });
}
