"""Scenes of digits, their measures, and the networks that detect and segment them."""

import itertools
import json

import keras
import numpy as np
import pytest
from keras import ops

import snn_keras
from apps import data
from apps.vision import boxes, making, metrics, tasks, training
from snn_keras.conversion import normalize
from snn_keras.conversion.probe import SourceProbe, SpikingProbe
from snn_keras.time import Neurons
from tests.programs import once, program

DIGITS = data.Split(
    np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype("uint8"),
    np.arange(30) % 10,
)


# --- Measures -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "a, b, expected",
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 10, 10), (0, 0, 10, 8), 0.8),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),
        ((0, 0, 2, 2), (5, 5, 6, 6), 0),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),
    ],
)
def test_overlap(a, b, expected):
    assert metrics.overlap(a, b) == metrics.overlap(b, a) == expected


HERE, THERE, AWAY = (0, 0, 10, 10), (20, 0, 30, 10), (40, 40, 50, 50)
NEAR = (0, 0, 10, 8)  # overlaps HERE by 0.8


def found(*items):
    """What is found in a scene: triples of a box, a score and a class."""
    where, scores, classes = zip(*items, strict=True) if items else ((), (), ())
    return metrics.Found(
        np.array(where, float).reshape(-1, 4), np.array(scores), np.array(classes, int)
    )


def precision(scenes, thresholds=(0.5,)):
    """The mean average precision of scenes: pairs of what is found and is there."""
    given, right = zip(*scenes, strict=True)
    right = [found(*((box, 1, label) for box, label in items)) for items in right]
    return metrics.mean_average_precision(
        given, [r.boxes for r in right], [r.classes for r in right], thresholds
    ).tolist()


def test_average_precision_counted_by_hand():
    # Precision is 1 up to a recall of 1/2, and 2/3 up to 1: the third of them hits.
    scene = found((HERE, 0.9, 0), (AWAY, 0.8, 0), (THERE, 0.7, 0))
    expected = (51 + 50 * 2 / 3) / 101
    assert precision([(scene, [(HERE, 0), (THERE, 0)])]) == pytest.approx([expected])
    # The same in two scenes, in which the scores alone say the order.
    scenes = [
        (found((THERE, 0.7, 0)), [(THERE, 0)]),
        (found((HERE, 0.9, 0), (AWAY, 0.8, 0)), [(HERE, 0)]),
    ]
    assert precision(scenes) == pytest.approx([expected])
    # One of two is never found: precision is 1 up to a recall of 1/2, and then 0.
    scene = found((HERE, 0.9, 0))
    assert precision([(scene, [(HERE, 0), (THERE, 0)])]) == pytest.approx([51 / 101])


def test_a_digit_is_found_once_and_by_its_class():
    twice = found((HERE, 0.9, 0), (HERE, 0.8, 0), (THERE, 0.7, 0))
    expected = (51 + 50 * 2 / 3) / 101
    assert precision([(twice, [(HERE, 0), (THERE, 0)])]) == pytest.approx([expected])
    assert precision([(found((HERE, 0.9, 1)), [(HERE, 0)])]) == [0]
    assert precision([(found(), [(HERE, 0)])]) == [0]
    # The mean of a class that is found and one that is not; a third is not there.
    scene = found((HERE, 0.9, 0), (AWAY, 0.9, 2))
    assert precision([(scene, [(HERE, 0), (THERE, 1)])]) == [0.5]
    assert np.isnan(precision([(found((HERE, 0.9, 0)), [])])).all()


def test_a_box_takes_the_digit_that_it_overlaps_most():
    # The first box takes HERE; NEAR is left, which the second one overlaps by 0.8.
    both = [(NEAR, 0), (HERE, 0)]
    assert precision([(found((HERE, 0.9, 0), (HERE, 0.8, 0)), both)]) == [1]
    assert precision([(found((HERE, 0.9, 0), (HERE, 0.8, 0)), both)], (0.85,)) == [
        pytest.approx(51 / 101)
    ]


