// While outlines are corrected, the expert's are hidden, and so is what tells of them, until the
// reader switches them on: whoever sees a line draws the same one.

const EXPERT = ["truth", "tracing", "difference"]; // roles of layers

class Blind {
  // shown(): names of the layers that are shown; show(names) sets them.
  constructor(shown, show) {
    Object.assign(this, { shown, show });
    this.hidden = new Map(); // since the editor is on: by name, whether the layer was shown
  }

  // A clip was opened or the editor was switched. wanted: its switch; on: whether it is ready.
  update(clip, wanted, on) {
    const shown = this.shown();
    if (!wanted && this.hidden.size) {
      const again = [...this.hidden].flatMap(([name, was]) => (was ? [name] : []));
      this.hidden.clear();
      this.show([...new Set([...shown, ...again])]);
    }
    if (!wanted || !on) return;
    const names = clip.content.layers.filter(({ role }) => EXPERT.includes(role))
      .map(({ name }) => name).filter((name) => !this.hidden.has(name));
    for (const name of names) this.hidden.set(name, shown.includes(name));
    if (names.some((name) => shown.includes(name))) {
      this.show(shown.filter((name) => !names.includes(name)));
    }
  }

  // Whether what tells of the expert's outlines must not be said either.
  applies(clip, on) {
    const truth = clip.content.layers.find(({ role }) => role === "truth");
    return Boolean(on && truth && !this.shown().includes(truth.name));
  }
}
