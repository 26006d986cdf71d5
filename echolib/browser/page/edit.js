// The editor: what the switch "edit" adds to the browser. It joins a clip's edits, the handles on
// the picture, the panel below it, and the keeper that sends what is drawn to Python.

const ON_CURVE = 10; // CSS px from the curve at which two clicks add a point
const TWICE = 400; // ms between two clicks that are one double-click
const REST = 150; // ms after the last change until the areas of all frames are counted anew
const MADE = { drawn: "drawn by hand", copied: "copied", interpolated: "between two drawn frames" };

// The edits of the clips that were opened, and their keeper; several views of one widget share them.
const session = { edits: new Map(), keeper: new Keeper(null) };

class Editor {
  // browser: {frame(), go(frame), draw(), redraw(), viewport(), unit()}: redraw() also lays out what
  // lies around the picture, unit() is one CSS px in px of the frame.
  constructor(page, model, browser) {
    Object.assign(this, { page, model, browser, clip: null, edits: null, handles: null, panel: null });
    this.part = 0; // of PARTS
    this.selected = -1; // index of the chosen point
    this.drawing = false; // whether clicks on the picture add points
    this.said = ""; // what hindered the last action
    this.restored = false; // whether the store had what Python does not have yet
    this.lastClick = null;
    this.drawnParts = []; // by part, the last shape that was drawn, its path and mask
    this.onEdit = () => this.changed();
    this.onKept = () => this.on && this.showState();
    this.onHide = () => session.keeper.storeAll();
    session.keeper.listeners.add(this.onKept);
    window.addEventListener("pagehide", this.onHide);
    this.actions = this.makeActions();
    page.edit.input.addEventListener("change", () => {
      model.set("edit", page.edit.input.checked);
      model.save_changes();
    });
  }

  get on() {
    return this.edits !== null;
  }

  // --- opening ----------------------------------------------------------------------------------

  // A clip was opened, or the switch or the trait `_edit` changed.
  open(clip) {
    const start = this.model.get("_edit");
    this.page.edit.box.hidden = start === null; // an exported page may have no editor
    this.page.edit.input.checked = this.model.get("edit");
    this.leave();
    this.clip = clip;
    const wanted = clip && start && this.model.get("edit") && start.serial === clip.content.serial;
    if (this.panel) this.panel.root.hidden = !wanted;
    this.page.root.classList.toggle("editing", Boolean(wanted && !start.reason));
    if (!wanted) return;
    this.makePanel();
    this.panel.root.hidden = false;
    this.panel.controls.hidden = Boolean(start.reason);
    if (start.reason) {
      this.panel.state.textContent = start.reason;
      return;
    }
    session.keeper.send = start.serial && !start.exported ? (message) => this.model.send(message) : null;
    this.edits = this.opened(clip.content.clip, start) ?? this.begin(clip.content, start);
    this.edits.listeners.add(this.onEdit);
    this.areas = new Array(clip.count).fill(null);
    this.sweep();
  }

  // The edits of a clip that was open before, unless somebody else has changed it since in the folder.
  opened(name, start) {
    const edits = session.edits.get(name);
    const isSafe = edits && !session.keeper.waiting.has(name) && !edits.wrong.length;
    const isChanged = isSafe && start.folder && start.document
      && drawnIn(start.document) !== drawnIn(edits.document());
    return isChanged ? undefined : edits;
  }

  begin(content, start) {
    const stored = storedEdits(content, start);
    const edits = new Edits(content, start, stored?.document ?? start.document);
    session.edits.set(content.clip, edits);
    this.restored = Boolean(stored);
    if (stored && !stored.saved) session.keeper.changed(edits);
    return edits;
  }

  leave() {
    clearTimeout(this.sweeping);
    this.edits?.listeners.delete(this.onEdit);
    this.edits?.settle();
    if (this.clip) Object.assign(this.clip, { curves: this.clip.content.curves, marks: this.clip.content.marks });
    this.handles?.box.remove();
    Object.assign(this, { edits: null, handles: null, drawing: false, selected: -1, drawnParts: [] });
  }

  close() {
    this.leave();
    session.keeper.listeners.delete(this.onKept);
    window.removeEventListener("pagehide", this.onHide);
    if (!session.keeper.listeners.size) session.keeper.close();
  }

