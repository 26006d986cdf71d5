// Diagrams below the picture: curves over time, one diagram per unit, and a cursor at the frame.

const DIAGRAM_HEIGHT = 92; // CSS px
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 10, 18, 6]; // margins of a diagram, CSS px
const AXIS_COLOUR = "#d5dade"; // on a dark ground, in light and dark pages alike

class Curves {
  constructor(canvas, clip) {
    this.canvas = canvas;
    this.clip = clip;
    this.background = document.createElement("canvas"); // everything except the cursor
    this.width = 0;
    this.name();
  }

  name() {
    const curves = this.clip.drawnCurves;
    this.units = [...new Set(curves.map((curve) => curve.unit))];
    this.canvas.hidden = !this.units.length;
    const names = curves.map((curve) => `${curve.name} (${curve.unit})`);
    this.canvas.setAttribute("aria-label", `Over time: ${names.join(", ")}. Click to go to a frame.`);
  }

  // The clip's curves or marks have changed; returns whether the number of diagrams has, too.
  update(width) {
    const before = this.units.length;
    this.name();
    this.width = 0;
    this.resize(width);
    return before !== this.units.length;
  }

  // Lay out the diagrams for a width in CSS px; returns whether anything has changed.
  resize(width) {
    if (!this.units.length || width < LEFT + RIGHT + 20 || width === this.width) return false;
    this.width = width;
    const density = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.background]) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(this.units.length * DIAGRAM_HEIGHT * density);
    }
    this.canvas.style.height = `${this.units.length * DIAGRAM_HEIGHT}px`;
    const context = this.background.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.fillStyle = "#14181c";
    context.fillRect(0, 0, width, this.units.length * DIAGRAM_HEIGHT);
    this.units.forEach((unit, row) => this.diagram(context, unit, row * DIAGRAM_HEIGHT));
    return true;
  }

  x(frame) {
    const span = Math.max(1, this.clip.count - 1);
    return LEFT + (frame / span) * (this.width - LEFT - RIGHT);
  }

  frameAt(x) {
    const share = (x - LEFT) / (this.width - LEFT - RIGHT);
    return Math.round(Math.min(Math.max(share, 0), 1) * (this.clip.count - 1));
  }

  diagram(context, unit, top) {
    const curves = this.clip.drawnCurves.filter((curve) => curve.unit === unit);
    const values = curves.flatMap((curve) => curve.values).filter((value) => value !== null);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (high === low) [low, high] = [low - 0.5, high + 0.5];
    const y = (value) =>
      top + TOP + ((high - value) / (high - low)) * (DIAGRAM_HEIGHT - TOP - BOTTOM);
    context.font = "11px sans-serif";
    context.fillStyle = context.strokeStyle = AXIS_COLOUR;
    context.lineWidth = 0.5;
    context.strokeRect(LEFT, top + TOP - 3,
      this.width - LEFT - RIGHT, DIAGRAM_HEIGHT - TOP - BOTTOM + 6);
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText(short(high), LEFT - 5, y(high) + 2);
    context.fillText(short(low), LEFT - 5, y(low) - 2);
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (const [frame, mark] of this.clip.marks) {
      context.setLineDash([2, 3]);
      context.beginPath();
      context.moveTo(this.x(frame), top + TOP - 3);
      context.lineTo(this.x(frame), top + DIAGRAM_HEIGHT - BOTTOM + 3);
      context.stroke();
      context.setLineDash([]);
      if (top === 0) context.fillText(mark, this.x(frame), TOP - 6);
    }
    context.textAlign = "left";
    context.fillText(unit, 4, top + TOP - 6);
    for (const curve of curves) this.line(context, curve, y);
  }

  line(context, { values, rgb }, y) {
    context.strokeStyle = context.fillStyle = `rgb(${rgb.join(", ")})`;
    context.lineWidth = 1.5;
    context.beginPath();
    values.forEach((value, frame) => {
      if (value === null) return;
      const continues = frame > 0 && values[frame - 1] !== null;
      context[continues ? "lineTo" : "moveTo"](this.x(frame), y(value));
    });
    context.stroke();
    values.forEach((value, frame) => { // a single value between two gaps is drawn as a dot
      if (value === null || values[frame - 1] != null || values[frame + 1] != null) return;
      context.beginPath();
      context.arc(this.x(frame), y(value), 3, 0, 2 * Math.PI);
      context.fill();
    });
  }

  draw(frame) {
    if (!this.width) return;
    const context = this.canvas.getContext("2d");
    const density = this.canvas.width / this.width;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.background, 0, 0);
    context.fillStyle = "white";
    const top = (TOP - 3) * density; // below the names of the marks
    context.fillRect(Math.round(this.x(frame) * density), top, density, this.canvas.height - top);
  }
}

// Format a number with about three digits.
function short(value) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}
