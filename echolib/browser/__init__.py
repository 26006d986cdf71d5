"""The frame browser: clips, outlines and curves to leaf through, in a notebook or a page."""

from .view import Curve, Layer, View
from .widget import FrameBrowser, browse

__all__ = ["Curve", "FrameBrowser", "Layer", "View", "browse"]
