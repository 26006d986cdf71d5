"""The frame browser: clips with outlines and curves, frame by frame, in a notebook or a page."""

from .view import Curve, Layer, View
from .widget import FrameBrowser, browse

__all__ = ["Curve", "FrameBrowser", "Layer", "View", "browse"]
