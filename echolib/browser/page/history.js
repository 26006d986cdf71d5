// The steps of a clip's correction, without limit. A step holds what it replaced and what it put
// there; both share whatever did not change, so that a step takes a few hundred bytes.

class History {
  constructor() {
    this.done = [];
    this.undone = [];
  }

  // step: {frame, before, after}; frame: undefined for what concerns the whole clip.
  add(step) {
    this.done.push(step);
    this.undone = [];
  }

  // The step that is undone now, or undefined if there is none.
  undo() {
    const step = this.done.pop();
    if (step) this.undone.push(step);
    return step;
  }

  redo() {
    const step = this.undone.pop();
    if (step) this.done.push(step);
    return step;
  }
}
