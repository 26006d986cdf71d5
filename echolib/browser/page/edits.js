// What a person has corrected in one clip: outlines by frame, answers, ED and ES; undone and redone
// step by step, and read and written as the document that Python keeps (echolib.corrections).

const PARTS = ["ventricle", "leaflet 1", "leaflet 2"]; // a part is meant by its index
const FEWEST = [5, 2, 2]; // points of each part
const MOST = [40, 20, 20];
const LONGEST_PAUSE = 5; // s between two actions that count as time spent on the clip
const LEAFLET_WIDTH = 2.5; // px
const SMALLEST = 1; // px², of an outline
const FORMAT = 1; // of the document

const NOTHING = { answer: "", shapes: [null, null, null] }; // of a frame: what nobody has touched
const isNothing = ({ answer, shapes }) => !answer && shapes.every((shape) => !shape);
// What a document says was drawn and answered, as a text that can be compared.
const drawnIn = ({ answer, ed, es, frames }) => JSON.stringify([answer, ed, es,
  ...Object.entries(frames).map(([frame, record]) => [frame, record.answer,
    record.ventricle?.points, record.leaflets.map(({ points, width }) => [points, width])])]);
const tenths = (seconds) => Math.round(seconds * 10) / 10;

class Edits {
  // start: the trait `_edit` of echolib.browser.editing; document: replaces the one in it.
  // Shapes and the records of frames are never changed, only replaced, so that steps can share them.
  constructor(content, start, document = start.document) {
    this.name = content.clip;
    this.digest = content.digest; // of its frames
    [this.count, this.height, this.width] = content.shape;
    this.fps = content.fps;
    this.start = start;
    this.annotator = start.annotator || document?.annotator || "";
    this.history = new History();
    this.frames = new Map(); // what a person did, by frame
    this.clip = { answer: "", ed: null, es: null };
    this.lastValid = new Map(); // by frame, what is sent while something in it is not possible
    this.seconds = { clip: 0, frames: new Map(), last: null, frame: 0 }; // last: of an action, s
    this.fills = true; // whether frames between two that are drawn get an outline
    this.held = null; // while a point is dragged: the step that begins
    this.last = []; // by part, see `curve`
    this.known = new WeakMap(); // by shape: what is wrong with it, its area
    this.proposed = new Map(); // shapes that the network proposes, by frame
    this.filled = new Map(); // shapes between two others, by frame and part
    this.listeners = new Set(); // functions that are called after each change
    if (document) this.load(document);
  }

  // --- what is there --------------------------------------------------------------------------

  record(frame) {
    return this.frames.get(frame) ?? NOTHING;
  }

  // The shape of a part in a frame, or null: {points, made}, and `apex` or `width`. made: "drawn",
  // "copied", "interpolated" or "proposed".
  shape(frame, part) {
    const { answer, shapes } = this.record(frame);
    if (shapes[part] || answer) return shapes[part];
    return this.between(frame, part) ?? this.proposal(frame, part);
  }

  proposal(frame, part) {
    const points = part === 0 ? this.start.proposals?.[frame] : null;
    if (!points) return null;
    if (!this.proposed.has(frame)) {
      this.proposed.set(frame, { points, apex: this.start.apex, made: "proposed" });
    }
    return this.proposed.get(frame);
  }

  // The frames with a shape of a person's own that can be used, in order.
  anchors(part) {
    return [...this.frames.keys()].sort((one, other) => one - other).filter((frame) => {
      const shape = this.record(frame).shapes[part];
      return shape && !this.problem(shape, part);
    });
  }

  between(frame, part, anchors = this.anchors(part)) {
    const next = anchors.findIndex((anchor) => anchor > frame);
    if (!this.fills || next < 1 || anchors[next - 1] === frame) return null;
    const ends = [anchors[next - 1], anchors[next]];
    const [one, other] = ends.map((anchor) => this.record(anchor).shapes[part]);
    const key = frame * PARTS.length + part;
    const kept = this.filled.get(key);
    if (kept?.one === one && kept.other === other) return kept.shape;
    const shape = shapeBetween(one, other, (frame - ends[0]) / (ends[1] - ends[0]));
    this.filled.set(key, { one, other, shape });
    return shape;
  }

