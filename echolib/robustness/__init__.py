"""Scores of networks on corrupted images, their comparison, and doubt about single masks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
