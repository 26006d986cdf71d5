"""Make the README's pictures of the real clip that comes with pydicom.

python -m tools.readme_pictures
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np

import echolib
from echolib import config, figures

from . import chromium

WIDTH = 640  # px of the moving picture
FOLDER = config.project_root() / "figures"


def moving_picture(result: echolib.ClipFunction) -> Path:
    """Write figures/function.gif: the clip with its outline, and the volume drawn in step."""
    pictures = figures.function_video(result)
    height = round(WIDTH * pictures.shape[1] / pictures.shape[2])
    small = [cv2.resize(p, (WIDTH, height), interpolation=cv2.INTER_AREA) for p in pictures]
    path = FOLDER / "function.gif"
    return figures.write_gif(path, np.stack(small), result.clip.fps or 30.0)


def browser_picture(result: echolib.ClipFunction) -> Path:
    """Write figures/browser.png: the exported frame browser in a real Chromium."""
    result = result.cropped()
    browser = echolib.browse(result, leaflets=echolib.find_leaflets(result.clip))
    browser.frame, browser.gamma = 12, 0.7
    path = FOLDER / "browser.png"
    with tempfile.TemporaryDirectory() as folder:
        file = browser.to_html(Path(folder) / "page.html")
        size = {"width": 560, "height": 700}
        with (
            chromium.open_chromium() as engine,
            chromium.open_exported(engine, file, viewport=size) as page,
        ):
            page.locator(".echolib-browser").screenshot(path=path)
    return path


def main() -> None:
    """Write both pictures."""
    result = echolib.measure_clip(echolib.example_clip())
    print(moving_picture(result), browser_picture(result), sep="\n")


if __name__ == "__main__":
    main()
