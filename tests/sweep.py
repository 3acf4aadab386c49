"""Judges what becomes of a case of the catalog in a spiking network.

It equals the quantized source, or the plan says that it approximates, or it is refused
with its name and a remedy. Anything else is a `Violation`.
"""

import collections
import contextlib
import warnings
from unittest import mock

import keras
import numpy as np
from keras import ops, tree

import snn_keras
from apps.catalog import LACKING, networks
from snn_keras.conversion import normalize
from snn_keras.simulate import program

BITS = networks.LEVELS.bit_length()
RUNS = {
    "in one pass": {"timesteps": BITS, "neuron": "bit_serial"},
    "over time": {"timesteps": BITS, "neuron": "bit_serial", "fused": False},
    "until it rests": {"timesteps": "settle", "neuron": "signed"},
}
JAX = keras.backend.backend() == "jax"


class Violation(AssertionError):
    """A network that neither equals its source nor is refused."""


def judge(case, position, form) -> collections.Counter:
    """How many runs of the networks with a case are exact, approximate and refused.

    Args:
        case: The `apps.catalog.Case`.
        position, form: As for `apps.catalog.networks.network`.

    Raises:
        Violation: if anything else comes of it.
    """
    # Nothing is compiled here, so what XLA could compile need not be found out.
    compiles = mock.patch.object(program, "has_xla_form", return_value=True)
    with _precision(case), compiles, warnings.catch_warnings():
        # Of Keras, about what the source does with masks.
        warnings.filterwarnings("ignore", "(?s).*this layer does not support masking")
        try:
            model, x, expected = _source(case, position, form)
            found = collections.Counter()
            for run in _runs(position, form):
                found[_outcome(case, model, x, expected, run)] += 1
            return found
        except Exception as error:  # of whatever class Keras and its backends raise
            lacking = LACKING[keras.backend.backend()]
            if {case.name, str(case), f"{case}, {form}"}.isdisjoint(lacking):
                raise Violation(f"{case}: {error}") from error
            return collections.Counter(lacking=1)


def _runs(position, form):
    """The runs that tell something new of a network."""
    if position != "between":
        return ["over time"]
    return ["over time", "until it rests" if form == "alone" else "in one pass"]


@contextlib.contextmanager
def _precision(case):
    """Float64 where the case rounds; Keras computes so on TensorFlow alone."""
    if case.exact or JAX:
        yield
        return
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def _source(case, position, form):
    """The source network, a batch of inputs, and what it makes of them."""
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = networks.network(case, position, form)
    networks.draw_weights(model, rng, case.exact)
    drawn = networks.draw_inputs(model, rng, case.exact)
    x = [ops.convert_to_tensor(given) for given in drawn]
    x = x[0] if len(x) == 1 else x
    return model, x, model(x, training=False)


def _outcome(case, model, x, expected, run):
    try:
        plan = snn_keras.plan(model, **RUNS[run])
    except snn_keras.ConversionError as error:
        return _refused(model, error, run)
    try:
        snn = snn_keras.convert(model, **RUNS[run])
    except snn_keras.ConversionError as error:  # it cannot be made a second time
        return _refused(model, error, run)
    except Exception as error:
        raise Violation(f"{run}: {type(error).__name__}: {error}") from error
    try:
        received = _run(snn, x)
    except Exception as error:
        raise Violation(f"{run}: {type(error).__name__}: {error}") from error
    if any(step.cell is not None and step.approximation for step in plan.steps):
        return "approximate"
    tree.assert_same_structure(expected, received)
    ends = (tree.flatten(y) for y in (expected, received, model.output))
    for a, b, declared in zip(*ends, strict=True):
        _check_same(case, a, b, declared.dtype, run)
    return "exact"


def _refused(model, error, run):
    """The outcome "refused", if the error says what and what to do about it."""
    names = [f"'{node.name}'" for node in normalize.normal_form(model).nodes]
    if "Remedy: " in str(error) and any(name in str(error) for name in names):
        return "refused"
    raise Violation(f"{run}: refused without name or remedy: {error}") from error


def _run(snn, x):
    """What a network gives, not compiled: that takes longer than all else."""
    if not JAX or snn.timesteps != "settle":
        return snn(x, training=False)
    import jax

    with jax.disable_jit():
        return snn(x, training=False)


def _check_same(case, expected, received, declared, run):
    """Raises a Violation unless two tensors are the same, up to rounding.

    A source may give another dtype than its model declares; either will do.
    """
    a, b = map(ops.convert_to_numpy, (expected, received))
    if a.shape != b.shape or b.dtype not in (a.dtype, declared):
        raise Violation(f"{run}: {a.dtype} {a.shape} became {b.dtype} {b.shape}")
    if case.exact or a.dtype.kind not in "fc":
        same = np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    else:
        tolerance = 1e-4 if JAX else 1e-6
        same = np.allclose(a, b, tolerance, tolerance, equal_nan=True)
    if not same:
        raise Violation(f"{run}: {a.ravel()[:8]} became {b.ravel()[:8]}")
