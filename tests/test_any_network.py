"""Networks that hypothesis makes up: bit-serial ones are exact, or are refused."""

import collections
import contextlib
import traceback
from unittest import mock

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from keras import ops

import snn_keras
from snn_keras.conversion import normalize
from snn_keras.conversion.probe import SourceProbe, SpikingProbe
from snn_keras.graph import trace
from snn_keras.simulate import program
from snn_keras.time import Neurons
from tests.strategies import network

# What a source drops of its masks, it drops in Keras.
pytestmark = pytest.mark.filterwarnings("ignore:.*passed an input with a mask attached")


# Calls that tell whether a network is random: two may be equal by chance, where a layer
# flips its images or does not.
DRAWS = 8


# What TensorFlow computes in float32, whatever the dtype: it resizes images so. And of
# reciprocals Keras says that they are float32.
IN_FLOAT32 = {"Resizing", "Resize", "UpSampling2D", "CenterCrop", "RandomCrop"}
IN_FLOAT32 |= {"Reciprocal"}


def operations_of(model):
    """All operations of a model, those inside of others too."""
    for operation in model.operations:
        yield operation
        for inner in (operation, getattr(operation, "layer", None)):
            if hasattr(inner, "operations"):
                yield from operations_of(inner)
            elif inner is not None:
                yield inner


def inputs_of(model, rng):
    """A batch of inputs, of one size where sizes are open."""
    sizes = [rng.integers(2, 6) for _ in range(4)]

    def drawn(x):
        shape = [n or m for n, m in zip(x.shape[1:], sizes, strict=False)]
        if "int" in x.dtype:
            return ops.convert_to_tensor(rng.integers(0, 3, (3, *shape)), x.dtype)
        return ops.convert_to_tensor(rng.normal(0, 1, (3, *shape)), x.dtype)

    return keras.tree.map_structure(drawn, model.input)


def check(model, bits, number, tolerance=1e-9, fused=(True, False)):
    """Fused and literal bit-serial neurons reach the source's levels.

    Outputs may differ by the rounding of float64 or, where layers compute in that, of
    float32.

    Returns:
        For each of `fused`, `"exact"`, `"approximate"` where the plan says so, or
        `"refused"` where the error names a layer and a remedy.

    Raises:
        AssertionError: if the spiking network computes something else.
    """
    x = inputs_of(model, np.random.default_rng(number))
    if IN_FLOAT32.intersection(type(x).__name__ for x in operations_of(model)):
        tolerance = max(tolerance, 1e-6)
    try:
        expected, *again = (model(x, training=False) for _ in range(DRAWS))
    except Exception as error:
        # The backend lacks it: dilated 3D transposes, float64 pools. Ours may not fail.
        files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        if any("snn_keras/layers" in file for file in files) and not tells_wrongly(
            model, x
        ):
            raise
        reject()
    if not all(_same(expected, other) for other in again):
        reject()  # Random in inference, too: a model's own call drops `training`.
    if not _same(values_of(model, x), values_of(model, x)):
        reject()  # So is what later layers do not pass on.
    # Nothing is compiled here, so what XLA could compile need not be found out.
    with mock.patch.object(program, "has_xla_form", return_value=True):
        return [outcome(model, bits, x, expected, tolerance, f) for f in fused]


def tells_wrongly(model, x):
    """Whether Keras tells another shape of a tensor than it has: rot90, twice."""
    found = []

    def call(node, values):
        y = node.call(node.operation, values, training=False)
        for told, made in zip(node.outputs, keras.tree.flatten(y), strict=True):
            pairs = zip(told.shape, made.shape, strict=True)
            found.append(any(a not in (None, b) for a, b in pairs))
        return y

    with contextlib.suppress(Exception):  # it fails behind such a tensor
        trace(model).run(x, call)
    return any(found)


def values_of(model, x):
    """What every operation of a model computes."""
    found = []

    def call(node, values):
        found.append(node.call(node.operation, values, training=False))
        return found[-1]

    trace(model).run(x, call)
    return found


def _same(first, second):
    pairs = zip(*map(keras.tree.flatten, (first, second)), strict=True)
    return all(
        np.array_equal(*map(ops.convert_to_numpy, pair), equal_nan=True)
        for pair in pairs
    )


def outcome(model, bits, x, expected, tolerance, fused):
    """What became of a network in one kind of run: see `check`."""
    try:
        plan = snn_keras.plan(model, bits, "bit_serial", fused=fused)
        snn = snn_keras.convert(model, bits, "bit_serial", fused=fused)
    except snn_keras.ConversionError as error:
        names = [f"'{node.name}'" for node in normalize.normal_form(model).nodes]
        assert "Remedy: " in str(error), error
        assert any(name in str(error) for name in names), error
        return "refused"
    if any(step.cell is not None and step.approximation for step in plan.steps):
        snn(x, training=False)
        return "approximate"
    names = [layer.name for layer in snn.layers if isinstance(layer, Neurons)]
    _, sent = SourceProbe(model, normalize.normal_form(model), names)(x)
    decoded, sums = SpikingProbe(snn)(x)
    for name in names:
        step = snn.get_layer(name).cell.theta_value() / 2**bits
        levels, received = (
            np.round(ops.convert_to_numpy(y) / step)
            for y in (sent[name], sums[name][1])
        )
        assert np.array_equal(levels, received, equal_nan=True), name
    for a, b in zip(
        keras.tree.flatten(expected), keras.tree.flatten(decoded), strict=True
    ):
        a, b = map(ops.convert_to_numpy, (a, b))
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    return "exact"


def run_law(examples, record, part=0, **arguments):
    """Checks so many networks; the same ones every time for a `part`."""
    found, violations = collections.Counter(), []

    @seed(part)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def law(data):
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(0)
        bits = data.draw(st.integers(1, 3), label="bits")
        model = network(data.draw, bits)
        try:
            found.update(check(model, bits, bits, **arguments))
        except Exception as error:
            if isinstance(error, UnsatisfiedAssumption):
                raise
            where = "".join(traceback.format_tb(error.__traceback__)[-2:])
            violations.append(f"{error!r}\n{where}{description(model)}")
        found["networks"] += 1

    law()
    record("networks", dict(found))
    assert found["exact"] > found["refused"]  # a refusal alone proves little
    violations = sorted(set(violations), key=len)
    assert not violations, "\n\n".join([f"{len(violations)} violations", *violations])


def description(model):
    """A model, layer by layer."""
    lines = [f"{model.input} -> {model.output}"]
    for operation in model.operations:
        (call,) = operation._inbound_nodes[:1]
        lines.append(f"{type(operation).__name__} {operation.name}: {call}")
    return "\n".join(lines)


# JAX compiles every operation anew for every shape.
QUICK, ALL = (5, 100) if keras.backend.backend() == "jax" else (25, 600)
PARTS = 20


@pytest.mark.parametrize(
    "examples", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)], ids=["quick", "all"]
)
def test_any_network(examples, float64, record_property):
    run_law(examples, record_property)


@pytest.mark.overnight
@pytest.mark.parametrize("part", range(1, 1 + PARTS))
def test_ten_thousand_networks(part, float64, record_property):
    run_law(10_000 // PARTS, record_property, part)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_any_precision(dtype, policy, record_property):
    """In one pass the neurons do what the source does, rounding included."""
    policy(dtype)
    run_law(100, record_property, tolerance=1e-6, fused=(True,))
