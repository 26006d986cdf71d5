// Curves through points, and their masks, as echolib.corrections.outline computes them in Python:
// the same samples and the same pixels. Points are [x, y] in px, pixel centres at integers.

const SAMPLES = 8; // of a curve between two of its points
const SMALLEST_STEP = 0.1; // of the curve's parameter: that of two points 0.01 px apart
const VERTEX = 1e-12; // px, from a pixel's centre to a corner that counts as the same, as skimage has it

// The centripetal Catmull-Rom spline through points, sampled: x and y in turns, Float32Array.
function splineOf(points) {
  const beyond = ([x, y], [nextX, nextY]) => [2 * x - nextX, 2 * y - nextY];
  const all = [beyond(points[0], points[1]), ...points, beyond(points.at(-1), points.at(-2))];
  const knots = [0];
  for (let i = 1; i < all.length; i++) {
    const step = Math.sqrt(Math.hypot(all[i][0] - all[i - 1][0], all[i][1] - all[i - 1][1]));
    knots.push(knots[i - 1] + Math.max(step, SMALLEST_STEP));
  }
  const curve = new Float32Array(2 * (SAMPLES * (points.length - 1) + 1));
  for (let first = 0; first < points.length - 1; first++) {
    const [t0, t1, t2, t3] = knots.slice(first, first + 4);
    for (let sample = 0; sample < SAMPLES; sample++) {
      const t = t1 + (t2 - t1) * (sample / SAMPLES);
      for (const axis of [0, 1]) {
        const [p0, p1, p2, p3] = [0, 1, 2, 3].map((next) => all[first + next][axis]);
        const a1 = between(p0, p1, t0, t1, t);
        const a2 = between(p1, p2, t1, t2, t);
        const a3 = between(p2, p3, t2, t3, t);
        curve[2 * (first * SAMPLES + sample) + axis] = between(
          between(a1, a2, t0, t2, t), between(a2, a3, t1, t3, t), t1, t2, t);
      }
    }
  }
  curve.set(points.at(-1), curve.length - 2);
  return curve;
}

// The value at t on the line that has `first` at start and `last` at end.
const between = (first, last, start, end, t) =>
  ((end - t) / (end - start)) * first + ((t - start) / (end - start)) * last;

// Call paint(row, left, right) for each row that a box reaches, with its columns in the frame.
function rowsOf([left, top, right, bottom], width, height, paint) {
  const [first, last] = [Math.max(0, Math.ceil(left)), Math.min(width - 1, Math.floor(right))];
  for (let y = Math.max(0, Math.ceil(top)); y <= Math.min(height - 1, Math.floor(bottom)); y++) {
    paint(y, first, last);
  }
}

function boxOf(curve) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < curve.length; i += 2) {
    box[0] = Math.min(box[0], curve[i]);
    box[1] = Math.min(box[1], curve[i + 1]);
    box[2] = Math.max(box[2], curve[i]);
    box[3] = Math.max(box[3], curve[i + 1]);
  }
  return box;
}

// A ventricle's mask, one byte per pixel: the pixels whose centre is inside the closed curve or on
// it. The test is that of skimage.draw.polygon (O'Rourke, Computational Geometry in C, chapter 7),
// with those edges only that reach the row.
function ventricleMask(curve, width, height) {
  const mask = new Uint8Array(width * height);
  const corners = curve.length / 2;
  rowsOf(boxOf(curve), width, height, (y, left, right) => {
    const edges = [];
    for (let i = 0, before = corners - 1; i < corners; before = i++) {
      const [y0, y1] = [curve[2 * i + 1] - y, curve[2 * before + 1] - y];
      if (Math.min(y0, y1) <= VERTEX && Math.max(y0, y1) >= -VERTEX) {
        edges.push(curve[2 * i], y0, curve[2 * before], y1);
      }
    }
    for (let x = left; x <= right; x++) mask[y * width + x] = isCovered(edges, x) ? 1 : 0;
  });
  return mask;
}

// edges: x and y of both ends of each edge, y against the row of the pixel.
function isCovered(edges, x) {
  let [toRight, toLeft] = [false, false]; // whether the number of edges there is odd
  for (let i = 0; i < edges.length; i += 4) {
    const [x0, y0, x1, y1] = [edges[i] - x, edges[i + 1], edges[i + 2] - x, edges[i + 3]];
    if (Math.abs(x0) < VERTEX && Math.abs(y0) < VERTEX) return true;
    const crossing = (x0 * y1 - x1 * y0) / (y1 - y0);
    if (y0 > 0 !== y1 > 0 && crossing > 0) toRight = !toRight;
    if (y0 < 0 !== y1 < 0 && crossing < 0) toLeft = !toLeft;
  }
  return toRight || toLeft; // an edge runs through the pixel's centre where they differ
}

// A leaflet's mask: the pixels whose centre is half the width from the curve, or less.
function leafletMask(curve, thickness, width, height) {
  const mask = new Uint8Array(width * height);
  const radius = thickness / 2;
  for (let i = 0; i + 3 < curve.length; i += 2) {
    const [x0, y0, x1, y1] = curve.subarray(i, i + 4);
    const [alongX, alongY] = [x1 - x0, y1 - y0];
    const length = Math.max(alongX * alongX + alongY * alongY, 1e-12);
    const box = [Math.min(x0, x1) - radius, Math.min(y0, y1) - radius,
      Math.max(x0, x1) + radius, Math.max(y0, y1) + radius];
    rowsOf(box, width, height, (y, left, right) => {
      for (let x = left; x <= right; x++) {
        const share = Math.min(Math.max(((x - x0) * alongX + (y - y0) * alongY) / length, 0), 1);
        const [acrossX, acrossY] = [x - x0 - share * alongX, y - y0 - share * alongY];
        if (acrossX ** 2 + acrossY ** 2 <= radius ** 2) mask[y * width + x] = 1;
      }
    });
  }
  return mask;
}

// Whether two edges of a closed curve cross, as echolib.geometry.crosses_itself has it.
function crossesItself(curve) {
  const count = curve.length / 2;
  const x = (i) => curve[2 * (i % count)];
  const y = (i) => curve[2 * (i % count) + 1];
  const side = (point, from) => Math.sign((x(from + 1) - x(from)) * (y(point) - y(from))
    - (y(from + 1) - y(from)) * (x(point) - x(from)));
  for (let one = 0; one < count; one++) {
    for (let other = one + 2; other < count; other++) {
      if (side(one, other) * side(one + 1, other) < 0
        && side(other, one) * side(other + 1, one) < 0) return true;
    }
  }
  return false;
}

// The area in px² that a closed curve encloses, by the shoelace formula.
function areaOf(curve) {
  let twice = 0;
  for (let i = 0; i < curve.length; i += 2) {
    const next = (i + 2) % curve.length;
    twice += curve[i] * curve[next + 1] - curve[next] * curve[i + 1];
  }
  return Math.abs(twice) / 2;
}

// The number of the sample that is nearest to a point, and its distance in px.
function nearestSample(curve, [x, y]) {
  let [nearest, least] = [0, Infinity];
  for (let i = 0; i < curve.length; i += 2) {
    const distance = Math.hypot(curve[i] - x, curve[i + 1] - y);
    if (distance < least) [nearest, least] = [i / 2, distance];
  }
  return [nearest, least];
}

// A curve as a path, closed by a straight line or open.
function pathOf(curve, closed) {
  const path = new Path2D();
  for (let i = 0; i < curve.length; i += 2) path.lineTo(curve[i], curve[i + 1]);
  if (closed) path.closePath();
  return path;
}
