"""Networks, their losses and training, and their outlines of frames."""

import lazy_loader

TARGETS = ("masks", "landmarks", "landmarks7", "regression")  # what `models.new_model` can learn
PRECISIONS = ("auto", "fp32", "bf16")  # of a training

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
