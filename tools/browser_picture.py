"""Take the README's picture of the frame browser: the exported page in a real Chromium.

python -m tools.browser_picture
"""

import tempfile
from pathlib import Path

from echolib import config
from echolib.browser import browse
from echolib.data import example_clip
from echolib.data.sector import crop_to_sector
from echolib.valve.finder import load_finder
from echolib.ventricle.clip import load_networks, measure_clip
from tools import chromium


def main() -> None:
    """Write figures/browser.png: pydicom's clip with ventricle, leaflets and their curves."""
    clip, _ = crop_to_sector(example_clip())
    ventricle = measure_clip(clip, load_networks())
    browser = browse(ventricle, leaflets=load_finder("valve").masks(clip.frames))
    browser.frame, browser.gamma = 12, 0.7
    with tempfile.TemporaryDirectory() as folder:
        file = browser.to_html(Path(folder) / "page.html")
        size = {"width": 560, "height": 700}
        with (
            chromium.open_chromium() as engine,
            chromium.open_page(engine, offline=True, viewport=size) as page,
        ):
            page.goto(file.as_uri())
            page.wait_for_selector("[data-state=ready]")
            path = config.figures_folder() / "browser.png"
            page.locator(".echolib-browser").screenshot(path=path)
    print(path)


if __name__ == "__main__":
    main()
