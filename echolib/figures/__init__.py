"""All figures: frames with outlines, curves, scores, overlays and videos.

    from echolib import figures
    figures.show_image(frame)

The names in `__init__.pyi` are each loaded when they are first used, so that
`import echolib.figures` does not import matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