  // What `between` finds, unless it is not possible.
  filledIn(frame, part, anchors) {
    const shape = this.between(frame, part, anchors);
    return shape && !this.problem(shape, part) ? shape : null;
  }

  // What makes a shape impossible, as a sentence, or "".
  problem(shape, part) {
    const known = this.knownOf(shape);
    known.problem ??= this.findProblem(shape, part);
    return known.problem;
  }

  knownOf(shape) {
    if (!this.known.has(shape)) this.known.set(shape, {});
    return this.known.get(shape);
  }

  findProblem(shape, part) {
    const { points } = shape;
    if (points.length < FEWEST[part]) {
      return `${points.length} of at least ${FEWEST[part]} points are set.`;
    }
    const outside = points.findIndex(([x, y]) =>
      x < -0.5 || y < -0.5 || x > this.width - 0.5 || y > this.height - 0.5);
    if (outside >= 0) return `Point ${outside + 1} lies outside the frame: move it back.`;
    if (part !== 0) return "";
    const curve = this.curve(shape, part);
    if (crossesItself(curve)) return "The outline crosses itself: move a point back, or undo.";
    return areaOf(curve) < SMALLEST ? "The outline encloses no area: move its points apart." : "";
  }

  // The curve through a shape's points, at least two, and its mask. Those of the last shape of
  // each part are kept, as the same are asked for several times while a point is dragged.
  curve(shape, part) {
    if (this.last[part]?.shape !== shape) {
      this.last[part] = { shape, curve: splineOf(shape.points), mask: null };
    }
    return this.last[part].curve;
  }

  mask(shape, part) {
    const curve = this.curve(shape, part);
    this.last[part].mask ??= part === 0 ? ventricleMask(curve, this.width, this.height)
      : leafletMask(curve, shape.width, this.width, this.height);
    return this.last[part].mask;
  }

  // The area of a ventricle in px².
  area(shape) {
    const known = this.knownOf(shape);
    known.area ??= this.mask(shape, 0).reduce((sum, inside) => sum + inside, 0);
    return known.area;
  }

  // The problem of a frame's own shapes, or "".
  problemOf(frame) {
    return this.record(frame).shapes.map((shape, part) => (shape ? this.problem(shape, part) : ""))
      .find(Boolean) ?? "";
  }

  // All frames with something impossible.
  get wrong() {
    return [...this.frames.keys()].filter((frame) => this.problemOf(frame));
  }

  // --- changes --------------------------------------------------------------------------------

  put(frame, record) {
    if (frame === undefined) {
      this.clip = record;
    } else if (isNothing(record)) {
      this.frames.delete(frame);
      this.lastValid.delete(frame);
    } else {
      this.frames.set(frame, record);
      if (!this.held && !this.problemOf(frame)) this.lastValid.set(frame, record);
    }
  }

  tell() {
    for (const listener of this.listeners) listener();
  }

  change(frame, record) {
    this.settle();
    const before = frame === undefined ? this.clip : this.record(frame);
    this.put(frame, record);
    this.history.add({ frame, before, after: record });
    this.tell();
  }

  // Replace a shape, or take it away with null. held: the change goes on until `settle`.
  set(frame, part, shape, held = false) {
    const record = this.record(frame);
    const shapes = record.shapes.with(part, shape);
    if (!held) {
      this.change(frame, { ...record, shapes });
      return;
    }
    this.held ??= { frame, before: record };
    this.put(frame, { ...record, shapes });
    this.tell();
  }

  settle() {
    if (!this.held) return;
    const { frame, before } = this.held;
    this.held = null;
    const after = this.record(frame);
    this.put(frame, after);
    this.history.add({ frame, before, after });
    this.tell();
  }

  cancel() {
    if (!this.held) return;
    const { frame, before } = this.held;
    this.held = null;
    this.put(frame, before);
    this.tell();
  }

