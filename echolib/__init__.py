"""echolib: outlines of the left ventricle and the mitral valve from echocardiograms."""

__version__ = "0.1.0"
