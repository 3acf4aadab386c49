"""Detects and segments digits in made scenes, with and without spikes.

    python -m apps.scenes
    python -m apps.scenes --dataset=mnist --data_dir=DATA_DIR --networks=runs
    python -m apps.scenes --train=detector --output=runs/scenes_detector_float.keras
    python -m apps.scenes --train=detector --init=runs/scenes_detector_float.keras \\
        --levels=15 --output=runs/scenes_detector_bits.keras

A detector like RetinaNet and a segmenter like U-Net, each as a float network and as a
quantized one, are converted with several neurons: mean average precision, mean
intersection over union, spikes and energy by time steps, beside the networks without
spikes. Figures are kept in FOLDER/scenes.json.

With --train it trains one of them instead, on scenes that are made as it goes.
"""

import pathlib
import sys
import time

import keras
from absl import app, flags, logging

import snn_keras
from snn_keras.text import table

from . import data
from .choices import check_among
from .records import read_measured
from .sources import load_model
from .train import save
from .vision import measuring, training
from .vision.tasks import TASKS

FLAGS = flags.FLAGS
KINDS = {"float": "float", "quantized": "bits"}  # networks, and the ends of their names


def define_flags():
    """Flags of this program."""
    flags.DEFINE_list("tasks", list(TASKS), f"Of {', '.join(TASKS)}.")
    flags.DEFINE_string("dataset", "digits", "Digits: digits or mnist.")
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_string(
        "networks",
        None,
        "Folder of scenes_TASK_float.keras and scenes_TASK_bits.keras; by default "
        "that of what ships.",
    )
    flags.DEFINE_integer("samples", 500, "Test scenes.", lower_bound=1)
    flags.DEFINE_integer("counted", 16, "Of these, for energy.", lower_bound=1)
    flags.DEFINE_list("timesteps", ["1", "2", "4", "8", "16"], "Numbers of steps.")
    flags.DEFINE_integer(
        "calibration_scenes", 256, "Scenes that set thresholds.", lower_bound=1
    )
    flags.DEFINE_string("folder", "docs", "Where scenes.json is written.")
    flags.DEFINE_enum("train", None, list(TASKS), "Train this network instead.")
    flags.DEFINE_string("init", None, "The trained network to begin with.")
    flags.DEFINE_integer(
        "levels", 0, "Levels of its activations; 0 for ReLUs.", lower_bound=0
    )
    flags.DEFINE_integer(
        "width", 0, "Channels of its first layer; 0 for the usual.", lower_bound=0
    )
    flags.DEFINE_integer("epochs", 10, "Epochs of training.", lower_bound=1)
    flags.DEFINE_integer("batches", 128, "Batches in an epoch.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 16, "Scenes in a batch.", lower_bound=1)
    flags.DEFINE_float("learning_rate", 2e-3, "Highest learning rate.")
    flags.DEFINE_integer("seed", 0, "Seed of weights and of training scenes.")
    flags.DEFINE_string("output", None, "Where the trained network is written.")


def digits(split):
    """Images of digits, of training or of test."""
    return data.load(FLAGS.dataset, split, FLAGS.data_dir)


def begin(task):
    """The network to train."""
    keras.utils.set_random_seed(FLAGS.seed)
    size = {"width": FLAGS.width} if FLAGS.width else {}
    model = load_model(FLAGS.init) if FLAGS.init else task.network(**size)
    if FLAGS.levels:
        images = training.calibration(digits("train"), FLAGS.calibration_scenes)
        model = snn_keras.quantize_activations(model, FLAGS.levels, data=images)
    return model


def train(task):
    """Trains a network, and writes it, with what was done beside it."""
    output = pathlib.Path(FLAGS.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    model = begin(task)
    batches = training.Batches(
        task, digits("train"), FLAGS.batch_size, FLAGS.batches, FLAGS.seed
    )
    started = time.monotonic()
    history = training.train(model, task, batches, FLAGS.epochs, FLAGS.learning_rate)
    seconds = round(time.monotonic() - started)
    save(model, output)
    given = [flag for flag in sys.argv[1:] if flag != "scenes"]
    made = {"command": " ".join(["python -m apps.scenes", *given]), "seconds": seconds}
    data.write_json(output.with_suffix(".json"), {**made, "history": history})
    print(f"wrote {output}")


def networks(task):
    """The networks of a task, by kind."""
    folder = pathlib.Path(FLAGS.networks) if FLAGS.networks else data.SHIPPED
    return {
        kind: load_model(folder / f"scenes_{task.name}_{end}.keras")
        for kind, end in KINDS.items()
    }


def measure(task, timesteps):
    """The figures of a task: of the networks, and of spiking ones by time steps."""
    scenes = training.held_out(digits("test"), FLAGS.samples)
    images = training.calibration(digits("train"), FLAGS.calibration_scenes)
    models = networks(task)
    sources = {k: measuring.score(task, m, scenes) for k, m in models.items()}
    rows = []
    for kind, neuron in measuring.ROWS:
        logging.info("%s: %s network, %s neurons", task.name, kind, neuron)
        at = measuring.measured(
            task, models[kind], neuron, scenes, images, timesteps, FLAGS.counted
        )
        rows.append({"source": kind, "neuron": neuron, "at": at})
        keras.utils.clear_session()  # what was compiled takes gigabytes
    figures = {"samples": len(scenes), "measures": task.measures}
    return {**figures, "without_spikes": sources, "spiking": rows}


def show(name, figures):
    """Prints the figures of a task."""
    for i, measure in enumerate(figures["measures"]):
        known = figures["without_spikes"].items()
        sources = ", ".join(f"{kind} {100 * found[i]:.1f}" for kind, found in known)
        print(f"\n{name}: {measure} on {figures['samples']} scenes; {sources}")
        print(by_steps(figures, lambda at, i=i: f"{100 * at['scores'][i]:.1f}"))
    print(f"\n{name}: thousands of spikes, and energy over a quantized network's")
    print(by_steps(figures, lambda at: f"{at['spikes'] / 1e3:.1f}, {at['ratio']:.2f}"))
    sys.stdout.flush()


def by_steps(figures, shown):
    """A table of all spiking networks by time steps."""
    header = [f"T = {at['T']}" for at in figures["spiking"][0]["at"]]
    rows = [
        (row["source"], row["neuron"], *map(shown, row["at"]))
        for row in figures["spiking"]
    ]
    return table([("network", "neuron", *header), *rows])


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if FLAGS.train:
        if pathlib.Path(FLAGS.output or "").suffix != ".keras":
            raise app.UsageError(
                f"--output must end in .keras. Received: {FLAGS.output}"
            )
        train(TASKS[FLAGS.train])
        return
    check_among("tasks", TASKS)
    try:
        timesteps = sorted(int(t) for t in FLAGS.timesteps)
    except ValueError as error:
        raise app.UsageError(f"--timesteps: {error}") from error
    file = pathlib.Path(FLAGS.folder) / "scenes.json"
    found = read_measured(file)
    for name in FLAGS.tasks:
        found[name] = measure(TASKS[name], timesteps)
        show(name, found[name])
        data.write_json(file, found)


if __name__ == "__main__":
    define_flags()
    app.run(main)
