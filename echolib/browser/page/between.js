// Outlines of the frames between two that a person has drawn.

// The points of a line at `count` places at equal distances along it, both ends among them.
function spreadAlong(points, count) {
  const way = [0];
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    way.push(way[i - 1] + Math.hypot(x1 - x0, y1 - y0));
  }
  return Array.from({ length: count }, (_, number) => {
    const place = (way.at(-1) * number) / (count - 1);
    const next = Math.max(1, way.findIndex((end) => end >= place - 1e-9));
    const share = (place - way[next - 1]) / (way[next] - way[next - 1] || 1);
    return mixed(points[next - 1], points[next], share);
  });
}

const rounded = ([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100];
const mixed = ([x0, y0], [x1, y1], share) => [x0 + share * (x1 - x0), y0 + share * (y1 - y0)];

// The stretches of an outline that are matched by themselves: its walls, or a leaflet as a whole.
function stretches({ points, apex }) {
  return apex === undefined ? [points] : [points.slice(0, apex + 1), points.slice(apex)];
}

// The shape at a share of the way from one to another. Points are matched by their number along
// each wall; where one shape has more of them, the other's are spread anew along the wall.
function shapeBetween(one, other, share) {
  const [ours, theirs] = [stretches(one), stretches(other)];
  const walls = ours.map((wall, number) => {
    const count = Math.max(wall.length, theirs[number].length);
    const [from, to] = [wall, theirs[number]].map((points) =>
      (points.length === count ? points : spreadAlong(points, count)));
    return from.map((point, at) => rounded(mixed(point, to[at], share)));
  });
  const shape = { made: "interpolated", points: [...walls[0], ...(walls[1] ?? []).slice(1)] };
  if (walls[1]) shape.apex = walls[0].length - 1;
  else shape.width = one.width + share * (other.width - one.width);
  return shape;
}
