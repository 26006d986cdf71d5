"""How fast the frame browser is, in a real JupyterLab in a real Chromium.

    python -m benchmarks.browser

From the event of a key to the first animation frame in which the picture has changed, median of
60 presses; likewise from the event of a moved mouse, which drags a point of an outline in the
editor, to the changed mask. The peer, in the same notebook: `ipywidgets.Image`, to which the
kernel sends a PNG when a slider is moved. Then how many frames a second are drawn while a clip
plays, and how long a clip of 1,000 frames and a study of 10,000 clips take to open, from the run of
the cell to the picture. The clips are noise with a number in a corner, 112 x 112 px; the study is
one phantom clip under 10,000 names.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from echolib.phantom.studies import write_lv_study
from tools import chromium

PRESSES = 60
CLIPS = 10_000
FRAMES = 1000
SECONDS = 4  # that the clip plays
ROOT = ".echolib-browser"

SETUP = f"""
import io, time
import ipywidgets as widgets
import numpy as np
from PIL import Image
from echolib.browser import browse

def noise(count):
    frames = np.random.default_rng(0).integers(0, 200, (count, 112, 112)).astype(np.uint8)
    frames[:, :8, :8] = (np.arange(count) % 2 * 250)[:, None, None]
    y, x = np.mgrid[:112, :112]
    sizes = 30 + 5 * np.sin(np.arange(count) / 8)[:, None, None]
    return frames, np.hypot(x - 56, y - 56) < sizes

def png(frame):
    content = io.BytesIO()
    Image.fromarray(frame).resize((448, 448)).save(content, "png")
    return content.getvalue()

frames, masks = noise({PRESSES + 2})
"""
OURS = "browser = browse(frames, {'circle': masks}, fps=50); browser"
EDITED = "browse(frames, {'circle': masks}, fps=50, edit=True)"
PEER = """
slider, picture = widgets.IntSlider(max=len(frames) - 1), widgets.Image(value=png(frames[0]))
slider.observe(lambda change: setattr(picture, "value", png(frames[change.new])), "value")
widgets.VBox([slider, picture])
"""
# Each event is timed for itself; a picture has changed when its pixel (x, y) has become bright or
# dark, or tinted or not. Nothing of it may go on when the next picture is timed.
WATCH = """(picture, [event, x, y]) => {
  const probe = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const corner = () => {
    probe.drawImage(picture, x, y, 1, 1, 0, 0, 1, 1);
    const [red, green] = probe.getImageData(0, 0, 1, 1).data;
    return event === "keydown" ? red > 125 : green - red > 8;
  };
  const whole = () => picture.complete !== false && picture.naturalWidth !== 0; // of an img
  window.watching?.abort();
  window.watching = new AbortController();
  const {signal} = window.watching;
  window.delays = [];
  let was = corner();
  document.addEventListener(event, ({timeStamp}) => {
    const look = () => {
      if (signal.aborted) return;
      const is = whole() ? corner() : was;
      if (is === was) return requestAnimationFrame(look);
      was = is;
      window.delays.push(performance.now() - timeStamp);
    };
    requestAnimationFrame(look);
  }, {capture: true, signal});
}"""
DRAWN = f"""seconds => new Promise((done) => {{
  let drawn = 0;
  const root = document.querySelector("{ROOT}");
  const watcher = new MutationObserver((changes) => {{ drawn += 1; }});
  watcher.observe(root, {{attributeFilter: ["data-frame"]}});
  setTimeout(() => {{ watcher.disconnect(); done(drawn / seconds); }}, 1000 * seconds);
}})"""


def delays(page, focus, picture) -> np.ndarray:
    """(60,) ms from each press of the right arrow to the changed picture."""
    picture.evaluate(WATCH, ["keydown", 4, 4])
    focus.focus()
    for press in range(PRESSES):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"() => window.delays.length > {press}")
    return np.array(page.evaluate("() => { window.watching.abort(); return window.delays; }"))


def drags(page, root) -> np.ndarray:
    """(60,) ms from each move of the mouse to the changed mask; a point goes back and forth."""
    picture, handle = root.locator("canvas.picture"), root.locator(".handle").nth(3)
    picture.scroll_into_view_if_needed()
    box, point = picture.bounding_box(), handle.bounding_box()
    x, y = point["x"] + point["width"] / 2, point["y"] + point["height"] / 2
    scale = picture.evaluate("node => node.width") / box["width"]
    # a mouse is not moved in step with the screen, which Chromium awaits to deliver a move
    pauses = np.random.default_rng(0).uniform(0, 1 / 60, PRESSES)
    page.mouse.move(x, y)
    page.mouse.down()
    picture.evaluate(WATCH, ["pointermove", (x - box["x"] - 20) * scale, (y - box["y"]) * scale])
    for move in range(PRESSES):
        time.sleep(pauses[move])
        page.mouse.move(x - (40 if move % 2 == 0 else 0), y)
        page.wait_for_function(f"() => window.delays.length > {move}")
    page.mouse.up()
    return np.array(page.evaluate("() => { window.watching.abort(); return window.delays; }"))


def opening(notebook, source: str) -> float:
    """Seconds from the run of a cell to the picture of the browser that it shows."""
    notebook.clear()
    start = time.perf_counter()
    notebook.show(source).locator(f"{ROOT}[data-state=ready]").wait_for()
    return time.perf_counter() - start


def write_study(folder: Path) -> Path:
    """A data set in EchoNet-Dynamic's layout: one phantom clip under 10,000 names."""
    source = write_lv_study(folder / "one", 3, workers=1, progress=False)
    large = folder / "many"
    (large / "Videos").mkdir(parents=True)
    video = sorted((source / "Videos").iterdir())[0]
    names = [f"clip{number:05}" for number in range(CLIPS)]
    for name in names:
        os.link(video, large / "Videos" / f"{name}.avi")
    for file in ("FileList.csv", "VolumeTracings.csv"):
        table = pd.read_csv(source / file)
        rows = table[table.FileName.str.startswith(video.stem)]
        many = pd.concat([rows] * CLIPS, ignore_index=True)
        suffix = ".avi" if many.FileName[0].endswith(".avi") else ""
        many["FileName"] = [name + suffix for name in names for _ in range(len(rows))]
        many.to_csv(large / file, index=False)
    return large