def test_the_thresholds_are_those_of_coco():
    coco = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert list(metrics.THRESHOLDS) == coco
    scene = [(found((NEAR, 0.9, 0)), [(HERE, 0)])]
    assert precision(scene, metrics.THRESHOLDS) == [1.0] * 7 + [0.0] * 3


def test_overlap_of_masks_counted_by_hand():
    right = np.array([[0, 0, 1], [2, 2, 2]])
    answers = np.array([[0, 1, 1], [2, 2, 0]])
    counts = metrics.confusion(right, answers, 4)
    assert counts[:3, :3].tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    overlaps = metrics.overlaps_of_classes(counts)
    assert overlaps[:3].tolist() == [1 / 3, 1 / 2, 2 / 3] and np.isnan(overlaps[3])


# --- Scenes ---------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_scenes():
    first, again, other = (making.make(DIGITS, 5, seed) for seed in (3, 3, 4))
    for name in ("images", "masks", "boxes", "classes"):
        same, differ = (
            all(map(np.array_equal, getattr(first, name), getattr(x, name)))
            for x in (again, other)
        )
        assert same and not differ
    part = first.part(1, 3)
    assert len(part) == 2 and np.array_equal(part.masks, first.masks[1:3])
    assert np.array_equal(part.boxes[1], first.boxes[2])


def test_masks_are_in_the_boxes_of_their_class():
    scenes = making.make(DIGITS, 40, 0)
    assert scenes.images.min() >= 0 and scenes.images.max() <= 1
    assert {len(x) for x in scenes.classes} == {1, 2, 3, 4}
    for k in range(40):
        allowed = np.full((making.SIZE, making.SIZE, making.CLASSES), False)
        for box, label in zip(scenes.boxes[k], scenes.classes[k], strict=True):
            left, top, right, bottom = box.astype(int)
            height = bottom - top
            assert making.HEIGHTS[0] <= height <= making.HEIGHTS[1]
            assert 0 <= left < right <= making.SIZE and 0 <= top < bottom <= making.SIZE
            assert (scenes.masks[k, top:bottom, left:right] == label).any()
            allowed[top:bottom, left:right, label] = True
        rows, columns = np.nonzero(scenes.masks[k] != making.BACKGROUND)
        assert allowed[rows, columns, scenes.masks[k, rows, columns]].all()
        for a, b in itertools.combinations(scenes.boxes[k], 2):
            assert metrics.overlap(a, b) <= 0.1


def test_batches_are_new_in_every_epoch():
    batches = [training.Batches(tasks.Segmentation, DIGITS, 2, 3, 0) for _ in range(2)]
    (x, y), (again, _) = (b[1] for b in batches)
    assert len(batches[0]) == 3 and x.shape[0] == y.shape[0] == 2
    assert np.array_equal(x, again)
    batches[0].on_epoch_end()
    assert not np.array_equal(x, batches[0][1][0])
    assert not np.array_equal(x, batches[1][2][0])


# --- Boxes and losses -----------------------------------------------------------------


def test_boxes_come_back_from_what_a_detector_learns():
    scenes = making.make(DIGITS, 20, 0)
    targets = tasks.Detection.targets(scenes)
    has = targets["boxes"][..., 4] == 1
    assert np.array_equal(has, targets["classes"] >= 0)
    decoded = boxes.decode(targets["boxes"][..., :4])
    for k in range(20):
        for box, label in zip(scenes.boxes[k], scenes.classes[k], strict=True):
            mine = decoded[k][has[k] & (targets["classes"][k] == label)]
            assert np.abs(mine - box).max(axis=1).min() < 1e-3
    scores = np.eye(making.CLASSES)[np.maximum(targets["classes"], 0)] * has[..., None]
    tally = tasks.Detection()
    tally.add({"classes": scores, "boxes": targets["boxes"][..., :4]}, scenes)
    assert tally.score() == (1.0, 1.0)


