// The browser itself: its state, and how buttons, keys, mouse and Python change it.

const SPEEDS = [0.25, 0.5, 1, 2];
const SEND_EVERY = 250; // ms between two messages with the frame to Python while a clip plays
const LOWEST_PICTURE = 160; // CSS px, of a picture in a window that leaves less
const MARGIN = 12; // CSS px that are left of the window's height
const MODELS = ["model", "leaflets"]; // roles of layers that are a model's result

function render({ model, el }) {
  const page = buildPage(el);
  const { root } = page;
  let clip = null; // a Clip of clip.js, once its first parts have been received
  let newest = null; // the clip that is being received or is open
  let pictures = []; // one per panel
  let curves = null;
  let frame = 0; // index of the displayed frame
  let greys = [];
  let lens = null;
  let clock = null; // while playing: the animation request and when the frame was due
  let sentAt = 0; // ms, when the frame was last sent to Python
  let difference = null; // the text, the swatch and the box of the layer "difference"
  let fitted = []; // the width and the window's height that the pictures were last fitted to
  let saving = null; // while a clip is being saved: what tells this run from others
  let settings = model.get("_python_frame")[0]; // how often Python had set the frame, when last read

  const get = (name) => model.get(name);
  const editor = new Editor(page, model, {
    frame: () => frame,
    go: (number) => show(number),
    draw: () => {
      if (curves.update(page.pictures.clientWidth)) fit();
      draw();
    },
    redraw,
    viewport: () => lens.viewport,
    unit: () => clip.width / get("zoom") / pictures[0].canvas.getBoundingClientRect().width,
  });
  const blind = new Blind(() => get("shown"), (names) => set("shown", names));
  function set(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  const list = new ClipList(page, get("_names"), get("_keywords"), () => get("clip"), (name) => {
    stop();
    setState("waiting");
    set("clip", name);
  });

  // --- receiving a clip -------------------------------------------------------------------------

  async function open() {
    const content = get("_content");
    stop();
    setState(get("error") ? "error" : "waiting");
    page.message.hidden = !get("error");
    page.message.textContent = get("error");
    page.body.hidden = Boolean(get("error"));
    page.title.textContent = get("error") ? "" : content.clip || "";
    page.note.textContent = get("error") ? "" : list.keywords[list.names.indexOf(content.clip)] || "";
    list.showPosition();
    newest = null;
    if (get("error") || !content.shape) return;
    const received = new Clip(content);
    newest = received;
    const parts = content.parts.flatMap((bytes, number) => (bytes ? [[number, bytes]] : []));
    await Promise.all(parts.map(([number, bytes]) => received.receive(number, bytesOf(bytes))));
    if (newest !== received) return; // another clip was opened in the meantime
    clip = received;
    takeFrame();
    lens = new Lens(clip, () => get("zoom"), (zoom) => set("zoom", zoom), draw);
    page.slider.max = clip.count - 1;
    for (const control of [page.slider, page.play, page.previous, page.next, page.speed]) {
      control.disabled = clip.count < 2;
    }
    curves = new Curves(page.curves, clip);
    page.jumps.labelled.hidden = !content.labelled_frames.length;
    buildLayers();
    pictures = [];
    editor.open(clip);
    buildPictures();
    blind.update(clip, get("edit"), editor.on);
    root.dataset.clip = content.clip;
    sendFrame();
    if (get("playing")) play();
    requestPart();
  }

  // Parts that did not fit into the first message are requested one by one, first the part with
  // the displayed frame.
  function requestPart() {
    const missing = clip.parts.findIndex((part) => part === undefined);
    if (missing < 0) return;
    const number = clip.has(frame) ? missing : clip.partOf(frame);
    model.send({ kind: "part", serial: clip.content.serial, number });
  }

  async function receive(message, buffers) {
    session.keeper.receive(message);
    if (message.kind !== "part" || !clip || message.serial !== clip.content.serial) return;
    const receiver = clip;
    if (receiver.arrived.has(message.number)) return; // another view of this widget requested it
    const waiting = !clip.has(frame);
    await receiver.receive(message.number, bytesOf(buffers[0]));
    if (clip !== receiver) return;
    if (waiting) draw();
    requestPart();
  }

  function buildLayers() {
    page.layers.replaceChildren();
    difference = null;
    clip.content.layers.forEach((layer, number) => {
      const { box, input, text } = checkbox(page.layers, "layer", layer.name);
      input.dataset.layer = layer.name;
      input.checked = get("shown").includes(layer.name);
      input.addEventListener("change", () => toggle(layer.name));
      if (number < 9) box.title = `key ${number + 1}`;
      const kind = ["points", "segments"].find((name) => layer[name]) ?? "area";
      const swatch = element("span", box, { className: `swatch ${kind}` });
      swatch.style.background = `rgb(${layer.rgb.join(", ")})`;
      text.before(swatch);
      if (layer.role === "difference") difference = { text, swatch, box };
    });
    page.sideBySide.box.hidden = models().length < 2;
  }

  const models = () => clip.content.layers.flatMap((layer, number) =>
    (MODELS.includes(layer.role) && layer.masks ? [number] : []));
  const panels = () => (get("side_by_side") && models().length > 1
    ? models().map((number) => [number]) : [models()]);

  function buildPictures() {
    page.pictures.replaceChildren();
    pictures = panels().map((panelModels, number) => {
      const panel = element("figure", page.pictures);
      const canvas = element("canvas", panel, { className: "picture" },
        { role: "img", "data-panel": number });
      if (panels().length > 1) {
        const { name } = clip.content.layers[panelModels[0]];
        element("figcaption", panel, { textContent: name });
      }
      const picture = new Picture(canvas, clip);
      lens.listen(picture, (point) => {
        root.focus();
        if (editor.on) editor.click(point);
        else actions.play();
      });
      return picture;
    });
    editor.attach(pictures[0]);
    redraw();
    fit();
  }

  // Lay out and draw everything anew.
  function redraw() {
    if (!pictures.length) return;
    const marks = new Set(clip.marks.map(([, mark]) => mark));
    page.jumps.ED.hidden = !marks.has("ED");
    page.jumps.ES.hidden = !marks.has("ES");
    clip.blind = blind.applies(clip, editor.on);
    page.note.hidden = clip.blind; // it may tell the true EF
    const changesHeight = curves.update(page.pictures.clientWidth);
    updatePicture();
    if (changesHeight) fit();
  }

  // The editor is switched on or off, or has received what it needs to know of the clip.
  function switchEditor() {
    page.edit.input.checked = get("edit");
    if (!isOpen() || !pictures.length) return;
    editor.open(clip);
    editor.attach(pictures[0]);
    blind.update(clip, get("edit"), editor.on);
    redraw();
    fit();
  }

  // Limit the height of the pictures, so that they are seen together with the controls below them
  // in what the window, or a part of it that scrolls, shows at once.
  function fit() {
    fitted = [root.clientWidth, window.innerHeight];
    if (!pictures.length || !root.clientWidth) return;
    page.pictures.style.removeProperty("--tallest"); // else an ancestor may be as low as the page
    const picture = pictures[0].canvas.getBoundingClientRect().height;
    const all = page.lowest.getBoundingClientRect().bottom - root.getBoundingClientRect().top;
    const tallest = Math.max(LOWEST_PICTURE, Math.floor(heightAround(root) - (all - picture) - MARGIN));
    page.pictures.style.setProperty("--tallest", `${tallest}px`);
  }

  // --- drawing ----------------------------------------------------------------------------------

  function setState(name) {
    root.dataset.state = name;
    root.setAttribute("aria-busy", name === "waiting");
  }

  // The model that is compared with the truth in a picture of these models; one of another
  // structure has no Dice, and none.
  const comparedOf = (panelModels) => {
    const scored = panelModels.filter((layer) => clip.content.layers[layer].dice);
    return scored.find((layer) =>
      get("shown").includes(clip.content.layers[layer].name)) ?? scored[0];
  };

  // Name what the difference compares, and show the colours that it draws.
  function labelDifference() {
    const { layers } = clip.content;
    const compared = panels().map(comparedOf)
      .flatMap((number) => (number === undefined ? [] : [layers[number]]));
    const truth = layers.find((layer) => layer.role === "truth");
    const names = compared.map((layer) => layer.name).join(", ");
    difference.text.textContent = `difference (${names})`;
    difference.box.title = `in the colour of ${names}: only there; in that of ${truth.name}: only there`;
    const colours = [...compared, truth].map((layer) => `rgb(${layer.rgb.join(", ")})`);
    const stops = colours.map((colour, number) =>
      `${colour} ${(100 * number) / colours.length}% ${(100 * (number + 1)) / colours.length}%`);
    difference.swatch.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
  }

  // Apply all traits that change the picture: greys, zoom, layers.
  function updatePicture() {
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
    if (difference) labelDifference();
    if (clip.blind !== blind.applies(clip, editor.on)) redraw();
    else draw();
  }

  // What each panel shows: the arguments of `Picture.draw` behind the frame.
  function looks() {
    const shown = clip.content.layers.flatMap((layer, number) =>
      (get("shown").includes(layer.name) ? [number] : []));
    return panels().map((panelModels) => {
      const layers = shown.filter(
        (layer) => panelModels.includes(layer) || !models().includes(layer));
      return [lens.viewport, greys, get("smooth"), layers, comparedOf(panelModels),
        (number) => editor.overlay(number)];
    });
  }

  function draw() {
    if (!clip || get("error")) return;
    if (!clip.has(frame)) {
      setState("waiting");
      return;
    }
    const settings = looks();
    pictures.forEach((picture, number) => picture.draw(frame, ...settings[number]));
    curves.draw(frame);
    const text = readout(clip, frame);
    page.readout.textContent = text;
    page.slider.value = frame;
    page.slider.setAttribute("aria-valuetext", text);
    const label = `${clip.content.clip}, ${text}`;
    root.setAttribute("aria-label", clip.content.clip);
    for (const { canvas } of pictures) canvas.setAttribute("aria-label", label);
    editor.show();
    root.dataset.frame = frame;
    setState("ready");
  }

  // --- moving -----------------------------------------------------------------------------------

  const clamp = (number) => Math.min(Math.max(number, 0), clip.count - 1);

  const isOpen = () => clip && clip.content.serial === get("_content").serial;

  // The frame that Python has set since this was last called, or else the one that a page shows.
  function takeFrame() {
    const [count, number] = get("_python_frame");
    frame = clamp(count === settings ? get("frame") : number);
    settings = count;
  }

  // The frame is sent with the number of settings received from Python. If Python has meanwhile
  // opened another clip or set another frame, the number is out of date and Python ignores the frame.
  function setFrameTraits() {
    if (!isOpen()) return;
    model.set("frame", frame);
    model.set("_page_frame", [settings, frame]);
  }

  function sendFrame() {
    sentAt = performance.now();
    setFrameTraits();
    model.save_changes();
  }

  function acceptFrame() {
    if (!isOpen()) return;
    takeFrame(); // a clip that plays continues from here
    draw();
    sendFrame();
  }

  function show(number) {
    stop();
    frame = clamp(number);
    draw();
    sendFrame();
  }

  function step(by) {
    const target = frame + by; // a single step wraps around at the ends, a step of ten does not
    show(Math.abs(by) > 1 ? target : (target + clip.count) % clip.count);
  }

  function jump(frames) {
    if (frames.length) show(frames.find((number) => number > frame) ?? frames[0]);
  }
  const framesWithMark = (name) =>
    clip.marks.filter(([, mark]) => mark === name).map(([number]) => number);

  function setPlaying(on) {
    page.play.textContent = on ? "❚❚" : "▶";
    page.play.title = on ? "Pause" : "Play";
    page.play.setAttribute("aria-label", page.play.title);
    set("playing", on);
  }

  function play() {
    if (clock || !clip || clip.count < 2) return;
    clock = { due: performance.now(), request: requestAnimationFrame(tick) };
    setPlaying(true);
  }

  function stop() {
    if (!clock) return;
    cancelAnimationFrame(clock.request);
    clock = null;
    setFrameTraits(); // sent by setPlaying, in the same message
    setPlaying(false);
  }

  function tick(now) {
    // Playback follows the clock, so that a slow page skips frames and keeps real time.
    const rate = clip.content.rate * get("speed");
    const due = Math.floor(((now - clock.due) / 1000) * rate);
    if (due > 0 && clip.has((frame + due) % clip.count)) {
      clock.due += (due * 1000) / rate;
      frame = (frame + due) % clip.count;
      draw();
      if (now - sentAt > SEND_EVERY) sendFrame();
    } else if (due > 0) { // the part with the next frame has not been received yet
      clock.due = now;
    }
    clock.request = requestAnimationFrame(tick);
  }

  // --- picture ----------------------------------------------------------------------------------

  function toggle(name) {
    const shown = get("shown");
    set("shown", shown.includes(name) ? shown.filter((other) => other !== name) : [...shown, name]);
  }

  // --- saving -----------------------------------------------------------------------------------

  function tellSaved(text) {
    page.saved.textContent = text;
    page.saved.closest("details").open = true; // a key may have saved it
  }

  async function saveFrame() {
    if (!clip.has(frame)) return;
    const { numbers } = clip.content;
    const name = fileName(`${clip.content.clip} frame ${numbers ? numbers[frame] : frame}.png`);
    saveFile(await pngOf(pictures), name);
    tellSaved(`saved: ${name}`);
  }

  // Frames are drawn in pictures of their own, as they look when it begins. A second call ends it,
  // and so does another clip.
  async function saveClip() {
    if (saving) {
      saving = null;
      return;
    }
    const run = saving = {};
    const [saved, settings] = [clip, looks()];
    const drawn = hiddenPictures(saved, settings.length);
    const pngs = [];
    const goesOn = () => saving === run && clip === saved && !get("error");
    while (goesOn() && pngs.length < saved.count) {
      tellSaved(`saving frame ${pngs.length + 1} of ${saved.count}; once more to stop`);
      if (saved.has(pngs.length)) {
        drawn.forEach((picture, number) => picture.draw(pngs.length, ...settings[number]));
        pngs.push(new Uint8Array(await (await pngOf(drawn)).arrayBuffer()));
      } else { // its part has not been received yet
        await new Promise((done) => { setTimeout(done, 50); });
      }
    }
    const name = fileName(`${saved.content.clip}.apng`);
    if (goesOn()) saveFile(animated(pngs, saved.content.rate), name);
    tellSaved(goesOn() ? `saved: ${name}` : "stopped, nothing saved");
    if (saving === run) saving = null;
  }

  // --- buttons and keys -------------------------------------------------------------------------

  const actions = {
    previous: () => step(-1),
    next: () => step(1),
    play: () => (clock ? stop() : play()),
    ed: () => jump(framesWithMark("ED")),
    es: () => jump(framesWithMark("ES")),
    labelled: () => jump(clip.content.labelled_frames),
    "previous-clip": () => list.step(-1),
    "next-clip": () => list.step(1),
    "clear-search": () => list.clear(),
    "zoom-in": () => lens.zoomTo(get("zoom") * 1.5),
    "zoom-out": () => lens.zoomTo(get("zoom") / 1.5),
    "zoom-reset": () => lens.zoomTo(1),
    "save-frame": saveFrame,
    "save-clip": saveClip,
    ...editor.actions,
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
    f: saveFrame,
    v: saveClip,
    e: () => page.edit.box.hidden || page.edit.input.click(),
  };
  for (let digit = 1; digit <= 9; digit++) {
    keys[digit] = () => {
      const layer = clip.content.layers[digit - 1];
      if (layer) toggle(layer.name);
    };
  }
  const always = ["previous-clip", "next-clip", "clear-search"]; // possible even if a clip could not be opened
  const isPossible = (action) => always.includes(action) || (clip && !get("error"));

  root.addEventListener("click", (event) => {
    const action = event.target.closest("button")?.dataset.action;
    if (action && isPossible(action)) actions[action]();
  });
  root.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    const { target } = event;
    // Here keys choose an entry of the list, or are typed.
    if (target.closest("select, input[type=text], input[type=number]")) return;
    if (clip && !get("error") && editor.key(event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    if (target.type === "range" && target !== page.slider && !/^[a-z0-9]$/.test(event.key)) return;
    // On a button, a checkbox or a summary, the space key already presses it.
    if (event.key === " " && target.closest("button, input[type=checkbox], summary")) return;
    event.preventDefault();
    event.stopPropagation();
    const action = event.key === "n" ? "next-clip" : event.key === "p" ? "previous-clip" : "";
    if (isPossible(action)) act(event);
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

  // --- changes from Python ----------------------------------------------------------------------

  const listeners = {
    "change:_content": open,
    "change:error": open,
    "msg:custom": receive,
    "change:_python_frame": acceptFrame,
    "change:frame": () => { // another widget of the page may have set it, by jslink
      if (get("frame") !== frame) acceptFrame();
    },
    "change:playing": () => (get("playing") ? play() : stop()),
    "change:edit": switchEditor,
    "change:_edit": switchEditor,
    "change:side_by_side": () => clip && !get("error") && buildPictures(),
  };
  for (const name of ["shown", "zoom", "window", "gamma", "smooth", "speed"]) {
    listeners[`change:${name}`] = updatePicture;
  }
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  const refit = () => {
    const size = [root.clientWidth, window.innerHeight];
    if (size.some((value, axis) => value !== fitted[axis])) fit();
  };
  const observer = new ResizeObserver(() => {
    if (clip && curves?.resize(page.pictures.clientWidth)) curves.draw(frame);
    refit();
  });
  observer.observe(page.pictures);
  window.addEventListener("resize", refit);
  open();

  return () => {
    if (clock) cancelAnimationFrame(clock.request);
    saving = null;
    editor.close();
    observer.disconnect();
    window.removeEventListener("resize", refit);
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
