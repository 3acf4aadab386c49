"""Agreement is measured by what an output answers, and the report says how."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras.answers import Answer
from snn_keras.conversion import normalize
from snn_keras.conversion.answers import OutputTally, answers_of, names_of_outputs
from snn_keras.layers import LSQReLU
from tests.graphs import dyadic


def compared(answer, expected, received):
    """The result for these outputs, given in two batches."""
    comparison = OutputTally("y", answer)
    for part in (slice(0, 1), slice(1, None)):
        comparison.add(np.asarray(expected)[part], np.asarray(received)[part])
    return comparison.result()


def test_classes_are_the_largest_entry():
    expected = [[0, 1, 2], [3, 0, 0], [0, 1, 0]]
    received = [[0, 0, 9], [1, 2, 0], [0, 4, 0]]
    found, same = compared(Answer.CLASSES, expected, received)
    assert same.tolist() == [1, 0, 1]
    assert (found.share, found.error, found.positions) == (2 / 3, 7.0, 1)
    assert found.spread is None and found.relative is None
    assert str(found) == (
        "same answer on 66.67% of samples (the largest of 3 entries); largest output "
        "difference 7"
    )


def test_maps_of_classes_are_compared_at_every_position():
    rng = np.random.default_rng(0)
    expected, received = rng.integers(0, 50, (2, 5, 4, 6, 3))
    found, same = compared(Answer.CLASSES, expected, received)
    right = sum(
        int(np.argmax(expected[i, j, k]) == np.argmax(received[i, j, k]))
        for i, j, k in np.ndindex(5, 4, 6)
    )
    assert found.share == pytest.approx(right / 120) and 0 < found.share < 1
    assert (found.positions, found.entries, len(same)) == (24, 3, 5)
    assert "of answers, 24 a sample (the largest of 3 entries)" in str(found)


def test_sides_of_one_half():
    expected = [[0.2, 0.9], [0.5, 0.4], [0.0, 1.0]]
    received = [[0.4, 0.1], [0.6, 0.49], [0.25, 0.75]]
    found, same = compared(Answer.SIDES, expected, received)
    assert same.tolist() == [0.5, 1.0, 1.0]
    assert (found.share, found.error) == (5 / 6, 0.8)
    assert "2 a sample (the same side of 1/2)" in str(found)


def test_numbers_are_the_same_within_a_share_of_the_spread():
    """Numbers of a standard deviation of 2: a difference of 0.2 is the limit."""
    expected = np.array([[3.0], [-1.0], [3.0], [-1.0]])
    off = np.array([[0.125], [0.25], [-0.1875], [-0.5]])
    found, same = compared(Answer.NUMBERS, expected, expected + off)
    assert same.tolist() == [1, 0, 1, 0]
    assert (found.share, found.error, found.spread) == (0.5, 0.5, 2.0)
    assert found.relative == np.sqrt(np.mean(off**2)) / 2
    assert "50.00% of samples (within 0.1 of the source's spread); root mean" in str(
        found
    )


def test_equal_numbers_are_measured_by_their_size():
    """Of one sample there is no deviation; of nothing but 0, all else is off."""
    found, _ = compared(Answer.NUMBERS, [[-4.0]] * 2, [[-4.25], [-4.5]])
    assert (found.spread, found.share) == (4.0, 0.5)
    found, _ = compared(Answer.NUMBERS, [[0.0]] * 2, [[0.0], [0.5]])
    assert (found.spread, found.share, found.relative) == (0.0, 0.5, 1.0)
    found, _ = compared(Answer.NUMBERS, [[0.0]] * 2, [[0.0]] * 2)
    assert (found.share, found.relative) == (1.0, 0.0)


def test_what_is_not_a_number_is_no_agreement():
    found, _ = compared(Answer.NUMBERS, [[1.0], [2.0]], [[1.0], [np.nan]])
    assert np.isnan(found.error) and found.share == 0.5


CONV = layers.Conv2D
ENDS = {
    "logits": (lambda x: layers.Dense(3)(layers.Flatten()(x)), Answer.CLASSES),
    "softmax": (
        lambda x: layers.Dense(3, activation="softmax")(layers.Flatten()(x)),
        Answer.CLASSES,
    ),
    "number": (lambda x: layers.Dense(1)(layers.Flatten()(x)), Answer.NUMBERS),
    "no last axis": (
        lambda x: ops.squeeze(layers.Dense(1)(layers.Flatten()(x)), axis=-1),
        Answer.NUMBERS,
    ),
    "sigmoid": (
        lambda x: layers.Dense(1, activation="sigmoid")(layers.Flatten()(x)),
        Answer.SIDES,
    ),
    "several labels": (
        lambda x: ops.sigmoid(layers.Dense(5)(layers.Flatten()(x))),
        Answer.SIDES,
    ),
    "sigmoid, reshaped": (
        lambda x: layers.Reshape((-1,))(CONV(1, 1, activation="hard_sigmoid")(x)),
        Answer.SIDES,
    ),
    "segmentation": (lambda x: layers.Softmax()(CONV(3, 1)(x)), Answer.CLASSES),
    "mask": (lambda x: layers.Activation("sigmoid")(CONV(1, 1)(x)), Answer.SIDES),
    "depth": (lambda x: CONV(1, 1)(x), Answer.NUMBERS),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_an_output_answers(end):
    make, answer = ENDS[end]
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, make(inputs))
    assert answers_of(normalize.normal_form(model)) == [answer]


def test_outputs_have_names():
    x = keras.Input((3,), name="x")
    y = layers.Dense(2, activation="relu", name="y")(x)
    assert names_of_outputs(keras.Model(x, y)) == ["y"]
    assert names_of_outputs(keras.Model(x, [y, x])) == ["y", "x"]
    assert names_of_outputs(keras.Model(x, {"b": x, "a": y})) == ["a", "b"]


def network():
    """A source with an output of every kind, its network, and inputs."""
    rng = np.random.default_rng(1)
    inputs = keras.Input((4, 4, 2))
    x = LSQReLU(7, initial_step=0.25, name="act")(CONV(4, 3)(inputs))
    flat = layers.Flatten()(x)
    outputs = {
        "depth": CONV(1, 1, name="d")(x),
        "label": layers.Dense(3, name="l")(flat),
        "map": CONV(3, 1, name="m")(x),
        "number": layers.Dense(1, name="n")(flat),
        "side": layers.Dense(1, activation="sigmoid", name="s")(flat),
    }
    model = keras.Model(inputs, outputs)
    for layer in model.layers:
        if not isinstance(layer, LSQReLU):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    snn = snn_keras.convert(model, 2, "if")
    return model, snn, dyadic(rng, (30, 4, 4, 2))


def test_every_output_is_measured_by_its_kind():
    model, snn, x = network()
    report = snn_keras.verify(model, snn, x, batch_size=16)
    expected, received = (m.predict(x, verbose=0) for m in (model, snn))
    found = {output.name: output for output in report.outputs}
    same = {
        "label": expected["label"].argmax(-1) == received["label"].argmax(-1),
        "map": expected["map"].argmax(-1) == received["map"].argmax(-1),
        "side": (expected["side"] >= 0.5) == (received["side"] >= 0.5),
    }
    for name in ("depth", "number"):
        wanted = expected[name].astype("float64")
        off = np.abs(received[name] - wanted)
        same[name] = off <= 0.1 * wanted.std()
        relative = np.sqrt(np.mean(off**2)) / wanted.std()
        assert found[name].relative == pytest.approx(relative, rel=1e-5)
    assert list(found) == sorted(same)
    for name, right in same.items():
        assert found[name].share == pytest.approx(right.mean()), name
        assert 0 < right.mean() < 1, name
    shares = [right.reshape(30, -1).mean(axis=1) for right in same.values()]
    assert report.agreement == pytest.approx(np.min(shares, axis=0).mean())
    assert "output 'side': same answer on" in str(report)
    assert "all outputs together: " in str(report)
    content = report.as_dict()
    assert [y["answer"] for y in content["outputs"]] == [
        *("numbers", "classes", "classes", "numbers", "sides")
    ]
    assert content["output_error"] == max(y["error"] for y in content["outputs"])
