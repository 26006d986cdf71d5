// For a page without Python: a stand-in for the widget's model.

class Stored {
  constructor({ state, contents, on }) {
    this.state = { playing: false, edit: false, error: "", _content: {}, _python_frame: [0, 0],
      ...state };
    this.contents = new Map(contents.map((content) => [content.clip, content]));
    this.onAtFirst = on;
    this.listeners = [];
    this.openedLayers = new Set(contents[0].layers.map((layer) => layer.name));
    this.state.clip = contents[0].clip;
    this.state._content = this.read(this.state.clip);
    this.state._edit = this.editOf(this.state._content);
  }

  read(name) {
    const content = this.contents.get(name);
    const parts = content.parts.map((text) =>
      Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    return { ...content, parts };
  }

  // What the editor needs to know of a clip, or null for a page that was written without it.
  editOf({ edit, serial }) {
    return edit ? { ...edit, serial } : null;
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    if (this.state[name] === value) return;
    this.state[name] = value;
    if (name === "clip") this.open(value);
    this.fire(`change:${name}`);
  }

  // Does the work of FrameBrowser._open_clip in Python.
  open(name) {
    const content = this.read(name);
    const newLayers = content.layers.map((layer) => layer.name)
      .filter((layer) => !this.openedLayers.has(layer));
    newLayers.forEach((layer) => this.openedLayers.add(layer));
    const shown = [...this.state.shown, ...newLayers.filter((layer) => this.onAtFirst[layer])];
    Object.assign(this.state, {
      frame: content.start ?? content.labelled_frames[0] ?? 0, playing: false, shown, _content: content,
      _edit: this.editOf(content),
    });
    this.fire("change:_content");
  }

  fire(event) {
    for (const [name, listener] of [...this.listeners]) if (name === event) listener();
  }

  on(event, listener) {
    this.listeners.push([event, listener]);
  }

  off(event, listener) {
    this.listeners = this.listeners.filter(
      ([name, other]) => name !== event || other !== listener);
  }

  save_changes() {}

  send() {}
}

// Render a browser in the element with this id, from the data in the element `<id>-data`.
function start(id) {
  const data = document.getElementById(`${id}-data`);
  const el = document.getElementById(id);
  render({ model: new Stored(JSON.parse(data.textContent)), el });
}
