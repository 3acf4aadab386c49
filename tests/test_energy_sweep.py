"""The count of operations, against Jacobians: every layer and function that has one.

The spikes of the first neurons are simulated here, and a layer's synapses are the
entries of its Jacobian that are not 0, by differences in float64. Nothing here uses
what `analysis.energy` uses.
"""

import functools
import math

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import analysis
from snn_keras.conversion import rules
from snn_keras.conversion.registry import RULES
from snn_keras.graph import trace
from snn_keras.layers import LSQReLU
from tests import energy_cases, energy_functions
from tests.energy_cases import IMAGE, LINE

# XLA has not every function on every backend, and it is not needed here; and Keras's
# tensordot compares in a way that Python deprecates.
# JAX compiles every layer of the sweep: six minutes.
_ON_JAX = [pytest.mark.slow] if keras.backend.backend() == "jax" else []
pytestmark = [
    *_ON_JAX,
    pytest.mark.filterwarnings("ignore:.*runs without XLA"),
    pytest.mark.filterwarnings("ignore:NotImplemented should not be used"),
]

WEIGHTS = energy_cases.WEIGHTS | {
    f"ops.{name}": case for name, case in energy_functions.WEIGHTS.items()
}
PASSING = energy_cases.PASSING | {
    f"ops.{name}": case for name, case in energy_functions.PASSING.items()
}

STEPS = 4
LEVELS, STEP = 4, 0.25  # a threshold of 1


def called(operation, xs):
    """A layer on its one input or its list, or a function of tensors."""
    if isinstance(operation, layers.Layer):
        return operation(xs if len(xs) > 1 else xs[0])
    return operation(*xs)


def tried(make, *shapes):
    """A layer or function with random weights, and the Jacobian for each input.

    The Jacobians, `(inputs, outputs)`, say which entries are not 0.
    """
    operation = make()
    inputs = [keras.Input(shape) for shape in shapes]
    body = keras.Model(inputs, called(operation, inputs))
    random = np.random.default_rng(0)
    for weight in body.weights:
        if weight.name not in ("mask", "vector_u"):
            sign = random.choice([-1, 1], weight.shape) if weight.trainable else 1
            weight.assign(sign * random.uniform(0.5, 2.0, weight.shape))
    points = [random.normal(size=shape) for shape in shapes]
    found = []
    for number, shape in enumerate(shapes):
        size = math.prod(shape)
        xs = [np.repeat(x[None], size + 1, axis=0) for x in points]
        xs[number].reshape(size + 1, size)[1:] += np.eye(size)
        y = ops.convert_to_numpy(body(xs, training=False)).reshape(size + 1, -1)
        found.append(abs(y[1:] - y[0]) > 1e-9)
    return operation, found


def simulated(x):
    """Spikes of integrate-and-fire neurons of threshold 1, of a constant current."""
    potential, count = np.full(x.shape, 0.5), np.zeros(x.shape)
    for _ in range(STEPS):
        potential += x
        count += potential >= 1
        potential -= potential >= 1
    return count.reshape(len(x), -1)


def neurons(name):
    return LSQReLU(LEVELS, initial_step=STEP, name=name)


def name_of(y):
    return y._keras_history.operation.name


def conv_behind(y, name):
    """A layer with weights that some elements of a signal meet, and others do not."""
    return layers.Conv1D(2, 2, strides=3, name=name)(layers.Reshape((-1, 1))(y))