def test_every_box_has_an_anchor_and_those_far_away_have_none():
    narrow = np.array([[30, 30, 33, 42]], "float32")  # overlaps no anchor by half
    classes, numbers = boxes.encode(narrow, np.array([7]))
    overlaps = metrics.overlap(boxes.corners(boxes.ANCHORS), narrow[0])
    assert overlaps.max() < boxes.LEAST
    assert classes[overlaps.argmax()] == 7 and (classes == 7).sum() == 1
    assert numbers[:, 4].sum() == 1
    assert (classes[overlaps < boxes.MOST_BACKGROUND - 1e-6] != boxes.IGNORED).all()


def test_boxes_that_overlap_a_surer_one_of_their_class_go():
    where = np.array([HERE, NEAR, NEAR, THERE, (0, 0, 10, 4)], float)
    assert boxes.suppress(where, np.array([0, 0, 1, 0, 0])).tolist() == [0, 2, 3, 4]
    # NEAR overlaps the last one by exactly a half, which is not more than a half.
    assert boxes.suppress(where[[1, 4]], np.array([0, 0])).tolist() == [0, 1]
    assert boxes.suppress(np.zeros((0, 4)), np.zeros(0, int)).tolist() == []


def test_focal_loss_counted_by_hand():
    half = np.full((1, 3, making.CLASSES), 0.5, "float32")
    right = np.array([[4, boxes.NO_DIGIT, boxes.IGNORED]])
    each = 0.5**2 * np.log(2)  # (1 - p)^2 * -log(p)
    expected = each * (0.25 + 0.75 * 9) + each * 0.75 * 10
    assert ops.convert_to_numpy(tasks.focal_loss(right, half)) == pytest.approx(
        expected
    )
    right = np.array([[4, 4, boxes.IGNORED]])  # two digits: the mean of both
    expected = each * (0.25 + 0.75 * 9)
    assert ops.convert_to_numpy(tasks.focal_loss(right, half)) == pytest.approx(
        expected
    )


def test_box_loss_counted_by_hand():
    right = np.zeros((1, 3, 5), "float32")
    right[0, :2, 4] = 1
    numbers = np.array([[[0.5, 0, 0, 0], [0, 3, 0, 0], [9, 9, 9, 9]]], "float32")
    expected = (0.5**2 / 2 + (3 - 0.5)) / 2
    assert ops.convert_to_numpy(tasks.box_loss(right, numbers)) == expected


# --- Networks -------------------------------------------------------------------------


def test_shapes_of_the_networks():
    made = {name: task.network(2) for name, task in tasks.TASKS.items()}
    anchors = len(boxes.ANCHORS)
    shapes = {name: y.shape for name, y in made["detector"].output.items()}
    assert anchors == 2 * (16**2 + 8**2)
    assert shapes == {
        "classes": (None, anchors, making.CLASSES),
        "boxes": (None, anchors, 4),
    }
    assert made["segmenter"].output_shape == (None, 64, 64, making.CLASSES + 1)


def quantized(name, levels=3):
    """A tiny quantized network and scenes."""
    x = making.make(DIGITS, 6, 0).images.astype(keras.config.floatx())
    model = tasks.TASKS[name].network(2)
    return snn_keras.quantize_activations(model, levels, data=x, batch_size=6), x[:2]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_bit_serial_networks_are_their_source_neuron_for_neuron(name, float64):
    model, x = quantized(name)
    snn = snn_keras.convert(model, neuron="bit_serial")
    assert snn.timesteps == 2
    names = [layer.name for layer in snn.layers if isinstance(layer, Neurons)]
    expected = SourceProbe(model, normalize.normal_form(model), names)(x)[1]
    received = SpikingProbe(snn)(x)[1]
    steps = {s.name: s.step_value() for s in model.layers if hasattr(s, "step_value")}
    # Of heads, which are called at both levels of the pyramid, every call has its own.
    assert sorted(names) == sorted(steps)
    for layer, step in steps.items():
        levels = [
            np.round(ops.convert_to_numpy(y) / step)
            for y in (expected[layer], received[layer][1])
        ]
        assert np.array_equal(*levels), layer
    pairs = zip(keras.tree.flatten(snn(x)), keras.tree.flatten(model(x)), strict=True)
    for y, right in pairs:
        y, right = map(ops.convert_to_numpy, (y, right))
        np.testing.assert_allclose(y, right, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["differential", "signed"])
