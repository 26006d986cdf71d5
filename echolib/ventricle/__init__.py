"""The left ventricle over a beat: volumes, beats, ejection fraction and its interval."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
