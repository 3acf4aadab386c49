"""Products of two signals by spikes: attention, laid open and quantized."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import analysis, applications
from snn_keras.coding import Radix, Rate, Switched
from snn_keras.layers import LSQReLU, QuantizedActivation
from snn_keras.time import Clock, Neurons, ProductOfChanges, TemporalDifference
from tests.graphs import dyadic

EINSUM = ops.einsum(
    "bqd,bkd->bqk", keras.KerasTensor((None, 3, 2)), keras.KerasTensor((None, 5, 2))
)._keras_history.operation
PAIR = {"args": ["tensor:0", "tensor:1"], "kwargs": {}}
PRODUCTS = {
    "einsum": (EINSUM, PAIR, (3, 2), (5, 2)),
    "dot": (layers.Dot((2, 2)), None, (3, 2), (5, 2)),
    "elementwise": (layers.Multiply(), None, (3, 2), (3, 2)),
}
EXACT = [
    ("bit_serial", 4, {}),
    ("bit_serial", 4, {"fused": False}),
    ("differential", "settle", {}),
    ("signed", "settle", {"input_steps": 16}),
]


def self_attention(x, **arguments):
    return layers.MultiHeadAttention(2, 4, name="attend")(x, x, **arguments)


def grouped(x, **arguments):
    return layers.GroupQueryAttention(4, 4, 2, name="attend")(x, x, **arguments)


KINDS = {
    "plain": self_attention,
    "causal": lambda x: self_attention(x, use_causal_mask=True),
    "grouped": grouped,
    "axes": lambda x: ops.squeeze(
        layers.MultiHeadAttention(1, 2, attention_axes=2, name="attend")(
            *[ops.expand_dims(x, 1)] * 2
        ),
        1,
    ),
}


def neurons(step, name):
    return LSQReLU(15, initial_step=step, name=name)


def network(attend, more=()):
    """A network with attention between neurons, whose weights are dyadic."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4), name="x")
    x = neurons(0.5, "sent")(layers.Dense(4, name="first")(inputs))
    x = attend(x, *more) if more else attend(x)
    x = neurons(0.25, "last")(layers.Dense(4, name="mid")(x))
    outputs = layers.Dense(3, name="head")(x)
    model = keras.Model([inputs, *more] if more else inputs, outputs)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if not isinstance(layer, QuantizedActivation):
            layer.set_weights([dyadic(rng, w.shape, 8, 8) for w in layer.weights])
    return model