@pytest.mark.parametrize("name", tasks.TASKS)
def test_neurons_come_to_rest_at_their_source(name, neuron, float64):
    model, x = quantized(name)
    snn = snn_keras.convert(model, "settle", neuron)
    found, expected = snn.predict(x, verbose=0), model.predict(x, verbose=0)
    for y, right in zip(*map(keras.tree.flatten, (found, expected)), strict=True):
        np.testing.assert_allclose(y, right, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", tasks.TASKS)
def test_float_networks_convert_and_come_close(name):
    x = making.make(DIGITS, 16, 0).images
    model = tasks.TASKS[name].network(4)
    over_time = snn_keras.convert(model, 16, data=x).predict_over_time(x, verbose=0)
    expected = model.predict(x, verbose=0)
    pairs = zip(*map(keras.tree.flatten, (over_time, expected)), strict=True)
    for y, right in pairs:
        error = np.sqrt(np.mean(np.square(y - right), axis=tuple(range(1, y.ndim))))
        assert error[-1] < 0.05 * np.std(right) and error[-1] < error[0] / 4


@pytest.mark.slow
@once
def test_the_program_trains_and_measures(tmp_path):
    few = ["--epochs=1", "--batches=2", "--batch_size=4", "--calibration_scenes=8"]
    for name in tasks.TASKS:
        output = tmp_path / f"scenes_{name}_float.keras"
        printed = program(
            "scenes", f"--train={name}", "--width=2", *few, f"--output={output}"
        )
        assert f"wrote {output}" in printed
        record = json.loads(output.with_suffix(".json").read_text())
        assert f"--output={output}" in record["command"]
        assert len(record["history"]["loss"]) == 1
        bits = tmp_path / f"scenes_{name}_bits.keras"
        program(
            *("scenes", f"--train={name}", f"--init={output}", "--levels=3", *few),
            f"--output={bits}",
        )
    printed = program(
        *("scenes", f"--networks={tmp_path}", f"--folder={tmp_path}", "--samples=3"),
        *("--counted=1", "--calibration_scenes=8", "--timesteps=2,1"),
    )
    figures = json.loads((tmp_path / "scenes.json").read_text())
    for name, task in tasks.TASKS.items():
        assert f"{name}: {task.measures[0]} on 3 scenes; float" in printed
        rows = figures[name]["spiking"]
        assert {(row["source"], row["neuron"]) for row in rows} >= {
            ("float", "differential"),
            ("quantized", "bit_serial"),
        }
        assert all([at["T"] for at in row["at"]] == [1, 2] for row in rows)
        (serial,) = [row for row in rows if row["neuron"] == "bit_serial"]
        # Of 3 levels they need 2 steps, and then are their source.
        assert serial["at"][1]["scores"] == figures[name]["without_spikes"]["quantized"]


@pytest.mark.slow
@once
@pytest.mark.parametrize(
    "given, words",
    [
        (["--tasks=counter"], r"--tasks: ['counter'] are not among"),
        (["--timesteps=two"], "--timesteps: "),
        (["--timesteps=0"], "--timesteps: "),
        (["--train=detector"], "--output must end in .keras"),
        (["--dataset=mnist", "--data_dir=nowhere"], "Data set 'mnist' is not prepared"),
    ],
)
def test_the_program_refuses(given, words):
    assert words in program("scenes", *given, ok=False)
