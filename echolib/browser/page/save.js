// Saving what is shown: the frame as PNG, all frames as one animated PNG. An animated PNG has every
// frame, without loss and with its time; a recording of the page would drop frames on a busy machine.

const GAP = 8; // CSS px between two pictures that were side by side
const PNG_HEAD = 8; // bytes of a PNG before its first chunk
const KEPT = 60_000; // ms for which the browser can read a file that it saves

// Pictures that are not in the page, drawn as those that are.
const hiddenPictures = (clip, count) => Array.from({ length: count }, () =>
  new Picture(element("canvas", document.createElement("figure")), clip));

// The pictures of all panels side by side, as a blob of a PNG without transparency.
function pngOf(pictures) {
  const gap = GAP * pictures[0].density;
  const sheet = document.createElement("canvas");
  const { width, height } = pictures[0].canvas;
  sheet.width = (width + gap) * pictures.length - gap;
  sheet.height = height;
  const context = sheet.getContext("2d", { alpha: false }); // black where nothing is drawn
  pictures.forEach(({ canvas }, number) => context.drawImage(canvas, number * (width + gap), 0));
  return new Promise((done) => { sheet.toBlob(done, "image/png"); });
}

function saveFile(blob, name) {
  const href = URL.createObjectURL(blob);
  const link = element("a", document.body, { href, download: name, hidden: true });
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(href), KEPT);
}

// A name that every system takes for a file.
const fileName = (name) => name.replace(/[\\/:*?"<>|\u0000-\u001f]/g, "_");

// --- animated PNG, as W3C's PNG specification of 2025 (png-3) describes it ----------------------

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crcOf(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

// A chunk of a PNG: length, kind, data, checksum. numbers: [value, bytes], before the data.
function chunk(kind, numbers, data = new Uint8Array()) {
  const head = numbers.reduce((sum, [, bytes]) => sum + bytes, 0);
  const bytes = new Uint8Array(12 + head + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, head + data.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  let offset = 8;
  for (const [value, size] of numbers) {
    if (size === 4) view.setUint32(offset, value);
    else if (size === 2) view.setUint16(offset, value);
    else view.setUint8(offset, value);
    offset += size;
  }
  bytes.set(data, offset);
  view.setUint32(bytes.length - 4, crcOf(bytes.subarray(4, bytes.length - 4)));
  return bytes;
}

// The data of all chunks of a kind in a PNG.
function dataOf(png, kind) {
  const view = new DataView(png.buffer, png.byteOffset);
  const found = [];
  for (let at = PNG_HEAD; at < png.length;) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...png.subarray(at + 4, at + 8));
    if (name === kind) found.push(png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  return found;
}

// One animated PNG, played over and over, from PNGs of one size. rate: frames per second.
function animated(pngs, rate) {
  const [header] = dataOf(pngs[0], "IHDR");
  const size = new DataView(header.buffer, header.byteOffset);
  const parts = [pngs[0].subarray(0, PNG_HEAD), chunk("IHDR", [], header),
    chunk("acTL", [[pngs.length, 4], [0, 4]])];
  let order = 0;
  pngs.forEach((png, number) => {
    parts.push(chunk("fcTL", [[order++, 4], [size.getUint32(0), 4], [size.getUint32(4), 4], [0, 4],
      [0, 4], [100, 2], [Math.round(100 * rate), 2], [0, 1], [0, 1]]));
    for (const data of dataOf(png, "IDAT")) {
      parts.push(number ? chunk("fdAT", [[order++, 4]], data) : chunk("IDAT", [], data));
    }
  });
  return new Blob([...parts, chunk("IEND", [])], { type: "image/apng" });
}
