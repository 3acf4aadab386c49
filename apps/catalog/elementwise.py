"""Functions of each element alone, of one signal and of two."""

import numpy as np
from keras import ops

from .case import called, names, use

FEATURES = np.array([0.5, -1.0, 2.0, 0.25], "float32")
TABLE = np.array([[0.5], [-1.0]], "float32")

# Without rounding on multiples of 1/8.
_EXACT = names("""
    abs absolute ceil conj conjugate copy fabs floor hard_tanh nan_to_num negative real
    relu relu6 sign square stop_gradient trunc
""")
_ROUNDED = names("""
    angle arccos arccosh arcsin arcsinh arctan arctanh cbrt cos cosh deg2rad erf erfc
    erfinv exp exp2 expm1 hard_shrink hard_sigmoid hard_silu hard_swish i0 imag log
    log10 log1p log2 log_sigmoid rad2deg reciprocal rsqrt selu sigmoid silu sin sinc
    sinh soft_shrink softplus softsign sparse_plus sparse_sigmoid sqrt squareplus swish
    tan tanh tanh_shrink
""")
_DECISIONS = names("""
    isfinite isinf isnan isneginf isposinf isreal logical_not signbit
""")
_PAIRS = names("""
    add subtract multiply maximum minimum fmax fmin
""")
_ROUNDED_PAIRS = names("""
    arctan2 divide divide_no_nan floor_divide fmod heaviside hypot logaddexp logaddexp2
    mod nextafter power true_divide
""")
_COMPARISONS = names("""
    equal greater greater_equal isclose less less_equal logical_and logical_or
    logical_xor not_equal
""")
_INTEGERS = names("""
    bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift gcd lcm
    left_shift right_shift
""")


def cases():
    """All cases of this module."""
    found = []
    for name in _EXACT:
        found.append(use(f"ops.{name}", exact=True))
    for name in [*_ROUNDED, *_DECISIONS]:
        found.append(use(f"ops.{name}"))
    # Where they are finite at every value.
    for name in ("log", "log2", "log10", "reciprocal", "rsqrt", "sqrt", "arccosh"):
        function = getattr(ops, name)
        found.append(
            called(f"ops.{name}", "|x| + 1.5", lambda x, f=function: f(abs(x) + 1.5))
        )
    for name in (*_PAIRS, *_ROUNDED_PAIRS):
        found += _pairs(name, exact=name in _PAIRS)
    for name in _COMPARISONS:
        found.append(use(f"ops.{name}", 0.5))
        found.append(use(f"ops.{name}", shapes=((4,), (4,))))
    for name in ("bitwise_invert", "bitwise_not"):
        found.append(use(f"ops.{name}", dtype="int32"))
    for name in _INTEGERS:
        found.append(use(f"ops.{name}", np.array(3, "int32"), dtype="int32"))
        found.append(use(f"ops.{name}", shapes=((4,), (4,)), dtype="int32"))
    return found + _with_settings() + _operators()


def _pairs(name, exact):
    function = getattr(ops, name)
    half = np.array(0.5, "float32") if name in ("heaviside", "hypot") else 0.5
    return [
        use(f"ops.{name}", half, exact=exact),
        called(f"ops.{name}", "0.5, x", lambda x: function(half, x), exact=exact),
        use(f"ops.{name}", FEATURES, exact=exact),
        use(f"ops.{name}", TABLE, shapes=((2, 4),), exact=exact),
        use(f"ops.{name}", shapes=((4,), (4,)), exact=exact),
        use(f"ops.{name}", shapes=((2, 4), (2, 1)), exact=exact),
        # One with fewer axes: its samples meet the other's first axis.
        use(f"ops.{name}", shapes=((1, 4), (4,)), exact=exact),
        called(f"ops.{name}", "x, x", lambda x: function(x, x), exact=exact),
    ]


