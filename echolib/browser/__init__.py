"""The frame browser: clips with outlines and curves, frame by frame, in a notebook or a page."""

from .layer import Curve, Layer
from .opening import browse
from .view import View
from .widget import FrameBrowser

__all__ = ["Curve", "FrameBrowser", "Layer", "View", "browse"]