def fan_of_conv_behind(size):
    """Its weights at each of so many elements: the third of three meets none."""
    places = np.arange(size)
    return 2.0 * ((places % 3 < 2) & (places // 3 <= (size - 2) // 3))


class Sweep:
    """One network of all the cases side by side, and what `energy` finds in it.

    Attributes:
        jacobians: For each case, as `tried` gives them.
        spikes: For each case, the spikes of each input, `(batch, inputs)`.
        layers: The figures of each layer.
        names: For each case, the name of what is called last.
        types: The types of all that is called.
    """

    def __init__(self, cases, is_static, end):
        self.jacobians, self.spikes, self.names = {}, {}, {}
        inputs, sent, xs, ends = {}, {}, {}, []
        random = np.random.default_rng(1)
        for case, (make, *shapes) in cases.items():
            keys = [(shape, i) for i, shape in enumerate(shapes)]
            for key in keys:
                if key not in inputs:
                    x = random.integers(-4, 9, (2, *key[0])) / 8
                    inputs[key], xs[key] = keras.Input(key[0]), x
                    sent[key] = neurons(f"sent{len(sent)}")(inputs[key])
            operation, self.jacobians[case] = tried(make, *shapes)
            self.spikes[case] = [simulated(xs[key]) for key in keys]
            taken = [(inputs if is_static else sent)[key] for key in keys]
            y = called(operation, taken)
            self.names[case] = name_of(y)
            ends.append(end(case, y, taken))
        model = keras.Model(list(inputs.values()), ends)
        snn = snn_keras.convert(model, STEPS)
        snn.run_eagerly = keras.backend.backend() == "tensorflow"
        self.layers = analysis.energy(snn, list(xs.values())).layers


def once(make):
    """`make` called once for each argument, whether it succeeds or not."""

    @functools.cache
    def attempt(argument):
        try:
            return make(argument), None
        except Exception as error:
            return None, repr(error)

    def made(argument):
        sweep, error = attempt(argument)
        assert error is None, error
        return sweep

    return made


@once
def weighing(is_static):
    return Sweep(WEIGHTS, is_static, lambda case, y, _: neurons(f"last {case}")(y))


@once
def passing_spikes(cases):
    def end(case, y, taken):
        met = [layers.Flatten()(y), layers.Flatten()(taken[0])]
        meets = neurons(f"meets {case}")(layers.Concatenate()(met))
        return conv_behind(y, f"behind {case}"), meets

    return Sweep({case: PASSING[case] for case in cases}, False, end)


@once
def passing_numbers(cases):
    def end(case, y, _):
        return neurons(f"last {case}")(conv_behind(y, f"behind {case}"))

    return Sweep({case: PASSING[case] for case in cases}, True, end)


# The quick run has every fourth, the slow one all.
SOME, ALL = tuple(PASSING)[::4], tuple(PASSING)
HANDED_ON = [
    *((case, SOME) for case in SOME),
    *(pytest.param(case, ALL, marks=pytest.mark.slow) for case in ALL),
]


@pytest.mark.parametrize("case", WEIGHTS)
def test_spikes_are_additions_at_every_synapse(case, float64):
    sweep = weighing(False)
    spikes, jacobians = sweep.spikes[case], sweep.jacobians[case]
    counted = sweep.layers[sweep.names[case]]
    additions = sum((s @ j).sum() for s, j in zip(spikes, jacobians, strict=True))
    assert additions > 0
    assert counted.spiking.add == additions / 2  # samples
    assert counted.spiking.multiply == 0
    synapses = sum(j.sum() for j in jacobians)
    assert (
        counted.opponents["float"].cost.multiply
        == counted.opponents["float"].cost.add
        == synapses
    )


@pytest.mark.parametrize("case", WEIGHTS)
def test_numbers_are_multiplied_at_every_synapse(case, float64):
    sweep = weighing(True)
    counted = sweep.layers[sweep.names[case]]
    synapses = sum(j.sum() for j in sweep.jacobians[case])
    for side in (counted.spiking, counted.opponents["float"].cost):
        assert side.multiply == side.add == synapses


@pytest.mark.parametrize(("case", "cases"), HANDED_ON)
def test_spikes_are_handed_on_to_the_weights_behind(case, cases, float64):
    sweep = passing_spikes(cases)
    spikes, jacobians = sweep.spikes[case], sweep.jacobians[case]
    arriving = sum(s @ j for s, j in zip(spikes, jacobians, strict=True))
    fan_out = fan_of_conv_behind(arriving.shape[1])
    counted = sweep.layers[f"behind {case}"]
    assert arriving.sum() > 0
    assert counted.spiking.add == (arriving @ fan_out).sum() / 2
    assert counted.spiking.multiply == 0
    depends = np.any([j.any(axis=0) for j in jacobians], axis=0)
    assert counted.opponents["float"].cost.multiply == depends @ fan_out


@pytest.mark.parametrize(("case", "cases"), HANDED_ON)
def test_spikes_that_meet_no_weights_are_additions_at_the_neuron(case, cases, float64):
    sweep = passing_spikes(cases)
    spikes, jacobians = sweep.spikes[case], sweep.jacobians[case]
    arriving = sum(s @ j for s, j in zip(spikes, jacobians, strict=True))
    counted = sweep.layers[f"meets {case}"]
    # The neuron adds at every step, and at every spike of its own.
    size = arriving.shape[1] + spikes[0].shape[1]
    own = counted.spikes + STEPS * size
    added = (arriving.sum() + spikes[0].sum()) / 2  # by the case, and past it
    assert counted.spiking.add == added + own


@pytest.mark.parametrize(("case", "cases"), HANDED_ON)
def test_numbers_are_handed_on_to_the_weights_behind(case, cases, float64):
    sweep = passing_numbers(cases)
    counted = sweep.layers[f"behind {case}"]
    depends = np.any([j.any(axis=0) for j in sweep.jacobians[case]], axis=0)
    expected = depends @ fan_of_conv_behind(len(depends))
    assert counted.spiking.multiply == expected
    assert counted.opponents["float"].cost.multiply == expected


def test_separable_convolutions_cost_two_layers(float64):
    kinds = {
        (layers.SeparableConv1D, layers.DepthwiseConv1D): LINE,
        (layers.SeparableConv2D, layers.DepthwiseConv2D): IMAGE,
    }
    for (kind, depthwise), shape in kinds.items():
        for strides, padding in ((1, "valid"), (2, "same")):
            settings = {"padding": padding, "depth_multiplier": 2}
            make = functools.partial(depthwise, 3, strides, **settings)
            _, (first,) = tried(make, shape)
            second = first.shape[1] * 3  # one weight of each of three filters
            both = functools.partial(kind, 3, 3, strides, **settings)
            sweep = Sweep({"separable": (both, shape)}, False, lambda _, y, __: y)
            (spikes,) = sweep.spikes["separable"]
            counted = sweep.layers[sweep.names["separable"]]
            additions = (spikes @ first).sum() / 2
            assert counted.spiking.multiply == STEPS * second
            assert counted.spiking.add == additions + STEPS * second
            assert counted.opponents["float"].cost.multiply == first.sum() + second


def types_of(make, *shapes):
    """The operations of a case."""
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, called(make(), inputs))
    return {type(node.operation) for node in trace(model).nodes}


def test_every_linear_rule_is_tried(float64):
    tried = {layers.SeparableConv1D, layers.SeparableConv2D}  # just above
    for case in (*WEIGHTS.values(), *PASSING.values()):
        tried |= types_of(*case)
    linear = {
        kind
        for kind, rule in RULES.items()
        if isinstance(rule, rules.Linear)
        and kind.__module__.split(".")[0] in ("keras", "snn_keras")
    }
    left = {kind.__name__ for kind in linear - tried}
    assert left == energy_functions.IMPOSSIBLE