  makePanel() {
    if (this.panel) return;
    const panel = buildPanel(this.page);
    this.panel = panel;
    panel.part.addEventListener("change", () => {
      Object.assign(this, { part: Number(panel.part.value), drawing: false, selected: -1, said: "" });
      this.browser.draw();
    });
    panel.width.addEventListener("change", () => {
      const width = Math.min(Math.max(Number(panel.width.value), 0.5), 20);
      panel.width.value = width;
      this.act(() => this.edits.widen(this.frame, this.part, width));
    });
    panel.unreadable.input.addEventListener("change", () => this.act(() =>
      this.edits.answerFrame(this.frame, panel.unreadable.input.checked ? "not readable" : "")));
    panel.answer.addEventListener("change", () =>
      this.act(() => this.edits.answerClip({ answer: panel.answer.value })));
    panel.fills.input.addEventListener("change", () => {
      this.edits.fills = panel.fills.input.checked;
      this.changed();
    });
    panel.annotator.addEventListener("change", () => {
      this.edits.annotator = panel.annotator.value.trim();
      this.changed();
    });
  }

  // The pictures were made anew: the first one gets the handles.
  attach(picture) {
    this.handles?.box.remove();
    this.handles = !this.on ? null : new Handles(picture, this.browser.viewport, {
      move: (index, point, held) => this.act(() => {
        this.selected = index;
        return this.edits.move(this.frame, this.part, index, point, held);
      }),
      settle: () => this.edits.settle(),
      cancel: () => this.edits.cancel(),
      select: (index) => {
        this.selected = index;
        this.show();
      },
    });
  }

  // --- state ------------------------------------------------------------------------------------

  get frame() {
    return this.browser.frame();
  }

  get shape() {
    return this.edits.shape(this.frame, this.part);
  }

  // The edits have changed, here or in another view.
  changed() {
    this.edits.spend(this.frame);
    session.keeper.changed(this.edits);
    this.measure(this.frame);
    this.clip.marks = this.marks();
    clearTimeout(this.sweeping);
    if (!this.edits.held) this.sweeping = setTimeout(() => this.sweep(), REST);
    this.showAreas();
    this.browser.draw();
  }

  measure(frame) {
    const shape = this.edits.shape(frame, 0);
    const counts = shape && shape.made !== "proposed" && !this.edits.problem(shape, 0);
    this.areas[frame] = counts ? this.edits.area(shape) * this.edits.start.square : null;
  }

  // Count the areas of all frames: a change also moves those between two drawn ones.
  sweep() {
    for (let frame = 0; frame < this.clip.count; frame++) this.measure(frame);
    this.clip.marks = this.marks();
    this.showAreas();
    this.browser.redraw();
  }

  showAreas() {
    const { unit, rgb } = this.edits.start;
    const isKnown = this.areas.some((area) => area !== null);
    const own = isKnown ? [{ name: "edited", unit, rgb, values: this.areas }] : [];
    this.clip.curves = [...this.clip.content.curves, ...own];
  }

  // ED and ES set by hand replace those that the clip came with.
  marks() {
    const { ed, es } = this.edits.clip;
    const own = [[ed, "ED"], [es, "ES"]].filter(([frame]) => frame !== null);
    const others = this.clip.content.marks.filter(([, mark]) => !own.some(([, name]) => name === mark));
    return [...others, ...own].sort(([one], [other]) => one - other);
  }

  // --- drawing ----------------------------------------------------------------------------------

  // What `Picture.draw` adds to a frame, one entry per part.
  overlay(frame) {
    if (!this.on) return [];
    return PARTS.flatMap((_, part) => {
      const shape = this.edits.shape(frame, part);
      if (!shape || shape.points.length < 2) return [];
      if (this.drawnParts[part]?.shape !== shape) {
        const isMask = shape.made !== "proposed" && !this.edits.problem(shape, part);
        this.drawnParts[part] = {
          shape, path: pathOf(this.edits.curve(shape, part), part === 0), made: shape.made,
          mask: isMask ? this.edits.mask(shape, part) : null, rgb: this.edits.start.rgb,
        };
      }
      return [this.drawnParts[part]];
    });
  }

  // A frame was drawn: show its points and what is known about it.
  show() {
    if (!this.on) return;
    if (this.shownFrame !== this.frame) {
      this.shownFrame = this.frame;
      this.drawing = false;
      this.said = "";
      this.edits.spend(this.frame);
    }
    this.showHandles();
    this.showPanel();
    this.showState();
  }