def _with_settings():
    return [
        use("ops.celu", 0.5),
        use("ops.celu"),
        use("ops.elu", 0.5),
        use("ops.elu"),
        use("ops.gelu"),
        use("ops.gelu", approximate=False),
        use("ops.leaky_relu", exact=False),
        use("ops.leaky_relu", 0.25, exact=True),
        use("ops.threshold", 0.25, 0.0, exact=True),
        use("ops.threshold", 0.25, 1.5, exact=True),
        use("ops.hard_shrink", 0.25, exact=True),
        use("ops.soft_shrink", 0.25, exact=True),
        use("ops.squareplus", b=1),
        use("ops.clip", 0.0, 1.0, exact=True),
        use("ops.clip", -0.5, 0.25, exact=True),
        use("ops.clip", 0.25, 1.0, exact=True),
        use("ops.round"),
        use("ops.round", 1),
        use("ops.round", -1),
        use("ops.nan_to_num", nan=1.0, posinf=2.0, neginf=-2.0, exact=True),
        use("ops.ldexp", np.array([1, -1, 0, 2], "int32"), exact=True),
        use("ops.power", 2.0),
        use("ops.power", 3),
        use("ops.power", -1.0),
        use("ops.cast", "float64"),
        use("ops.cast", "float32"),
        use("ops.cast", "float16"),
        use("ops.cast", "int32"),
        use("ops.cast", "bool"),
        use("ops.saturate_cast", "float16"),
        use("ops.saturate_cast", "uint8"),
        use("ops.polar", shapes=((4,), (4,))),
        use("ops.view", "int32"),
        use("ops.view_as_complex", shapes=((4, 2),)),
        called(
            "ops.view_as_real",
            "view_as_complex(x)",
            lambda x: ops.view_as_real(ops.view_as_complex(x)),
            (4, 2),
            exact=True,
        ),
        called("ops.where", "x > 0.25, x, 0", lambda x: ops.where(x > 0.25, x, 0.0)),
        called(
            "ops.where",
            "constant condition",
            lambda x: ops.where(FEATURES > 0, x, -x),
            exact=True,
        ),
        called(
            "ops.where",
            "constant condition, constant",
            lambda x: ops.where(FEATURES > 0, x, 1.0),
            exact=True,
        ),
        called("ops.where", "x > 0.25", lambda x: ops.where(x > 0.25)),
        called(
            "ops.where", "x > y, x, y", lambda x, y: ops.where(x > y, x, y), (4,), (4,)
        ),
        called(
            "ops.select",
            "[x > 1, x > 0], [x, -x]",
            lambda x: ops.select([x > 1.0, x > 0.0], [x, -x], 0.5),
        ),
        called(
            "ops.select", "constant", lambda x: ops.select([FEATURES > 0], [x], 0.0)
        ),
        use("ops.digitize", np.array([0.0, 0.5, 1.0], "float32")),
        called(
            "ops.searchsorted",
            "constant, x",
            lambda x: ops.searchsorted(np.array([0.0, 0.5, 1.0], "float32"), x),
        ),
        use("ops.isin", np.array([0.0, 0.5], "float32")),
        use("ops.allclose", shapes=((4,), (4,))),
        use("ops.full_like", 0.5, exact=True),
        use("ops.ones_like", exact=True),
        use("ops.zeros_like", exact=True),
        use("ops.empty_like"),
    ]


def _operators():
    """What Python's operators put into a graph."""
    written = {
        "x + 0.5": ("add", lambda x: x + 0.5, True),
        "0.5 - x": ("subtract", lambda x: 0.5 - x, True),
        "x * 2": ("multiply", lambda x: x * 2.0, True),
        "x / 2": ("true_divide", lambda x: x / 2.0, True),
        "x / 3": ("true_divide", lambda x: x / 3.0, False),
        "2 / (|x| + 1)": ("true_divide", lambda x: 2.0 / (abs(x) + 1.0), False),
        "x ** 2": ("power", lambda x: x**2, False),
        "x // 0.5": ("floor_divide", lambda x: x // 0.5, False),
        "x % 0.5": ("mod", lambda x: x % 0.5, False),
        "-x": ("negative", lambda x: -x, True),
    }
    return [
        called(f"ops.{name}", words, apply, exact=exact)
        for words, (name, apply, exact) in written.items()
    ]
