"""Networks, their losses and training, and their outlines of frames."""

import lazy_loader

TARGETS = ("masks", "landmarks", "landmarks7", "regression")  # what `models.new_model` can learn

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