  // Undo or redo a step; returns its frame, null for one of the whole clip, undefined for none.
  undo() {
    this.settle();
    return this.repeat(this.history.undo(), "before");
  }

  redo() {
    this.settle();
    return this.repeat(this.history.redo(), "after");
  }

  repeat(step, which) {
    if (!step) return undefined;
    this.put(step.frame, step[which]);
    this.tell();
    return step.frame ?? null;
  }

  // --- actions: each returns what hinders it, as a sentence, or "" ------------------------------

  move(frame, part, index, point, held) {
    const shape = this.shape(frame, part);
    const points = shape.points.with(index, rounded(point));
    this.set(frame, part, { ...shape, points, made: "drawn" }, held);
    return "";
  }

  // Add a point on the curve at one of its samples.
  addOn(frame, part, sample) {
    const shape = this.shape(frame, part);
    if (shape.points.length >= MOST[part]) return `More than ${MOST[part]} points are not possible.`;
    const curve = this.curve(shape, part);
    const at = Math.floor(Math.min(sample, curve.length / 2 - 2) / SAMPLES) + 1;
    const point = rounded([curve[2 * sample], curve[2 * sample + 1]]);
    if (shape.points.some(([x, y]) => x === point[0] && y === point[1])) return "A point is there.";
    const added = { ...shape, points: shape.points.toSpliced(at, 0, point), made: "drawn" };
    if (part === 0 && at <= shape.apex) added.apex += 1;
    this.set(frame, part, added);
    return "";
  }

  // Add a point at the end of a shape that is drawn point by point.
  append(frame, part, point) {
    const before = this.record(frame).shapes[part]?.points ?? [];
    if (before.length >= MOST[part]) return `More than ${MOST[part]} points are not possible.`;
    const points = [...before, rounded(point)];
    this.set(frame, part, this.drawn(part, points));
    return "";
  }

  drawn(part, points) {
    if (part !== 0) return { points, width: LEAFLET_WIDTH, made: "drawn" };
    const middle = [0, 1].map((axis) => (points[0][axis] + points.at(-1)[axis]) / 2);
    const distances = points.map(([x, y]) => Math.hypot(x - middle[0], y - middle[1]));
    const farthest = distances.slice(1, -1).reduce((best, distance, number, all) =>
      (distance > all[best] ? number : best), 0);
    return { points, apex: Math.min(farthest + 1, points.length - 1), made: "drawn" };
  }

  // Begin a shape: an ellipse without its base, with the apex up; or a leaflet, a line.
  begin(frame, part) {
    const [x, y] = [(this.width - 1) / 2, (this.height - 1) / 2];
    const points = part === 0
      ? Array.from({ length: 13 }, (_, number) => {
        const angle = Math.PI * (1.25 - (1.5 * number) / 12);
        return [x + 0.2 * this.width * Math.cos(angle), y - 0.3 * this.height * Math.sin(angle)];
      })
      : Array.from({ length: 4 }, (_, number) => [
        x + this.width * (part === 1 ? 0.05 * number - 0.2 : 0.2 - 0.05 * number),
        y + this.height * (0.2 + 0.02 * number)]);
    this.set(frame, part, this.drawn(part, points.map(rounded)));
    return "";
  }

  remove(frame, part, index) {
    const shape = this.shape(frame, part);
    const last = shape.points.length - 1;
    if (last < FEWEST[part]) return `Fewer than ${FEWEST[part]} points are not possible.`;
    if (part === 0 && [0, shape.apex, last].includes(index)) {
      return "The hinges and the apex stay: move them instead.";
    }
    const less = { ...shape, points: shape.points.toSpliced(index, 1), made: "drawn" };
    if (part === 0 && index < shape.apex) less.apex -= 1;
    this.set(frame, part, less);
    return "";
  }

  widen(frame, part, width) {
    this.set(frame, part, { ...this.shape(frame, part), width, made: "drawn" });
    return "";
  }

  copyOn(frame, part) {
    if (frame + 1 >= this.count) return "This is the last frame.";
    const shape = this.shape(frame, part);
    if (this.problem(shape, part)) return this.problem(shape, part);
    this.set(frame + 1, part, { ...shape, made: "copied" });
    return "";
  }

