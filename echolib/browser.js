// The picture and the controls of echolib.browser.FrameBrowser, an anywidget front end.
// The model holds every frame (one byte a pixel) and every mask (one bit a pixel).

const LONGER_SIDE = 448; // CSS px that the longer side of a frame is brought to

const STYLE = `
.echo-browser { color: var(--jp-ui-font-color1, CanvasText); width: fit-content; max-width: 100%;
  font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif); padding: 4px; outline: none; }
.echo-browser canvas { display: block; max-width: 100%; background: black; border-radius: 2px; }
.echo-browser .row { display: flex; flex-wrap: wrap; align-items: center; gap: 6px;
  margin-top: 6px; }
.echo-browser button { min-width: 34px; height: 28px; color: inherit; cursor: pointer;
  font: inherit; background: var(--jp-layout-color2, ButtonFace); border-radius: 3px;
  border: 1px solid var(--jp-border-color1, currentColor); }
.echo-browser input[type="range"] { flex: 1; min-width: 120px; }
.echo-browser label { display: inline-flex; align-items: center; gap: 4px; cursor: pointer; }
.echo-browser .swatch { width: 16px; height: 4px; border-radius: 2px; }
.echo-browser .title { font-weight: 600; margin-bottom: 4px; }
.echo-browser output { font-variant-numeric: tabular-nums; }
.echo-browser :focus-visible, .echo-browser:focus-visible {
  outline: 2px solid var(--jp-brand-color1, Highlight); outline-offset: 1px; }
`;

function bytes(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

// <tag attributes>children</tag>; children are elements and texts.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// The edges between pixels inside and outside a mask of one frame, in frame px.
function outline(bits, start, height, width) {
  const inside = (x, y) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return 0;
    const index = start + y * width + x;
    return (bits[index >>> 3] >>> (index & 7)) & 1;
  };
  const path = new Path2D();
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const here = inside(x, y);
      if (here !== inside(x - 1, y)) { path.moveTo(x, y); path.lineTo(x, y + 1); }
      if (here !== inside(x, y - 1)) { path.moveTo(x, y); path.lineTo(x + 1, y); }
    }
  }
  return path;
}

function render({ model, el }) {
  const [count, height, width] = model.get("shape");
  const pixels = bytes(model.get("pixels"));
  const layers = model.get("layers").map((layer, index) => (
    { ...layer, bits: bytes(model.get("bits")[index]), shown: true }));
  const labels = model.get("labels");
  const fps = model.get("fps");
  const zoom = LONGER_SIDE / Math.max(height, width);
  const last = count - 1;
  let current = model.get("frame");
  let animation = null; // the request of the next animation frame while the clip plays

  // --- Elements

  const density = window.devicePixelRatio || 1;
  const canvas = make("canvas", {
    role: "img",
    width: Math.round(width * zoom * density),
    height: Math.round(height * zoom * density),
    style: `width: ${Math.round(width * zoom)}px`,
  });
  const previous = make("button", { type: "button", "aria-label": "previous frame" }, "◀");
  const play = make("button", { type: "button" });
  const next = make("button", { type: "button", "aria-label": "next frame" }, "▶");
  // JupyterLab's command mode takes the arrow keys unless the element itself says no.
  const slider = make("input", {
    type: "range", min: 0, max: last, step: 1, "aria-label": "frame",
    "data-lm-suppress-shortcuts": "true",
  });
  const counter = make("output");
  const toggles = layers.map((layer) => {
    const box = make("input", { type: "checkbox", "aria-label": `outline: ${layer.name}` });
    box.checked = true;
    box.addEventListener("change", () => { layer.shown = box.checked; draw(); });
    return make("label", {}, box,
      make("span", { class: "swatch", style: `background: ${layer.colour}` }), layer.name);
  });
  const title = model.get("title");
  const root = make("div", {
      class: "echo-browser", tabindex: 0, role: "group", "data-lm-suppress-shortcuts": "true",
      "aria-label": `${title || "clip"}: arrow keys step, space plays, home and end jump`,
    },
    make("style", {}, STYLE),
    ...(title ? [make("div", { class: "title" }, title)] : []),
    canvas,
    make("div", { class: "row" }, previous, play, next, slider),
    make("div", { class: "row" }, counter, ...toggles));
  el.append(root);

  // --- Drawing

  const small = make("canvas", { width, height }); // the frame in its own size
  const image = new ImageData(width, height);
  const wide = image.data.fill(255); // four bytes a pixel: red, green, blue, opaque

  function draw() {
    const start = current * height * width;
    for (let index = 0; index < height * width; index++) {
      wide[4 * index] = wide[4 * index + 1] = wide[4 * index + 2] = pixels[start + index];
    }
    small.getContext("2d").putImageData(image, 0, 0);
    const context = canvas.getContext("2d");
    const [scaleX, scaleY] = [canvas.width / width, canvas.height / height];
    context.setTransform(scaleX, 0, 0, scaleY, 0, 0);
    context.drawImage(small, 0, 0);
    context.lineWidth = 1.8 * density / scaleX;
    context.lineCap = "square";
    for (const layer of layers.filter((each) => each.shown)) {
      context.strokeStyle = layer.colour;
      context.stroke(outline(layer.bits, start, height, width));
    }
    const time = `${(current / fps).toFixed(2)} s`;
    const label = labels[current] ? ` · ${labels[current]}` : "";
    counter.value = `frame ${current} (0 to ${last}) · ${time}${label}`;
    slider.value = current;
    slider.setAttribute("aria-valuetext", counter.value);
    canvas.setAttribute("aria-label", counter.value);
  }

  // --- Moving

  function pause() {
    cancelAnimationFrame(animation);
    animation = null;
    play.textContent = "⏵ play";
    play.setAttribute("aria-label", "play");
  }

  // While playing, the kernel is left alone: it learns of the frame on which the reader stops.
  function tell() {
    if (model.get("frame") === current) return;
    model.set("frame", current);
    model.save_changes();
  }

  function show(index) {
    pause();
    current = Math.min(Math.max(index, 0), last);
    draw();
    tell();
  }

  function start() {
    const first = current;
    let began = null;
    play.textContent = "⏸ pause";
    play.setAttribute("aria-label", "pause");
    const tick = (now) => {
      began ??= now;
      const due = (first + Math.floor((now - began) * fps / 1000)) % count;
      if (due !== current) { current = due; draw(); }
      animation = requestAnimationFrame(tick);
    };
    animation = requestAnimationFrame(tick);
  }

  function toggle() {
    if (animation === null) start();
    else show(current);
  }

  const keys = {
    ArrowLeft: () => show(current - 1), ArrowRight: () => show(current + 1),
    Home: () => show(0), End: () => show(last), " ": toggle,
  };
  root.addEventListener("keydown", (event) => {
    const ownSpace = event.target.matches("button, input[type=checkbox]") && event.key === " ";
    if (!(event.key in keys) || ownSpace || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  previous.addEventListener("click", () => show(current - 1));
  next.addEventListener("click", () => show(current + 1));
  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => show(Number(slider.value)));
  canvas.addEventListener("click", () => root.focus());
  const follow = () => { if (model.get("frame") !== current) show(model.get("frame")); };
  model.on("change:frame", follow);

  pause();
  draw();
  return () => { pause(); model.off("change:frame", follow); };
}

export default { render };
