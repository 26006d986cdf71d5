// A page without Python: this answers in the place of the widget's model.

class Stored {
  constructor({ state, contents, on }) {
    this.state = { playing: false, error: "", _content: {}, ...state };
    this.contents = new Map(contents.map((content) => [content.clip, content]));
    this.on_at_first = on;
    this.followers = [];
    this.met = new Set(contents[0].layers.map((layer) => layer.name));
    this.state.clip = contents[0].clip;
    this.state._content = this.read(this.state.clip);
  }

  read(name) {
    const content = this.contents.get(name);
    const parts = content.parts.map((text) =>
      Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    return { ...content, parts };
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

  // What FrameBrowser._open does in Python.
  open(name) {
    const content = this.read(name);
    const fresh = content.layers.map((layer) => layer.name)
      .filter((layer) => !this.met.has(layer));
    fresh.forEach((layer) => this.met.add(layer));
    const shown = [...this.state.shown, ...fresh.filter((layer) => this.on_at_first[layer])];
    Object.assign(this.state, { frame: 0, playing: false, shown, _content: content });
    this.fire("change:_content");
  }

  fire(event) {
    for (const [name, follow] of [...this.followers]) if (name === event) follow();
  }

  on(event, follow) {
    this.followers.push([event, follow]);
  }

  off(event, follow) {
    this.followers = this.followers.filter(([name, other]) => name !== event || other !== follow);
  }

  save_changes() {}

  send() {}
}

// Fill the element of this id with the browser whose data lie beside it.
function start(place) {
  const data = document.getElementById(`${place}-data`);
  const el = document.getElementById(place);
  render({ model: new Stored(JSON.parse(data.textContent)), el });
}
