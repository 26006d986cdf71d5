"""echolib: outlines of the left ventricle and the mitral valve from echocardiograms.

    clip = echolib.read_clip("clip.dcm")
    result = echolib.measure_clip(clip)    # outlines, volumes, beats, ejection fraction
    leaflets = echolib.find_leaflets(clip)
    echolib.browse(result, leaflets=leaflets)

The names in `__init__.pyi` are the ones that people use; each is loaded when it is first used, so
that `import echolib` takes no time. The rooms behind them are listed in the README.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
