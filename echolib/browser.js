// Front end of FrameBrowser (browser.py): draws grey frames and mask outlines on a canvas.
// Everything it needs arrives once; nothing is loaded from the network.

const SHOWN_SIZE = 448; // CSS px that the longer side of a small frame is brought to

// A byte array, whichever view the widget manager hands over.
function bytesOf(value) {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function element(tag, parent, properties = {}, attributes = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// Outline of one frame's mask by marching squares, in px with pixel centres at integers.
// `isInside(x, y)` is false outside of the frame, so that outlines close at its border.
function outlineOf(isInside, width, height) {
  const path = new Path2D();
  for (let y = -1; y < height; y++) {
    for (let x = -1; x < width; x++) {
      // The four pixels of a cell, clockwise from top left, and the middles of its four sides.
      const corners = [isInside(x, y), isInside(x + 1, y), isInside(x + 1, y + 1), isInside(x, y + 1)];
      if (corners.every((inside) => inside === corners[0])) continue; // no edge here
      const sides = [[x + 0.5, y], [x + 1, y + 0.5], [x + 0.5, y + 1], [x, y + 0.5]];
      for (let start = 0; start < 4; start++) {
        // A line enters through the side where outside turns to inside, clockwise, and leaves
        // through the next side where inside turns to outside.
        if (corners[start] || !corners[(start + 1) % 4]) continue;
        let end = (start + 1) % 4;
        while (corners[(end + 1) % 4]) end = (end + 1) % 4;
        path.moveTo(...sides[start]);
        path.lineTo(...sides[end]);
      }
    }
  }
  return path;
}

function render({ model, el }) {
  const [count, height, width] = model.get("_shape");
  const pixels = bytesOf(model.get("_pixels"));
  const names = model.get("_mask_names");
  const colours = model.get("_mask_colours");
  const masks = model.get("_mask_bits").map(bytesOf);
  const labels = model.get("labels");
  const title = model.get("title") || "Clip";
  const fps = model.get("fps");
  const visible = names.map(() => true);
  const outlines = names.map(() => new Array(count)); // made when first shown

  let index = model.get("index");
  let playing = false;
  let speed = 1;
  let request = 0; // of the next animation frame
  let last = 0; // ms, time at which the frame shown was due

  // The page's elements

  const root = element("div", el, { className: "echolib-browser", tabIndex: 0 },
    { role: "group", "aria-label": title, "data-lm-suppress-shortcuts": "true" });
  if (model.get("title")) element("div", root, { className: "title", textContent: title });
  const canvas = element("canvas", root, {}, { role: "img" });
  const controls = element("div", root, { className: "row" });
  const button = (text, label, action) => {
    const node = element("button", controls, { type: "button", textContent: text, title: label },
      { "aria-label": label });
    node.addEventListener("click", action);
    return node;
  };
  button("‹", "Previous frame", () => step(-1));
  const playButton = button("▶", "Play", () => (playing ? stop() : play()));
  button("›", "Next frame", () => step(1));
  // JupyterLab's command mode would swallow the arrow keys without the attribute.
  const slider = element("input", controls, { type: "range", min: 0, max: count - 1, step: 1 },
    { "aria-label": "Frame", "data-lm-suppress-shortcuts": "true" });
  slider.addEventListener("input", () => show(Number(slider.value)));
  const speeds = element("select", controls, {}, { "aria-label": "Speed" });
  for (const [value, text] of [[1, "1×"], [0.5, "½×"], [0.25, "¼×"]]) {
    element("option", speeds, { value, textContent: text });
  }
  speeds.addEventListener("change", () => (speed = Number(speeds.value)));
  const status = element("div", root, { className: "status" });
  const toggles = element("div", root, { className: "row" });
  names.forEach((name, number) => {
    const label = element("label", toggles);
    const box = element("input", label, { type: "checkbox", checked: true });
    element("span", label, { className: "swatch" }).style.background = colours[number];
    label.append(name);
    box.addEventListener("change", () => {
      visible[number] = box.checked;
      draw();
    });
  });

  // Drawing: the frame in its own size on a hidden canvas, then enlarged by the browser

  const zoom = Math.max(1, SHOWN_SIZE / Math.max(height, width));
  const density = Math.max(1, window.devicePixelRatio || 1);
  canvas.style.width = `${Math.round(width * zoom)}px`;
  canvas.width = Math.round(width * zoom * density);
  canvas.height = Math.round(height * zoom * density);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  const small = document.createElement("canvas");
  small.width = width;
  small.height = height;
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer); // a pixel as one word: alpha, blue, green, red

  function outline(number, frame) {
    const bits = masks[number];
    const first = frame * height * width;
    const isInside = (x, y) => {
      if (x < 0 || y < 0 || x >= width || y >= height) return false;
      const position = first + y * width + x;
      return ((bits[position >> 3] >> (position & 7)) & 1) === 1;
    };
    outlines[number][frame] ??= outlineOf(isInside, width, height);
    return outlines[number][frame];
  }

  function draw() {
    const first = index * height * width;
    for (let i = 0; i < words.length; i++) words[i] = 0xff000000 | (pixels[first + i] * 0x010101);
    small.getContext("2d").putImageData(image, 0, 0);
    const scaleX = canvas.width / width;
    const scaleY = canvas.height / height;
    context.setTransform(1, 0, 0, 1, 0, 0);
    // Enlarged pixels may be a touch transparent: nothing of the frame before may shine through.
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    // Pixel centres are at integers in the data, at halves on a canvas.
    context.setTransform(scaleX, 0, 0, scaleY, scaleX / 2, scaleY / 2);
    context.lineWidth = (1.5 * density) / scaleX;
    context.lineCap = "round";
    names.forEach((_, number) => {
      if (!visible[number]) return;
      context.strokeStyle = colours[number];
      context.stroke(outline(number, index));
    });
    const text = [`frame ${index} / ${count - 1}`, `${(index / fps).toFixed(2)} s`];
    if (labels[index]) text.push(labels[index]);
    status.textContent = text.join(" · ");
    slider.value = index;
    slider.setAttribute("aria-valuetext", status.textContent);
    canvas.setAttribute("aria-label", `${title}, ${status.textContent}`);
  }

  // Moving

  function tell() { // the kernel, when the picture stands still
    if (model.get("index") === index) return;
    model.set("index", index);
    model.save_changes();
  }
  function show(frame) {
    stop();
    index = Math.min(Math.max(frame, 0), count - 1);
    draw();
    tell();
  }
  function step(by) {
    show((index + by + count) % count);
  }
  function play() {
    if (count < 2) return;
    playing = true;
    last = performance.now();
    playButton.textContent = "❚❚";
    playButton.title = "Pause";
    playButton.setAttribute("aria-label", "Pause");
    request = requestAnimationFrame(tick);
  }
  function stop() {
    if (!playing) return;
    playing = false;
    cancelAnimationFrame(request);
    playButton.textContent = "▶";
    playButton.title = "Play";
    playButton.setAttribute("aria-label", "Play");
    tell();
  }
  function tick(now) {
    // By the clock, not by ticks: a slow page skips frames and keeps the heart's own rate.
    const due = Math.floor(((now - last) / 1000) * fps * speed);
    if (due > 0) {
      last += (due * 1000) / (fps * speed);
      index = (index + due) % count;
      draw();
    }
    request = requestAnimationFrame(tick);
  }

  const keys = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    Home: () => show(0),
    End: () => show(count - 1),
    " ": () => (playing ? stop() : play()),
  };
  root.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target === speeds) return; // its own keys choose an entry
    // Space on a button or a box already means: press it.
    if (event.key === " " && event.target.closest("button, input[type=checkbox]")) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  canvas.addEventListener("click", () => {
    root.focus();
    keys[" "]();
  });
  const follow = () => {
    if (model.get("index") !== index) show(model.get("index"));
  };
  model.on("change:index", follow);
  draw();

  return () => {
    cancelAnimationFrame(request);
    model.off("change:index", follow);
  };
}

export default { render };
