// The page's elements, made once and accessed by name.

function element(tag, parent, properties = {}, attributes = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent?.append(node);
  return node;
}

// Without this attribute on each input itself, JupyterLab's command mode would take the keys.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

function button(parent, action, text, label) {
  return element("button", parent, { type: "button", textContent: text, title: label },
    { "aria-label": label, "data-action": action, ...OWN_KEYS });
}

function range(parent, name, label, [min, max, step]) {
  const box = element("label", parent, { className: "range" });
  element("span", box, { textContent: label });
  const input = element("input", box, { type: "range", className: name, min, max, step },
    { "aria-label": label, ...OWN_KEYS });
  const output = element("output", box);
  return { input, show: (value) => {
    input.value = value;
    output.textContent = value;
  } };
}

function checkbox(parent, name, label) {
  const box = element("label", parent, { className: "check" });
  const input = element("input", box, { type: "checkbox", className: name }, OWN_KEYS);
  return { box, input, text: element("span", box, { textContent: label }) };
}

const KEYS = [
  ["← →", "one frame back, forward (with shift: ten)"], ["space", "play, pause"],
  ["home end", "first, last frame"], ["d s l", "next end-diastole, end-systole, labelled frame"],
  ["p n", "previous, next clip"], ["+ − 0", "zoom in, out, whole picture"],
  ["1 to 9", "overlays on and off"], ["e", "the editor on and off"], ["f v", "save the frame, the clip"], ["click", "on the picture: play, pause"],
  ["drag", "move the enlarged picture"], ["ctrl wheel", "zoom; on a touch screen two fingers"],
  ["on a curve", "click or drag: go to that frame"],
];

function buildPage(el) {
  const root = element("div", el, { className: "echolib-browser", tabIndex: 0 },
    { role: "group", ...OWN_KEYS });
  const clips = element("div", root, { className: "row clips" });
  const page = { root, clips };
  page.previousClip = button(clips, "previous-clip", "‹ clip", "Previous clip");
  const combo = element("div", clips, { className: "combo" });
  page.search = element("input", combo, { type: "text", className: "search", autocomplete: "off",
    spellcheck: false }, { role: "combobox", "aria-label": "Search clips", "aria-expanded": "false",
    "aria-autocomplete": "list", ...OWN_KEYS });
  page.clear = button(combo, "clear-search", "×", "Clear the search");
  page.matches = element("ul", combo, { className: "matches", hidden: true },
    { role: "listbox", "aria-label": "Clips found" });
  page.nextClip = button(clips, "next-clip", "clip ›", "Next clip");
  const heading = element("div", root, { className: "row" });
  page.title = element("span", heading, { className: "title" });
  page.note = element("span", heading, { className: "note" });
  page.place = element("span", heading, { className: "place soft" }, { role: "status" });
  page.message = element("div", root, { className: "message", hidden: true }, { role: "alert" });
  page.body = element("div", root, { className: "body" });
  page.pictures = element("div", page.body, { className: "pictures" });
  page.curves = element("canvas", page.body, { className: "curves" }, { role: "img" });
  const moving = element("div", page.body, { className: "row" });
  page.previous = button(moving, "previous", "‹", "Previous frame");
  page.play = button(moving, "play", "▶", "Play");
  page.next = button(moving, "next", "›", "Next frame");
  page.slider = element("input", moving, { type: "range", className: "frame", min: 0, step: 1 },
    { "aria-label": "Frame", ...OWN_KEYS });
  page.speed = element("select", moving, { className: "speed" },
    { "aria-label": "Speed", ...OWN_KEYS });
  page.readout = element("div", page.body, { className: "readout" });
  const jumps = element("div", page.body, { className: "row overlays" });
  page.lowest = jumps; // of what is to be seen together with the picture
  page.jumps = {
    ED: button(jumps, "ed", "ED", "Next end-diastole"),
    ES: button(jumps, "es", "ES", "Next end-systole"),
    labelled: button(jumps, "labelled", "labelled", "Next labelled frame"),
  };
  page.layers = element("div", jumps, { className: "row" });
  page.sideBySide = checkbox(jumps, "side-by-side", "models side by side");
  page.edit = checkbox(jumps, "edit-switch", "edit");
  page.edit.box.title = "key e: correct the outlines";
  buildSettings(page, element("details", page.body));
  buildSaving(page, element("details", page.body));
  page.keys = element("details", page.body);
  element("summary", page.keys, { textContent: "Keys and mouse" });
  keyList(page.keys, KEYS);
  return page;
}

// A list of keys and their meaning.
function keyList(parent, entries) {
  const list = element("dl", parent);
  for (const [key, meaning] of entries) {
    element("dt", list, { textContent: key });
    element("dd", list, { textContent: meaning });
  }
}

function buildSettings(page, details) {
  element("summary", details, { textContent: "Picture" });
  const zoom = element("div", details, { className: "row" });
  page.zoomOut = button(zoom, "zoom-out", "−", "Zoom out");
  page.zoomIn = button(zoom, "zoom-in", "+", "Zoom in");
  page.zoomReset = button(zoom, "zoom-reset", "1:1", "Whole picture");
  page.zoomText = element("span", zoom, { className: "soft" });
  page.smooth = checkbox(zoom, "smooth", "smooth");
  const greys = element("div", details, { className: "ranges" });
  page.low = range(greys, "window-low", "black at", [0, 254, 1]);
  page.high = range(greys, "window-high", "white at", [1, 255, 1]);
  page.gamma = range(greys, "gamma", "gamma (below 1: brighter)", [0.2, 3, 0.05]);
}

function buildSaving(page, details) {
  element("summary", details, { textContent: "Save" });
  const row = element("div", details, { className: "row" });
  button(row, "save-frame", "frame", "Save the frame with its overlays as PNG");
  page.saveClip = button(row, "save-clip", "clip", "Save the clip with its overlays as animated PNG");
  page.saved = element("span", row, { className: "saved soft" }, { role: "status" });
}

// The height in CSS px that is seen at once: of the window, or of a lower part of it that scrolls.
function heightAround(element) {
  let height = window.innerHeight;
  for (let node = element.parentElement; node && node !== document.body; node = node.parentElement) {
    const scrolls = getComputedStyle(node).overflowY !== "visible";
    if (scrolls && node.clientHeight) height = Math.min(height, node.clientHeight);
  }
  return height;
}