def quantized(model, x, levels=15):
    """The network with spikes in its products, whose steps are powers of two."""
    ann = snn_keras.quantize_activations(model, levels, data=x, products="spikes")
    for layer in ann.layers:
        if isinstance(layer, QuantizedActivation) and "_operand" in layer.name:
            step = 2.0 ** np.round(np.log2(layer.step_value()))
            shift = step * ((levels + 1) // 2 if "softmax" not in layer.name else 0)
            layer.set_threshold(step * levels)
            ann.get_layer(f"{layer.name}_before").offset = shift
            ann.get_layer(f"{layer.name}_after").offset = -shift
    return ann


def inputs_of(*shapes):
    found = [
        dyadic(np.random.default_rng(i), (16, *s), 8, 4) for i, s in enumerate(shapes)
    ]
    return found if len(found) > 1 else found[0]


def answers(model, x):
    return ops.convert_to_numpy(model.predict(x, verbose=0))


def check_exact(ann, x, neuron, timesteps, options):
    """The answers are the quantized network's, and every product takes spikes."""
    plan = snn_keras.plan(ann, timesteps, neuron, **options)
    assert set(plan.takes().values()) == {"spikes"}
    assert "numbers" not in str(plan).splitlines()[-2]
    snn = snn_keras.convert(ann, timesteps, neuron, **options)
    assert snn_keras.verify(ann, snn, x).exact
    assert np.array_equal(answers(snn, x), answers(ann, x))
    return snn


@pytest.mark.parametrize("neuron, timesteps, options", EXACT)
def test_attention_by_spikes_is_the_quantized_network(
    neuron, timesteps, options, float64
):
    x = inputs_of((5, 4))
    ann = quantized(network(self_attention), x)
    check_exact(ann, x, neuron, timesteps, options)


@pytest.mark.parametrize(
    "kind", ["causal", "grouped", pytest.param("axes", marks=pytest.mark.slow)]
)
def test_every_kind_of_attention_is_laid_open(kind, float64):
    x = inputs_of((5, 4))
    ann = quantized(network(KINDS[kind]), x)
    check_exact(ann, x, "differential", "settle", {})


@pytest.mark.parametrize("neuron, timesteps, options", EXACT[1:3])
def test_cross_attention_with_a_padding_mask(neuron, timesteps, options, float64):
    memory = keras.Input((3, 6), name="memory")
    mask = keras.Input((5, 3), dtype="bool", name="mask")

    def attend(x, memory, mask):
        layer = layers.MultiHeadAttention(2, 4, value_dim=3, name="attend")
        return layer(x, memory, attention_mask=mask)

    x = inputs_of((5, 4), (3, 6))
    seen = np.ones((16, 5, 3), "bool")
    seen[::2, :, 2] = False
    model = network(attend, (memory, mask))
    ann = quantized(model, [*x, seen])
    snn = check_exact(ann, [*x, seen], neuron, timesteps, options)
    other = [x[0], x[1].copy(), seen]
    other[1][::2, 2] += 1.0  # what is hidden does not matter
    found, before = answers(snn, other), answers(snn, [*x, seen])
    assert np.array_equal(found[::2], before[::2])


def test_what_is_ahead_is_not_seen(float64):
    x = inputs_of((5, 4))
    ann = quantized(network(KINDS["causal"]), x)
    snn = snn_keras.convert(ann, "settle", "differential")
    before = answers(snn, x)
    x[:, 3:] += 0.5
    after = answers(snn, x)
    assert np.array_equal(after[:, :3], before[:, :3])
    assert not np.array_equal(after[:, 3:], before[:, 3:])


@pytest.mark.parametrize("coding", [Rate(2), Switched(4, 2), Radix(4)], ids=str)
@pytest.mark.parametrize("product", PRODUCTS)
def test_the_sum_of_changes_is_the_product_of_sums(product, coding, float64):
    operation, arguments, *shapes = PRODUCTS[product]
    rng, steps = np.random.default_rng(0), coding.timesteps
    x, z = (dyadic(rng, (3, steps, *shape), 4, 4) for shape in shapes)
    layer = ProductOfChanges(operation, arguments, coding=coding)
    other = TemporalDifference(operation, arguments, coding=coding)
    found, expected = (ops.convert_to_numpy(y([x, z])) for y in (layer, other))
    assert np.array_equal(found, expected)
    for t in range(1, steps + 1):
        whole = layer.applied([x[:, :t].sum(1), z[:, :t].sum(1)])
        n = coding.divisor(t)
        assert np.array_equal(found[:, :t].sum(1), ops.convert_to_numpy(whole) / n)


def test_pieces_of_a_run_are_the_run(float64):
    operation, arguments, *shapes = PRODUCTS["einsum"]
    rng = np.random.default_rng(0)
    x, z = (dyadic(rng, (3, 4, *shape), 4, 4) for shape in shapes)
    layer = ProductOfChanges(operation, arguments, coding=Switched(4, 2))
    expected = ops.convert_to_numpy(layer([x, z]))
    state, found = layer.get_initial_state(3), []
    for start in (0, 2):
        piece = [ops.convert_to_tensor(y[:, start : start + 2]) for y in (x, z)]
        y, state = layer.advance(piece, state, Clock(start, 2, 4))
        found.append(ops.convert_to_numpy(y))
    assert np.array_equal(np.concatenate(found, axis=1), expected)


def test_levels_have_either_sign_where_signals_do():
    x = inputs_of((5, 4)).astype("float32")
    model = network(self_attention)
    ann = snn_keras.quantize_activations(model, 15, data=x, products="spikes")
    for name in ("multiply", "key", "value", "einsum_1"):
        layer = ann.get_layer(f"attend_{name}_operand")
        lowest = ann.get_layer(f"{layer.name}_after").offset
        assert lowest == -8 * layer.step_value()
    (softmax,) = (y.name for y in ann.layers if y.name.endswith("softmax_operand"))
    assert ann.get_layer(f"{softmax}_after").offset == 0
    finer = snn_keras.quantize_activations(model, 255, data=x, products="spikes")
    errors = [np.abs(answers(y, x) - answers(model, x)).max() for y in (ann, finer)]
    assert errors[1] < errors[0]


def test_energy_adds_where_spikes_meet_and_multiplies_numbers():
    x = inputs_of((5, 4)).astype("float32")
    numbers, found = network(self_attention), {}
    spikes = snn_keras.quantize_activations(numbers, 15, data=x, products="spikes")
    for name, ann in (("numbers", numbers), ("spikes", spikes)):
        snn = snn_keras.convert(ann, 4, "bit_serial", fused=False)
        found[name] = analysis.energy(snn, x).layers
        sent = analysis.spike_statistics(snn, x).layers
    pairs = 5 * 5 * 2 * 4  # of places, heads and channels
    projections = 5 * 2 * 4 * 4 * 4
    assert found["numbers"]["attend"].spiking.multiply == 4 * (2 * pairs + projections)
    scores, mixed = (found["spikes"][f"attend_{n}"] for n in ("einsum", "einsum_1"))
    operands = {
        n: sent[f"attend_{n}_operand"].spikes for n in ("multiply", "key", "value")
    }
    (weights,) = (v.spikes for k, v in sent.items() if k.endswith("softmax_operand"))
    for product, one, other in (
        (scores, (operands["multiply"], 5), (operands["key"], 5)),
        (mixed, (weights, 4), (operands["value"], 5)),
    ):
        adds = one[0] * (one[1] + 1) + other[0] * (other[1] + 1)  # and to its own sum
        assert product.spiking.add == adds > 0
        assert product.spiking.multiply == 0
        assert product.opponents["float"].cost.multiply == pairs


def test_every_gate_takes_spikes_too(float64):
    inputs = keras.Input((4,))
    x = LSQReLU(3, initial_step=0.5, name="sent")(layers.Dense(4)(inputs))
    gated = layers.Multiply(name="gate")([x, layers.Activation("sigmoid")(x)])
    x = LSQReLU(3, initial_step=0.5, name="last")(layers.Dense(4, name="mid")(gated))
    model = keras.Model(inputs, layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(20, 4))
    ann = snn_keras.quantize_activations(model, 3, data=x, products="spikes")
    for timesteps, neuron in ((2, "bit_serial"), ("settle", "differential")):
        assert snn_keras.plan(ann, timesteps, neuron).takes()["gate"] == "spikes"
        snn = snn_keras.convert(ann, timesteps, neuron)
        np.testing.assert_allclose(answers(snn, x), answers(ann, x), 1e-12, 1e-12)


def test_a_vision_transformer_of_spikes_alone(tmp_path):
    keras.utils.set_random_seed(0)
    model = applications.mnist_vit((8, 8, 1), width=4, heads=1, blocks=1)
    x = np.random.default_rng(0).random((8, 8, 8, 1), "float32")
    options = {"data": x, "fused": False, "products": "spikes"}
    snn = snn_keras.convert(model, 4, "bit_serial", **options)
    # Two of the stem; two norms, query, key, value, scores, their mix, the perceptron.
    assert sum(isinstance(y, Neurons) for y in snn.layers) == 2 + 8
    ann = snn_keras.quantize_activations(model, 15, data=x, products="spikes")
    assert set(snn_keras.plan(ann, 4, "bit_serial").takes().values()) == {"spikes"}
    np.testing.assert_allclose(answers(snn, x), answers(ann, x), atol=1e-5)
    snn.save(tmp_path / "snn.keras")
    loaded = snn_keras.load_model(tmp_path / "snn.keras")
    assert np.array_equal(answers(loaded, x), answers(snn, x))


def test_what_does_not_show_its_products_is_refused_by_name():
    x = inputs_of((5, 4)).astype("float32")

    def attend(x):
        return layers.Attention(name="closed")([x, x])

    remedy = r"'closed' \(Attention\).*Remedy: .*MultiHeadAttention"
    with pytest.raises(snn_keras.ConversionError, match=remedy):
        snn_keras.quantize_activations(network(attend), 3, data=x, products="spikes")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"products": "pulses"}, r"products must be one of \['numbers', 'spikes'\]"),
        ({"products": "spikes", "quantizer": "noisy_spike"}, "levels of either sign"),
        ({"products": "spikes", "data": None}, "range must be measured"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    x = inputs_of((5, 4)).astype("float32")
    with pytest.raises(ValueError, match=message):
        snn_keras.quantize_activations(
            network(self_attention), **{"data": x, **arguments}
        )


def test_convert_quantizes_products_of_float_networks_alone():
    with pytest.raises(ValueError, match=r"Remedy: quantize_activations.*no data"):
        snn_keras.convert(network(self_attention), 4, products="spikes")
