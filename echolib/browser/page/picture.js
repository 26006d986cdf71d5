// One picture: a frame in grey, enlarged by the browser, and over it the layers that are shown.

const SHOWN_SIZE = 448; // CSS px that the longer side of a small frame is brought to, at least
const HEAT_OPACITY = 0.7; // of the strongest heat

class Picture {
  constructor(canvas, clip) {
    this.canvas = canvas;
    this.clip = clip;
    const { width, height } = clip;
    // Whole numbers, so that every pixel of a frame is a square of equal size.
    this.scale = Math.ceil(SHOWN_SIZE / Math.max(height, width));
    this.density = Math.max(1, Math.round(window.devicePixelRatio || 1));
    canvas.style.width = `${width * this.scale}px`;
    canvas.width = width * this.scale * this.density;
    canvas.height = height * this.scale * this.density;
    this.context = canvas.getContext("2d");
    this.small = document.createElement("canvas"); // a frame in its own size
    this.small.width = width;
    this.small.height = height;
    this.image = new ImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer); // a pixel each: alpha, blue, green, red
  }

  // Canvas px to px of the frame, pixel centres at integers.
  toFrame(x, y, place) {
    const enlargement = (this.canvas.width / this.clip.width) * place.zoom;
    return [x / enlargement + place.left - 0.5, y / enlargement + place.top - 0.5];
  }

  // place: zoom and the px of the frame at the upper left; grey: 256 words; shown: indices of
  // layers; compared: the model's layer that a difference is about, or undefined.
  draw(frame, place, grey, smooth, shown, compared) {
    const { clip, context, canvas, words } = this;
    const pixels = clip.image(frame);
    for (let i = 0; i < words.length; i++) words[i] = grey[pixels[i]];
    context.setTransform(1, 0, 0, 1, 0, 0);
    // Enlarged pixels may be a touch transparent: nothing of the frame before may shine through.
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    this.paint(place);
    for (const layer of shown) this.tint(layer, frame, place, compared);
    const enlargement = (canvas.width / clip.width) * place.zoom;
    // Pixel centres are at integers in the data, at halves on a canvas.
    context.setTransform(enlargement, 0, 0, enlargement,
      (0.5 - place.left) * enlargement, (0.5 - place.top) * enlargement);
    context.lineCap = "round";
    for (const layer of shown) this.stroke(layer, frame, this.density / enlargement);
  }

  paint({ left, top, zoom }) {
    const { small, canvas } = this;
    small.getContext("2d").putImageData(this.image, 0, 0);
    this.context.drawImage(small, left, top, small.width / zoom, small.height / zoom,
      0, 0, canvas.width, canvas.height);
  }

  // Layers that colour whole pixels: doubt, and where a model and the truth differ.
  tint(layer, frame, place, compared) {
    const { clip, words } = this;
    const heat = clip.of(layer, "heat", frame);
    if (heat) {
      const colour = wordOf(clip.content.layers[layer].rgb, 0);
      for (let i = 0; i < words.length; i++) {
        words[i] = colour | ((heat[i] * HEAT_OPACITY) << 24);
      }
      this.paint(place);
    }
    if (clip.content.layers[layer].role !== "difference" || compared === undefined) return;
    const truth = clip.content.layers.findIndex((other) => other.role === "truth");
    const bits = [compared, truth].map((other) => clip.of(other, "masks", frame));
    if (!bits[0] || !bits[1]) return;
    const colours = [compared, truth].map((other) => wordOf(clip.content.layers[other].rgb, 128));
    for (let y = 0, i = 0; y < clip.height; y++) {
      for (let x = 0; x < clip.width; x++, i++) {
        const [found, real] = bits.map((b) => isInside(b, clip.rowBytes, x, y));
        words[i] = found === real ? 0 : colours[found ? 0 : 1];
      }
    }
    this.paint(place);
  }

  // Outlines, lines and points; `unit` is one CSS px in px of the frame.
  stroke(layer, frame, unit) {
    const { clip, context } = this;
    const [red, green, blue] = clip.content.layers[layer].rgb;
    context.strokeStyle = context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.lineWidth = 1.5 * unit;
    const outline = clip.outline(layer, frame);
    if (outline) context.stroke(outline);
    const segments = clip.of(layer, "segments", frame) || [];
    context.lineWidth = unit;
    context.beginPath();
    for (let i = 0; i < segments.length; i += 4) {
      if (Number.isNaN(segments[i])) continue;
      context.moveTo(segments[i], segments[i + 1]);
      context.lineTo(segments[i + 2], segments[i + 3]);
    }
    context.stroke();
    const points = clip.of(layer, "points", frame) || [];
    for (let i = 0; i < points.length; i += 2) {
      if (Number.isNaN(points[i])) continue;
      context.beginPath();
      context.arc(points[i], points[i + 1], 2 * unit, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

function wordOf([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// The 256 greys as they are shown: window from `low` to `high`, then a power.
function greysOf([low, high], gamma) {
  return Uint32Array.from({ length: 256 }, (_, value) => {
    const share = Math.min(Math.max((value - low) / Math.max(1, high - low), 0), 1);
    const grey = Math.round(255 * share ** gamma);
    return wordOf([grey, grey, grey], 255);
  });
}
