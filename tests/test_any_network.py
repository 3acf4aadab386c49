"""Networks that hypothesis makes up: none crashes, and bit-serial ones are exact."""

import traceback

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from keras import ops

import snn_keras
from snn_keras.convert import normalize
from snn_keras.convert.probe import SourceProbe, SpikingProbe
from snn_keras.neurons import Spiking
from tests.strategies import network


def check(model, bits, seed, tolerance=1e-9, fused=(True, False)):
    """Fused and literal bit-serial neurons reach the source's levels."""
    rng = np.random.default_rng(seed)
    x = keras.tree.map_structure(
        lambda x: ops.convert_to_tensor(rng.normal(0, 1, (3, *x.shape[1:])), x.dtype),
        model.input,
    )
    try:
        model(x)
    except Exception as error:
        # The backend lacks it: dilated 3D transposes, float64 pools. Ours may not fail.
        files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        if any("snn_keras/layers" in file for file in files):
            raise
        reject()
    graph = normalize.read(model)
    for one_pass in fused:
        snn = snn_keras.convert(model, bits, "bit_serial", fused=one_pass)
        names = [layer.name for layer in snn.layers if isinstance(layer, Spiking)]
        outputs, expected = SourceProbe(model, graph, names)(x)
        decoded, sums = SpikingProbe(snn)(x)
        for name in names:
            step = snn.get_layer(name).cell.theta_value() / 2**bits
            levels, received = (
                np.round(ops.convert_to_numpy(y) / step)
                for y in (expected[name], sums[name][1])
            )
            assert np.array_equal(levels, received), name
        for a, b in zip(
            keras.tree.flatten(outputs), keras.tree.flatten(decoded), strict=True
        ):
            a, b = map(ops.convert_to_numpy, (a, b))
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def run_law(examples, **arguments):
    """Checks so many networks; the same ones every time."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def law(data):
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        bits = data.draw(st.integers(1, 3), label="bits")
        check(network(data.draw, bits), bits, seed=bits, **arguments)

    law()


# JAX compiles every operation anew for every shape.
QUICK, ALL = (5, 100) if keras.backend.backend() == "jax" else (25, 600)


@pytest.mark.parametrize(
    "examples", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)], ids=["quick", "all"]
)
def test_any_network(examples, float64):
    run_law(examples)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_any_precision(dtype, policy):
    """In one pass the neurons do what the source does, rounding included."""
    policy(dtype)
    run_law(100, tolerance=1e-6, fused=(True,))