  showHandles() {
    const names = (this.shape?.points ?? []).map((_, index, { length }) => {
      if (this.part) return index === 0 || index === length - 1 ? "end" : "";
      if (length < FEWEST[0]) return "";
      const special = { 0: "first hinge", [this.shape.apex]: "apex", [length - 1]: "second hinge" };
      return special[index] ?? "wall";
    });
    if (this.selected >= names.length) this.selected = -1;
    this.handles?.show(this.shape, PARTS[this.part], names, this.selected);
  }

  showPanel() {
    const { panel, edits, shape } = this;
    const { history, clip } = edits;
    const chosen = this.selected >= 0;
    const possible = {
      begin: !shape, finish: this.drawing, undo: history.done.length, redo: history.undone.length,
      "add-point": shape?.points.length > 1, "remove-point": chosen,
      accept: shape && shape.made !== "drawn",
      reset: edits.record(this.frame).shapes[this.part]
        || (shape?.made === "interpolated" && edits.proposal(this.frame, this.part)),
      copy: shape && this.frame + 1 < this.clip.count,
      "set-ed": true, "set-es": true, download: true,
    };
    for (const [action, can] of Object.entries(possible)) panel.buttons[action].disabled = !can;
    panel.buttons.begin.hidden = Boolean(shape);
    panel.buttons.begin.textContent = this.part === 0 ? "ellipse" : "line";
    panel.buttons.finish.hidden = !this.drawing;
    panel.buttons.download.hidden = Boolean(edits.start.folder);
    panel.buttons["set-ed"].setAttribute("aria-pressed", clip.ed === this.frame);
    panel.buttons["set-es"].setAttribute("aria-pressed", clip.es === this.frame);
    panel.part.value = this.part;
    panel.widthBox.hidden = shape?.width === undefined;
    if (document.activeElement !== panel.width) panel.width.value = shape?.width ?? LEAFLET_WIDTH;
    panel.unreadable.input.checked = edits.record(this.frame).answer !== "";
    panel.answer.value = clip.answer;
    panel.fills.input.checked = edits.fills;
    panel.annotator.hidden = !edits.start.exported || Boolean(edits.start.annotator);
    if (document.activeElement !== panel.annotator) panel.annotator.value = edits.annotator;
  }

  showState() {
    const { panel, edits } = this;
    panel.state.textContent = this.about();
    panel.blind.hidden = !this.clip.blind;
    panel.kept.textContent = this.keptText();
    const wrong = this.drawing ? "" : this.wrongText();
    const failure = session.keeper.failure;
    const texts = [this.said, wrong,
      failure && `Not kept yet: ${failure} What was drawn stays in this page, which tries again.`];
    const text = texts.filter(Boolean).join(" ");
    panel.alert.hidden = !text;
    if (panel.alert.textContent !== text) panel.alert.textContent = text;
  }

  wrongText() {
    const here = this.edits.problemOf(this.frame);
    const [elsewhere] = this.edits.wrong;
    if (!here && elsewhere === undefined) return "";
    return `${here || `Frame ${elsewhere}: ${this.edits.problemOf(elsewhere)}`} Until then it is not kept.`;
  }

  about() {
    const { shape, edits } = this;
    const name = PARTS[this.part];
    if (!shape && edits.record(this.frame).answer) return "frame not readable";
    if (!shape) {
      return `no ${name} here: begin with ${this.part ? "a line" : "an ellipse"}, or click its points in `
        + `order${this.part ? "" : ": hinge, wall, apex, wall, hinge"}`;
    }
    if (this.drawing) return `${name}: ${shape.points.length} points set; enter or “finish” ends it`;
    const made = MADE[shape.made] ?? `the network's${edits.start.network ? ` (${edits.start.network})` : ""}`;
    const area = this.areas[this.frame];
    const point = shape.points[this.selected];
    return `${name}: ${made}`
      + (this.part || area === null ? "" : `, ${short(area)} ${edits.start.unit}`)
      + (point ? ` · point ${this.selected + 1}: x ${point[0].toFixed(2)}, y ${point[1].toFixed(2)}` : "");
  }

