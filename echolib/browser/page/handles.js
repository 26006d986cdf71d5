// The points of a shape as handles over a picture: dragged by mouse, pen or finger, and moved by
// keys. A handle is a button of the page, so that the keyboard and a screen reader reach it.

const NUDGE = 0.25; // px of the frame, four times as much with shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class Handles {
  // picture: a Picture; viewport(): see Lens. act: {move(index, point, held), settle(), cancel(),
  // select(index)}: what the editor does.
  constructor(picture, viewport, act) {
    Object.assign(this, { picture, viewport, act, shape: null, drag: null });
    const { canvas, clip } = picture;
    this.box = element("div", canvas.parentElement, { className: "handles" }, { role: "group" });
    this.box.style.width = canvas.style.width;
    this.box.style.aspectRatio = `${clip.width} / ${clip.height}`;
    this.buttons = [];
    this.box.addEventListener("pointerdown", (event) => this.press(event));
    this.box.addEventListener("pointermove", (event) => this.pull(event));
    this.box.addEventListener("pointerup", (event) => this.release(event, "settle"));
    this.box.addEventListener("pointercancel", (event) => this.release(event, "cancel"));
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("focusin", (event) =>
      this.act.select(this.buttons.indexOf(event.target)));
  }

  // Show the points of a shape, or none. names: what each point is, for a screen reader.
  show(shape, name, names, selected) {
    this.shape = shape;
    const points = shape?.points ?? [];
    this.box.hidden = !points.length;
    this.box.setAttribute("aria-label", `Points of the ${name}`);
    while (this.buttons.length < points.length) this.buttons.push(this.make());
    const { left, top, zoom } = this.viewport();
    const { width, height } = this.picture.clip;
    this.buttons.forEach((handle, index) => {
      handle.hidden = index >= points.length;
      if (handle.hidden) return;
      const [x, y] = points[index];
      const [right, down] = [((x + 0.5 - left) * zoom) / width, ((y + 0.5 - top) * zoom) / height];
      const isSeen = Math.min(right, down) > -0.05 && Math.max(right, down) < 1.05;
      handle.style.left = `${100 * right}%`;
      handle.style.top = `${100 * down}%`;
      handle.style.visibility = isSeen ? "" : "hidden";
      handle.classList.toggle("selected", index === selected);
      handle.classList.toggle("end", names[index] !== "wall" && names[index] !== "");
      const what = names[index] ? `${names[index]}, ` : "";
      handle.setAttribute("aria-label", `${what}point ${index + 1} of ${points.length}: `
        + `x ${x.toFixed(2)}, y ${y.toFixed(2)}`);
    });
  }

  make() {
    return element("button", this.box, { type: "button", className: "handle" },
      { "aria-keyshortcuts": "ArrowLeft ArrowRight ArrowUp ArrowDown Delete", ...OWN_KEYS });
  }

  focus(index) {
    this.buttons[index]?.focus({ preventScroll: true });
  }

  // Where a pointer is, in px of the frame.
  at(event) {
    const { canvas } = this.picture;
    const box = canvas.getBoundingClientRect();
    return this.picture.toFrame((event.clientX - box.left) * (canvas.width / box.width),
      (event.clientY - box.top) * (canvas.height / box.height), this.viewport());
  }

  // Handles may overlap: the one whose centre is nearest is meant.
  press(event) {
    if (this.drag || event.button) return;
    event.preventDefault();
    const at = this.at(event);
    const distances = this.shape.points.map(([x, y]) => Math.hypot(x - at[0], y - at[1]));
    const index = distances.indexOf(Math.min(...distances));
    const [x, y] = this.shape.points[index];
    // The pointer keeps its distance from the point, so that nothing jumps when it is touched.
    this.drag = { id: event.pointerId, index, off: [x - at[0], y - at[1]] };
    this.box.setPointerCapture(event.pointerId);
    this.focus(index);
  }

  pull(event) {
    if (this.drag?.id !== event.pointerId) return;
    const [x, y] = this.at(event);
    const { index, off } = this.drag;
    this.act.move(index, [x + off[0], y + off[1]], true);
  }

  release(event, end) {
    if (this.drag?.id !== event.pointerId) return;
    this.drag = null;
    this.act[end]();
  }

  key(event) {
    const way = ARROWS[event.key];
    if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // elsewhere in the browser arrows change the frame
    const index = this.buttons.indexOf(event.target);
    const [x, y] = this.shape.points[index];
    const step = event.shiftKey ? 4 * NUDGE : NUDGE;
    this.act.move(index, [x + step * way[0], y + step * way[1]], false);
  }
}
