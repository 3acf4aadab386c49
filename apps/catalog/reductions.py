"""Functions over axes: reductions, sums so far, sorting, normalization."""

import numpy as np
from keras import ops

from .case import called, every, names, use

SHAPE = ((4, 2),)
_AXES = [None, 0, 1, -1, (1, 2)]
_ONE_AXIS = [None, 0, 1, -1, -3]

# Without rounding on multiples of 1/8, over 2, 4 or 8 of them.
_EXACT = names("amax amin max mean min nanmax nanmean nanmin nansum ptp sum")
_ROUNDED = names("logsumexp median nanmedian nanprod nanstd nanvar prod std var")
_DECISIONS = names("all any")
_PLACES = names("argmax argmin nanargmax nanargmin")


def cases():
    """All cases of this module."""
    found = []
    for name in (*_EXACT, *_ROUNDED, *_DECISIONS):
        exact = name in _EXACT
        found += every(f"ops.{name}", {"axis": _AXES}, SHAPE, exact)
        found.append(use(f"ops.{name}", axis=-1, keepdims=True, exact=exact))
    for name in _PLACES:
        found += every(f"ops.{name}", {"axis": [None, 0, -1]}, SHAPE)
    found += every("ops.count_nonzero", {"axis": [None, 0, 1]}, SHAPE)
    for name in ("cumsum", "nancumsum", "cumprod", "nancumprod"):
        found += every(
            f"ops.{name}", {"axis": _ONE_AXIS}, SHAPE, exact=name.endswith("sum")
        )
    for name in ("quantile", "nanquantile", "percentile", "nanpercentile"):
        scale = 100 if "percentile" in name else 1
        found += every(f"ops.{name}", {"q": [0.5 * scale], "axis": [None, 0, 1]}, SHAPE)
        found.append(use(f"ops.{name}", 0.25 * scale, axis=-1, keepdims=True))
        both = [0.25 * scale, 0.5 * scale]
        found.append(use(f"ops.{name}", both, axis=1, shapes=SHAPE))
    return found + _averages() + _orders() + _norms()


def _averages():
    weights = np.array([0.5, 0.25, 0.125, 0.125], "float32")
    return [
        *every("ops.average", {"axis": [None, 0, 1, -1]}, SHAPE, exact=True),
        use("ops.average", axis=1, weights=weights, shapes=SHAPE, exact=True),
        called(
            "ops.average",
            "weights a signal",
            lambda x, y: ops.average(x, axis=-1, weights=abs(y) + 1.0),
            *((4,), (4,)),
        ),
        *every("ops.moments", {"axes": [[0], [1], [-1], [1, 2]]}, SHAPE),
        use("ops.moments", [1], keepdims=True, shapes=SHAPE),
        use("ops.max", axis=1, initial=0.5, shapes=SHAPE, exact=True),
        use("ops.min", axis=1, initial=0.5, shapes=SHAPE, exact=True),
        use("ops.trapezoid", exact=True),
        *every("ops.trapezoid", {"axis": [0, 1]}, SHAPE, exact=True),
        use("ops.trapezoid", x=np.array([0.0, 1.0, 3.0, 4.0], "float32"), exact=True),
        use("ops.diff", exact=True),
        *every("ops.diff", {"n": [1, 2], "axis": [0, 1, -1]}, ((4, 4),), exact=True),
        *every("ops.trace", {"axis1": [0, 1], "axis2": [2]}, ((4, 4),), exact=True),
        use("ops.trace", offset=1, axis1=1, axis2=2, shapes=((4, 4),), exact=True),
        use("ops.histogram"),
        use("ops.histogram", bins=4, range=(0, 1)),
        use("ops.corrcoef"),
    ]


def _orders():
    return [
        *every("ops.sort", {"axis": [0, 1, -1]}, SHAPE, exact=True),
        *every("ops.argsort", {"axis": [0, 1, -1]}, SHAPE),
        use("ops.argpartition", 2),
        use("ops.top_k", 2),
        use("ops.top_k", 2, sorted=False),
        called(
            "ops.top_k", "2, values alone", lambda x: ops.top_k(x, 2)[0], exact=True
        ),
        use("ops.unique"),
        use("ops.unique", size=6),
        use("ops.nonzero"),
        use("ops.bincount", minlength=4, dtype="int32"),
        called(
            "ops.in_top_k",
            "argmax(x), x, 2",
            lambda x: ops.in_top_k(ops.argmax(x, axis=-1), x, 2),
            exact=True,
        ),
    ]


def _norms():
    one = np.array([1.0, 2.0], "float32")
    return [
        *every("ops.norm", {"axis": [None, 0, 1, -1, (1, 2)]}, SHAPE),
        *every("ops.norm", {"ord": [1, 2, np.inf], "axis": [-1]}, SHAPE),
        use("ops.norm", ord="fro", axis=(1, 2), keepdims=True, shapes=SHAPE),
        *every("ops.normalize", {"axis": [0, 1, -1], "order": [1, 2]}, SHAPE),
        *every("ops.softmax", {"axis": [0, 1, -1]}, SHAPE),
        *every("ops.softmax", {"axis": [(1, 2)]}, SHAPE),
        *every("ops.log_softmax", {"axis": [0, 1, -1]}, SHAPE),
        *every("ops.sparsemax", {"axis": [0, -1]}, SHAPE),
        *every("ops.glu", {"axis": [1, -1]}, SHAPE),
        *every("ops.layer_normalization", {"axis": [0, 1, -1]}, SHAPE),
        use("ops.layer_normalization", one, one, epsilon=1e-3, shapes=SHAPE),
        *every("ops.rms_normalization", {"axis": [0, 1, -1]}, SHAPE),
        use("ops.rms_normalization", one, epsilon=1e-3, shapes=SHAPE),
        use("ops.batch_normalization", one, one, -1, epsilon=0.0, shapes=SHAPE),
        use("ops.batch_normalization", one, one, -1, one, one, shapes=SHAPE),
        called(
            "ops.batch_normalization",
            "statistics of the signal",
            lambda x: ops.batch_normalization(x, *ops.moments(x, [0, 1]), -1),
            *SHAPE,
        ),
    ]
