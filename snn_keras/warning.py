"""Warnings that point to a line of the user's code."""

import os
import sys
import warnings

import keras

_INSIDE = tuple(
    os.path.join(os.path.dirname(f), "") for f in (__file__, keras.__file__)
)


def warn(message: str) -> None:
    """Issues a warning for the calling line outside of this package and of Keras."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level + 1)