  keptText() {
    const { start } = this.edits;
    const waits = session.keeper.waiting.has(this.edits.name);
    if (start.exported) return waits ? "to be downloaded" : "";
    if (waits) return this.restored ? "restored from this web browser, being kept …" : "being kept …";
    if (!this.edits.history.done.length && !this.restored) return "";
    return start.folder ? `kept in ${start.folder}` : "kept in Python's memory, not in a folder";
  }

  // --- actions ----------------------------------------------------------------------------------

  act(action) {
    this.said = action();
    if (this.said) this.show();
  }

  finish() {
    this.drawing = false;
    this.show();
  }

  // A click on the picture that was not on a handle; point: in px of the frame.
  click(point) {
    const now = performance.now();
    if (this.drawing || !this.shape) {
      if (this.edits.record(this.frame).answer) return;
      this.drawing = true;
      this.act(() => this.edits.append(this.frame, this.part, point));
      return;
    }
    const isSecond = this.lastClick && now - this.lastClick < TWICE;
    this.lastClick = isSecond ? null : now;
    if (!isSecond || this.shape.points.length < 2) return;
    const [sample, distance] = nearestSample(this.edits.curve(this.shape, this.part), point);
    if (distance <= ON_CURVE * this.browser.unit()) this.add(sample);
  }

  add(sample) {
    this.act(() => this.edits.addOn(this.frame, this.part, sample));
    if (!this.said) this.choose(Math.floor(sample / SAMPLES) + 1);
  }

  choose(index) {
    this.selected = index;
    this.show();
    this.handles.focus(index);
  }

  // Add a point half-way to the next one; after the last point, half-way to the one before.
  addAfter() {
    const last = this.shape.points.length - 2;
    const index = this.selected < 0 ? Math.floor(last / 2) : Math.min(this.selected, last);
    this.add(index * SAMPLES + SAMPLES / 2);
  }

  remove() {
    const { selected } = this;
    if (selected < 0) return;
    this.act(() => this.edits.remove(this.frame, this.part, selected));
    if (!this.said) this.choose(Math.min(selected, this.shape.points.length - 1));
  }

  repeat(way) {
    const frame = this.edits[way]();
    this.said = frame === undefined ? `There is nothing to ${way}.` : "";
    if (typeof frame === "number" && frame !== this.frame) this.browser.go(frame);
    else this.show();
  }

  copy() {
    this.act(() => this.edits.copyOn(this.frame, this.part));
    if (!this.said) this.browser.go(this.frame + 1);
  }

  setMark(name) {
    const { clip } = this.edits;
    const other = name === "ed" ? "es" : "ed";
    const frame = clip[name] === this.frame ? null : this.frame;
    const without = clip[other] === frame ? null : clip[other]; // no frame is both
    this.act(() => this.edits.answerClip({ [name]: frame, [other]: without }));
  }

  makeActions() {
    const onPart = (action) => () => this.act(() => this.edits[action](this.frame, this.part));
    const actions = {
      begin: onPart("begin"), finish: () => this.finish(), accept: onPart("accept"),
      reset: onPart("reset"), undo: () => this.repeat("undo"), redo: () => this.repeat("redo"),
      "add-point": () => this.addAfter(), "remove-point": () => this.remove(),
      copy: () => this.copy(), "set-ed": () => this.setMark("ed"), "set-es": () => this.setMark("es"),
      download: () => session.keeper.download(this.edits),
    };
    return Object.fromEntries(Object.entries(actions).map(([name, action]) => [name, () => {
      if (this.on) action();
    }]));
  }

  // A key that is the editor's: returns whether it was.
  key(event) {
    if (!this.on || event.altKey) return false;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (key !== "z" && key !== "y") return false;
      this.repeat(key === "y" || event.shiftKey ? "redo" : "undo");
      return true;
    }
    const isOnButton = event.target.closest("button:not(.handle), input, summary");
    const acts = {
      delete: "remove-point", backspace: "remove-point", a: "add-point", c: "copy", r: "reset",
      ...(isOnButton ? {} : { enter: this.drawing ? "finish" : "accept" }),
    };
    const moves = { ",": -1, ".": 1 };
    if (key in moves) {
      this.browser.go(this.frame + moves[key]);
    } else if (key === "escape") {
      if (this.drawing) this.finish();
      this.page.root.focus();
    } else if (!(key in acts)) {
      return false;
    } else if (!this.panel.buttons[acts[key]].disabled) {
      this.actions[acts[key]]();
    }
    return true;
  }
}
