"""The mitral valve: leaflets in every frame, how far they open, scores."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