  accept(frame, part) {
    this.set(frame, part, { ...this.shape(frame, part), made: "drawn" });
    return "";
  }

  // Back to the network's outline; without one, to what lies between the neighbours, or nothing.
  reset(frame, part) {
    const proposal = this.proposal(frame, part);
    const others = this.anchors(part).filter((anchor) => anchor !== frame);
    const replaced = proposal && this.between(frame, part, others);
    this.set(frame, part, replaced ? { ...proposal, made: "drawn" } : null);
    return "";
  }

  answerFrame(frame, answer) {
    this.change(frame, { ...this.record(frame), answer });
    return "";
  }

  // fields: of `clip`: answer, ed, es.
  answerClip(fields) {
    this.change(undefined, { ...this.clip, ...fields });
    return "";
  }

  // Count the time since the last action as spent on the frame that was shown; `frame` is shown now.
  spend(frame, now = performance.now() / 1000) {
    const { last, frames, frame: shown } = this.seconds;
    const spent = last === null ? 0 : Math.min(now - last, LONGEST_PAUSE);
    Object.assign(this.seconds, { last: now, frame, clip: this.seconds.clip + spent });
    frames.set(shown, (frames.get(shown) ?? 0) + spent);
  }

  // --- the document -----------------------------------------------------------------------------

  // valid: leave out, or replace by what was there before, whatever is not possible.
  document(valid = true) {
    const frames = {};
    const records = this.frames;
    const anchors = PARTS.map((_, part) => this.anchors(part));
    for (let frame = 0; frame < this.count; frame++) {
      let record = records.get(frame);
      if (record && valid && this.problemOf(frame)) record = this.lastValid.get(frame);
      const shapes = (record ?? NOTHING).shapes.map((shape, part) =>
        shape ?? (record?.answer ? null : this.filledIn(frame, part, anchors[part])));
      if (!record && shapes.every((shape) => !shape)) continue;
      frames[frame] = {
        answer: record?.answer ?? "",
        seconds: tenths(this.seconds.frames.get(frame) ?? 0),
        ventricle: shapes[0] && this.written(frame, 0, shapes[0]),
        leaflets: [1, 2].filter((part) => shapes[part])
          .map((part) => this.written(frame, part, shapes[part])),
      };
    }
    return {
      format: FORMAT, clip: this.name, height: this.height, width: this.width,
      frame_count: this.count, fps: this.fps, annotator: this.annotator, ...this.clip,
      network: this.start.network, version: this.start.version,
      seconds: tenths(this.seconds.clip), frames,
    };
  }

  written(frame, part, { points, apex, width, made }) {
    const proposed = this.proposal(frame, part)?.points ?? null;
    const isProposed = new Set((proposed ?? []).map(String));
    const moved = points.filter((point) => !isProposed.has(String(point))).length;
    return { points, ...(part === 0 ? { apex } : { width }), made, moved, proposed };
  }

  load({ answer, ed, es, seconds, frames }) {
    this.clip = { answer, ed, es };
    this.seconds.clip = seconds;
    const made = [];
    for (const [key, record] of Object.entries(frames)) {
      const frame = Number(key);
      this.seconds.frames.set(frame, record.seconds);
      const shapes = [record.ventricle, ...record.leaflets, null, null].slice(0, PARTS.length)
        .map((shape) => this.read(shape));
      made.push(...shapes.map((shape) => shape?.made));
      this.put(frame, { answer: record.answer,
        shapes: shapes.map((shape) => (shape?.made === "interpolated" ? null : shape)) });
    }
    const gaps = PARTS.some((_, part) =>
      this.anchors(part).some((anchor, number, all) => number && anchor - all[number - 1] > 1));
    this.fills = !gaps || made.includes("interpolated");
  }

  read(shape) {
    if (!shape) return null;
    const { points, apex, width, made } = shape;
    return apex === undefined ? { points, width, made } : { points, apex, made };
  }
}
