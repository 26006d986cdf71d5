// The visible part of the frames: zoom and centre, shared by all pictures side by side.

const MAX_ZOOM = 8;

class Lens {
  // zoom(): returns the zoom, 1 for the whole picture; setZoom(value): changes it; draw(): redraws.
  constructor(clip, zoom, setZoom, draw) {
    Object.assign(this, { clip, zoom, setZoom, draw });
    this.centre = [(clip.width - 1) / 2, (clip.height - 1) / 2]; // px of the frame
  }

  // Zoom, and the upper left corner of the visible part in px of the frame, never outside it.
  get viewport() {
    const zoom = this.zoom();
    const [left, top] = [this.clip.width, this.clip.height].map((size, axis) =>
      Math.min(Math.max(this.centre[axis] + 0.5 - size / zoom / 2, 0), size - size / zoom));
    return { left, top, zoom };
  }

  // Centre of the visible part. It differs from `centre` if that is too close to the border.
  get visibleCentre() {
    const { left, top, zoom } = this.viewport;
    return [left + this.clip.width / zoom / 2 - 0.5, top + this.clip.height / zoom / 2 - 0.5];
  }

  // Zoom while the point (x, y) of the frame stays where it is on the screen.
  zoomTo(value, [x, y] = this.visibleCentre) {
    const next = Math.min(Math.max(value, 1), MAX_ZOOM);
    const ratio = this.zoom() / next;
    const [centreX, centreY] = this.visibleCentre;
    this.centre = [x + (centreX - x) * ratio, y + (centreY - y) * ratio];
    this.setZoom(next);
  }

  move(x, y) {
    const [centreX, centreY] = this.visibleCentre;
    this.centre = [centreX + x, centreY + y];
    this.draw();
  }

  // Handle drag, pinch and ctrl + wheel on a picture. click(point): is called for a press
  // without drag, with its place in px of the frame.
  listen(picture, click) {
    const { canvas } = picture;
    const pointers = new Map(); // last event of each pressed pointer, by its id
    let moved = false;
    const framePoint = (event) => {
      const box = canvas.getBoundingClientRect();
      return picture.toFrame((event.clientX - box.left) * (canvas.width / box.width),
        (event.clientY - box.top) * (canvas.height / box.height), this.viewport);
    };
    const distance = () => {
      const [one, other] = [...pointers.values()];
      return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!pointers.size) moved = false;
      pointers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const shift = [event.clientX - before.clientX, event.clientY - before.clientY];
      if (!moved && Math.hypot(...shift) < 4) return; // a click may move by a few px
      moved = true;
      const [from, to] = [framePoint(before), framePoint(event)];
      const oldDistance = pointers.size === 2 ? distance() : 0;
      pointers.set(event.pointerId, event);
      if (oldDistance) this.zoomTo(this.zoom() * (distance() / oldDistance), to);
      else if (this.zoom() > 1) this.move(from[0] - to[0], from[1] - to[1]);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (pointers.delete(event.pointerId) && !pointers.size && !moved) {
        click(framePoint(event));
      }
    });
    canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // without ctrl the wheel scrolls the page
      event.preventDefault();
      this.zoomTo(this.zoom() * 1.01 ** -event.deltaY, framePoint(event));
    }, { passive: false });
  }
}
