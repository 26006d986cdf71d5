// The browser itself: what is shown, and how buttons, keys, mouse and Python change it.

const SPEEDS = [0.25, 0.5, 1, 2];
const TOLD_EVERY = 250; // ms between two words to Python about the frame while a clip plays
const MODELS = ["model", "leaflets"]; // roles of layers that are somebody's answer

function render({ model, el }) {
  const page = buildPage(el);
  const { root } = page;
  let clip = null; // of clip.js, once its first parts are there
  let newest = null; // the clip that is on its way, or open
  let pictures = []; // one a panel
  let curves = null;
  let frame = 0; // that is to be seen
  let greys = [];
  let lens = null;
  let clock = null; // while playing: the animation request and when the frame was due
  let told = 0; // ms, when Python last heard of the frame
  let heard = 0; // the number of Python's last word about the frame that was heard here

  const get = (name) => model.get(name);
  function set(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  const list = new ClipList(page, get("_names"), get("_notes"), () => get("clip"), (name) => {
    stop();
    state("waiting");
    set("clip", name);
  });

  // --- a clip arrives ---------------------------------------------------------------------------

  async function open() {
    const content = get("_content");
    stop();
    state(get("error") ? "error" : "waiting");
    page.message.hidden = !get("error");
    page.message.textContent = get("error");
    page.body.hidden = Boolean(get("error"));
    page.title.textContent = get("error") ? "" : content.clip || "";
    list.showPlace();
    newest = null;
    if (get("error") || !content.shape) return;
    const fresh = new Clip(content);
    newest = fresh;
    const here = content.parts.flatMap((bytes, number) => (bytes ? [[number, bytes]] : []));
    await Promise.all(here.map(([number, bytes]) => fresh.receive(number, bytesOf(bytes))));
    if (newest !== fresh) return; // another clip was opened in the meantime
    clip = fresh;
    frame = within(get("frame"));
    lens = new Lens(clip, () => get("zoom"), (zoom) => set("zoom", zoom), draw);
    page.slider.max = clip.count - 1;
    for (const control of [page.slider, page.play, page.previous, page.next, page.speed]) {
      control.disabled = clip.count < 2;
    }
    curves = new Curves(page.curves, clip);
    const marked = new Set(content.marks.map(([, mark]) => mark));
    page.jumps.ED.hidden = !marked.has("ED");
    page.jumps.ES.hidden = !marked.has("ES");
    page.jumps.labelled.hidden = !content.labelled.length;
    buildLayers();
    buildPictures();
    root.dataset.clip = content.clip;
    hear();
    if (get("playing")) play();
    fetchParts();
  }

  // Parts that did not fit into the first message come one by one, the one looked at first.
  function fetchParts() {
    const missing = clip.parts.findIndex((part) => part === undefined);
    if (missing < 0) return;
    const number = clip.has(frame) ? missing : clip.partOf(frame);
    model.send({ kind: "part", serial: clip.content.serial, number });
  }

  async function receive(message, buffers) {
    if (message.kind !== "part" || !clip || message.serial !== clip.content.serial) return;
    const receiver = clip;
    if (receiver.arrived.has(message.number)) return; // asked for by this clip's other view, too
    const waited = !clip.has(frame);
    await receiver.receive(message.number, bytesOf(buffers[0]));
    if (clip !== receiver) return;
    if (waited) draw();
    fetchParts();
  }

  function buildLayers() {
    page.layers.replaceChildren();
    clip.content.layers.forEach((layer, number) => {
      const { box, input, text } = checkbox(page.layers, "layer", layer.name);
      input.dataset.layer = layer.name;
      input.checked = get("shown").includes(layer.name);
      input.addEventListener("change", () => toggle(layer.name));
      if (number < 9) box.title = `key ${number + 1}`;
      const drawn = ["points", "segments"].find((kind) => layer[kind]) ?? "area";
      const swatch = element("span", box, { className: `swatch ${drawn}` });
      swatch.style.background = `rgb(${layer.rgb.join(", ")})`;
      text.before(swatch);
    });
    page.sideBySide.box.hidden = models().length < 2;
  }

  const models = () => clip.content.layers.flatMap((layer, number) =>
    (MODELS.includes(layer.role) && layer.masks ? [number] : []));
  const panels = () => (get("side_by_side") && models().length > 1
    ? models().map((number) => [number]) : [models()]);

  function buildPictures() {
    page.pictures.replaceChildren();
    pictures = panels().map((own, number) => {
      const panel = element("figure", page.pictures);
      const canvas = element("canvas", panel, { className: "picture" },
        { role: "img", "data-panel": number });
      if (panels().length > 1) {
        element("figcaption", panel, { textContent: clip.content.layers[own[0]].name });
      }
      const picture = new Picture(canvas, clip);
      lens.listen(picture, () => {
        root.focus();
        actions.play();
      });
      return picture;
    });
    curves.resize(page.pictures.clientWidth);
    lookAgain();
  }

  // --- drawing ----------------------------------------------------------------------------------

  function state(name) {
    root.dataset.state = name;
    root.setAttribute("aria-busy", name === "waiting");
  }

  // Everything that traits of the picture change: greys, zoom, layers.
  function lookAgain() {
    if (!clip) return;
    const [low, high] = get("window");
    greys = greysOf([low, high], get("gamma"));
    page.low.show(low);
    page.high.show(high);
    page.gamma.show(Math.round(get("gamma") * 100) / 100);
    page.smooth.input.checked = get("smooth");
    page.sideBySide.input.checked = get("side_by_side");
    page.zoomText.textContent = `${Math.round(get("zoom") * 100) / 100} ×`;
    page.speed.replaceChildren();
    const speeds = [...new Set([...SPEEDS, get("speed")])].sort((one, other) => one - other);
    for (const value of speeds) {
      const selected = value === get("speed");
      element("option", page.speed, { value, textContent: `${value} ×`, selected });
    }
    for (const input of page.layers.querySelectorAll("input")) {
      input.checked = get("shown").includes(input.dataset.layer);
    }
    page.pictures.classList.toggle("zoomed", get("zoom") > 1);
    draw();
  }

  function draw() {
    if (!clip || get("error")) return;
    if (!clip.has(frame)) {
      state("waiting");
      return;
    }
    const shown = clip.content.layers.flatMap((layer, number) =>
      (get("shown").includes(layer.name) ? [number] : []));
    panels().forEach((own, number) => {
      const seen = shown.filter((layer) => own.includes(layer) || !models().includes(layer));
      const compared = own.find((layer) => shown.includes(layer)) ?? own[0];
      pictures[number].draw(frame, lens.place, greys, get("smooth"), seen, compared);
    });
    curves.draw(frame);
    const text = readout();
    page.readout.textContent = text;
    page.slider.value = frame;
    page.slider.setAttribute("aria-valuetext", text);
    const label = `${clip.content.clip}, ${text}`;
    root.setAttribute("aria-label", clip.content.clip);
    for (const { canvas } of pictures) canvas.setAttribute("aria-label", label);
    root.dataset.frame = frame;
    state("ready");
  }

  function readout() {
    const { numbers, fps, marks, labels, layers } = clip.content;
    const number = numbers ? numbers[frame] : frame;
    const text = numbers
      ? [`frame ${number} (${frame + 1} of ${clip.count} shown)`]
      : [`frame ${number} / ${clip.count - 1}`];
    if (fps) text.push(`${(number / fps).toFixed(2)} s`);
    text.push(...marks.filter(([marked]) => marked === frame).map(([, mark]) => mark));
    if (labels && labels[frame]) text.push(labels[frame]);
    for (const layer of layers) {
      if (!layer.areas || layer.areas[frame] === null) continue;
      const dice = layer.dice && layer.dice[frame] !== null
        ? ` Dice ${layer.dice[frame].toFixed(2)}` : "";
      text.push(`${layer.name} ${short(layer.areas[frame])} ${layer.unit}${dice}`);
    }
    return text.join(" · ");
  }

  // --- moving -----------------------------------------------------------------------------------

  const within = (number) => Math.min(Math.max(number, 0), clip.count - 1);

  const isOpen = () => clip && clip.content.serial === get("_content").serial;

  // What is told was seen after Python's word number `heard`: Python passes over what was on its
  // way here while it opened another clip, or chose another frame.
  function say() {
    if (!isOpen()) return;
    model.set("frame", frame);
    model.set("_told", [heard, frame]);
  }

  function tell() {
    told = performance.now();
    say();
    model.save_changes();
  }

  function hear() {
    if (!isOpen()) return;
    heard = get("_word");
    tell();
  }

  function show(number) {
    stop();
    frame = within(number);
    draw();
    tell();
  }

  function step(by) {
    const moved = frame + by; // one past the end begins anew, ten past it stops there
    show(Math.abs(by) > 1 ? moved : (moved + clip.count) % clip.count);
  }

  function jump(frames) {
    if (frames.length) show(frames.find((number) => number > frame) ?? frames[0]);
  }
  const marked = (word) =>
    clip.content.marks.filter(([, mark]) => mark === word).map(([number]) => number);

  function playing(on) {
    page.play.textContent = on ? "❚❚" : "▶";
    page.play.title = on ? "Pause" : "Play";
    page.play.setAttribute("aria-label", page.play.title);
    set("playing", on);
  }

  function play() {
    if (clock || !clip || clip.count < 2) return;
    clock = { due: performance.now(), request: requestAnimationFrame(tick) };
    playing(true);
  }

  function stop() {
    if (!clock) return;
    cancelAnimationFrame(clock.request);
    clock = null;
    say(); // in one message with what comes next
    playing(false);
  }

  function tick(now) {
    // By the clock, not by ticks: a slow page skips frames and keeps the heart's own rate.
    const rate = clip.content.rate * get("speed");
    const due = Math.floor(((now - clock.due) / 1000) * rate);
    if (due > 0 && clip.has((frame + due) % clip.count)) {
      clock.due += (due * 1000) / rate;
      frame = (frame + due) % clip.count;
      draw();
      if (now - told > TOLD_EVERY) tell();
    } else if (due > 0) { // that part is still on its way
      clock.due = now;
    }
    clock.request = requestAnimationFrame(tick);
  }

  // --- picture ----------------------------------------------------------------------------------

  function toggle(name) {
    const shown = get("shown");
    set("shown", shown.includes(name) ? shown.filter((other) => other !== name) : [...shown, name]);
  }

  // --- buttons and keys -------------------------------------------------------------------------

  const actions = {
    previous: () => step(-1),
    next: () => step(1),
    play: () => (clock ? stop() : play()),
    ed: () => jump(marked("ED")),
    es: () => jump(marked("ES")),
    labelled: () => jump(clip.content.labelled),
    "previous-clip": () => list.step(-1),
    "next-clip": () => list.step(1),
    "zoom-in": () => lens.zoomTo(get("zoom") * 1.5),
    "zoom-out": () => lens.zoomTo(get("zoom") / 1.5),
    "zoom-reset": () => lens.zoomTo(1),
  };
  const keys = {
    ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
    Home: () => show(0),
    End: () => show(clip.count - 1),
    " ": actions.play,
    d: actions.ed,
    s: actions.es,
    l: actions.labelled,
    p: actions["previous-clip"],
    n: actions["next-clip"],
    "+": actions["zoom-in"],
    "=": actions["zoom-in"], // + without shift on many keyboards
    "-": actions["zoom-out"],
    0: actions["zoom-reset"],
  };
  for (let digit = 1; digit <= 9; digit++) {
    keys[digit] = () => {
      const layer = clip.content.layers[digit - 1];
      if (layer) toggle(layer.name);
    };
  }
  const always = ["previous-clip", "next-clip"]; // also where a clip could not be opened
  const able = (action) => always.includes(action) || (clip && !get("error"));

  root.addEventListener("click", (event) => {
    const action = event.target.closest("button")?.dataset.action;
    if (action && able(action)) actions[action]();
  });
  root.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    const { target } = event;
    if (target === page.speed) return; // its own keys choose an entry
    if (target.type === "range" && target !== page.slider && !/^[a-z0-9]$/.test(event.key)) return;
    // Space on a button, a box or a summary already means: press it.
    if (event.key === " " && target.closest("button, input[type=checkbox], summary")) return;
    event.preventDefault();
    event.stopPropagation();
    if (able(event.key === "n" ? "next-clip" : event.key === "p" ? "previous-clip" : "")) act(event);
  });
  page.slider.addEventListener("input", () => show(Number(page.slider.value)));
  page.speed.addEventListener("change", () => set("speed", Number(page.speed.value)));
  page.smooth.input.addEventListener("change", () => set("smooth", page.smooth.input.checked));
  page.sideBySide.input.addEventListener("change", () =>
    set("side_by_side", page.sideBySide.input.checked));
  page.low.input.addEventListener("input", () => {
    const low = Number(page.low.input.value);
    set("window", [low, Math.max(low + 1, get("window")[1])]);
  });
  page.high.input.addEventListener("input", () => {
    const high = Number(page.high.input.value);
    set("window", [Math.min(high - 1, get("window")[0]), high]);
  });
  page.gamma.input.addEventListener("input", () => set("gamma", Number(page.gamma.input.value)));
  page.curves.addEventListener("pointerdown", (event) => {
    page.curves.setPointerCapture(event.pointerId);
    show(curves.frameAt(event.offsetX));
  });
  page.curves.addEventListener("pointermove", (event) => {
    if (event.buttons) show(curves.frameAt(event.offsetX));
  });

  // --- Python changes something -----------------------------------------------------------------

  const followers = {
    "change:_content": open,
    "change:error": open,
    "msg:custom": receive,
    "change:frame": () => {
      if (!isOpen() || get("frame") === frame) return;
      frame = within(get("frame")); // a clip that plays goes on from there
      draw();
      tell(); // it may be another widget of the page that leads, by jslink
    },
    "change:_word": hear,
    "change:playing": () => (get("playing") ? play() : stop()),
    "change:side_by_side": () => clip && !get("error") && buildPictures(),
  };
  for (const name of ["shown", "zoom", "window", "gamma", "smooth", "speed"]) {
    followers[`change:${name}`] = lookAgain;
  }
  for (const [event, follow] of Object.entries(followers)) model.on(event, follow);
  const watcher = new ResizeObserver(() => {
    if (clip && curves?.resize(page.pictures.clientWidth)) curves.draw(frame);
  });
  watcher.observe(page.pictures);
  open();

  return () => {
    if (clock) cancelAnimationFrame(clock.request);
    watcher.disconnect();
    for (const [event, follow] of Object.entries(followers)) model.off(event, follow);
  };
}

export default { render };
