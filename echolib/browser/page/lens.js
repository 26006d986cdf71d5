// Which piece of the frames is seen: zoom and centre, common to all pictures side by side.

const MOST_ZOOM = 8;

class Lens {
  // zoom(): how many times the whole picture is enlarged; setZoom(value); draw(): draws anew.
  constructor(clip, zoom, setZoom, draw) {
    Object.assign(this, { clip, zoom, setZoom, draw });
    this.centre = [(clip.width - 1) / 2, (clip.height - 1) / 2]; // px of the frame
  }

  // Zoom, and the px of the frame at the upper left, which never lies outside of it.
  get place() {
    const zoom = this.zoom();
    const [left, top] = [this.clip.width, this.clip.height].map((size, axis) =>
      Math.min(Math.max(this.centre[axis] + 0.5 - size / zoom / 2, 0), size - size / zoom));
    return { left, top, zoom };
  }

  // The centre of what is seen, which is not `centre` where that is too near to the border.
  get seen() {
    const { left, top, zoom } = this.place;
    return [left + this.clip.width / zoom / 2 - 0.5, top + this.clip.height / zoom / 2 - 0.5];
  }

  // Zoom, with the point (x, y) of the frame staying where it is.
  zoomTo(value, [x, y] = this.seen) {
    const next = Math.min(Math.max(value, 1), MOST_ZOOM);
    const share = this.zoom() / next;
    const [left, top] = this.seen;
    this.centre = [x + (left - x) * share, y + (top - y) * share];
    this.setZoom(next);
  }

  move(x, y) {
    const [left, top] = this.seen;
    this.centre = [left + x, top + y];
    this.draw();
  }

  // Drag, pinch and ctrl + wheel on a picture; click(): it was pressed without being moved.
  listen(picture, click) {
    const { canvas } = picture;
    const fingers = new Map(); // pointers that are down, by number
    let moved = false;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return picture.toFrame((event.clientX - box.left) * (canvas.width / box.width),
        (event.clientY - box.top) * (canvas.height / box.height), this.place);
    };
    const apart = () => {
      const [one, other] = [...fingers.values()];
      return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!fingers.size) moved = false;
      fingers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const way = [event.clientX - before.clientX, event.clientY - before.clientY];
      if (!moved && Math.hypot(...way) < 4) return; // a hand is never quite still
      moved = true;
      const [from, to] = [at(before), at(event)];
      const gap = fingers.size === 2 ? apart() : 0;
      fingers.set(event.pointerId, event);
      if (gap) this.zoomTo(this.zoom() * (apart() / gap), to);
      else if (this.zoom() > 1) this.move(from[0] - to[0], from[1] - to[1]);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (fingers.delete(event.pointerId) && !fingers.size && !moved) click();
    });
    canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // without it the page scrolls, as everywhere
      event.preventDefault();
      this.zoomTo(this.zoom() * 1.01 ** -event.deltaY, at(event));
    }, { passive: false });
  }
}