def main() -> None:
    """Print the table."""
    with (
        tempfile.TemporaryDirectory() as place,
        chromium.open_notebook(Path(place) / "lab", [SETUP, OURS]) as notebook,
    ):
        study, page = write_study(Path(place)), notebook.page
        root = notebook.cell(1).locator(ROOT)
        root.and_(page.locator("[data-state=ready]")).wait_for()
        ours = delays(page, root, root.locator("canvas.picture"))
        root.locator("[data-action=play]").click()
        drawn = page.evaluate(DRAWN, SECONDS)
        root.locator("[data-action=play]").click()
        notebook.clear()
        edited = notebook.show(EDITED).locator(ROOT)
        edited.and_(page.locator("[data-state=ready]")).wait_for()
        dragged = drags(page, edited)
        notebook.clear()
        peer = notebook.show(PEER)
        handle = peer.locator(".noUi-handle")
        theirs = delays(page, handle, peer.locator("img"))
        long = opening(notebook, f"browse(*noise({FRAMES})[:1])")
        start = time.perf_counter()
        notebook.run(f"from echolib.data import EchoNet; data = EchoNet({str(study)!r})")
        reading = time.perf_counter() - start
        many = opening(notebook, "browse(data)")
    one, other = np.median(ours), np.median(theirs)
    print(
        f"key to picture, frame browser     {one:6.1f} ms (9 in 10: {np.quantile(ours, 0.9):.1f})"
    )
    middle, slow = np.median(dragged), np.quantile(dragged, 0.9)
    print(f"drag to picture, editor           {middle:6.1f} ms (9 in 10: {slow:.1f})")
    print(f"key to picture, ipywidgets.Image  {other:6.1f} ms, {other / one:.1f} times as long")
    print(f"drawn in play, clip of 50 fps     {drawn:6.1f} frames a second")
    print(f"{FRAMES} frames open in             {long:6.2f} s")
    print(f"{CLIPS} clips open in            {many:6.2f} s (tables read before, {reading:.2f} s)")


if __name__ == "__main__":
    main()
