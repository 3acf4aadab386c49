"""Trains a quantized network, ready to convert, and writes it with its metrics.

    python -m apps.train --dataset=fashion_mnist --data_dir=... \\
        --levels=2 --noise=adaptor --epochs=20 --output=runs/fashion.keras

    python -m apps.train ... --quantizer=none --output=runs/float.keras
    python -m apps.train ... --init=runs/float.keras --levels=15 --epochs=5

trains from nothing, or a float network first and a quantized one from it. Beside
the model `NAME.keras` it writes `NAME.json`: the command and the accuracy of every
epoch. A run that was interrupted goes on from its last whole epoch when the same
command is given again.

With --snn_timesteps the network that is kept is that of the epoch whose spiking
network is best, on training images held out for it; else that of the last epoch.
"""

import pathlib
import sys
import time

import keras
from absl import app, flags, logging

import snn_keras
from apps import data
from apps.evaluate import load_model
from snn_keras import applications, callbacks, layers, neurons

FLAGS = flags.FLAGS

CALIBRATION_IMAGES = 1000

ACTIVATIONS = {
    "lsq": layers.LSQReLU,
    "qcfs": layers.QCFS,
    "slip_relu": layers.SlipReLU,
    "noisy_spike": lambda levels, noise: layers.NoisySpike(),
    "none": lambda levels, noise: keras.layers.ReLU(),
}


def define_flags():
    """Flags of this program."""
    flags.DEFINE_string(
        "dataset", "digits", "Data set: digits, or the name of a TFDS image set."
    )
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_enum(
        "model",
        "mnist_convnet",
        ["mnist_convnet"],
        "Network of snn_keras.applications.",
    )
    flags.DEFINE_string(
        "init",
        None,
        "Start from this .keras file; its plain ReLUs become --quantizer.",
    )
    flags.DEFINE_enum(
        "quantizer",
        "lsq",
        sorted(ACTIVATIONS),
        "Activation; none is a plain ReLU, noisy_spike that of paper 003.",
    )
    flags.DEFINE_integer(
        "levels", 3, "Positive levels of an activation.", lower_bound=1
    )
    flags.DEFINE_enum(
        "noise",
        "none",
        ["none", "adaptor", "residual"],
        "Noise added in training: that of paper 000 or of paper 001.",
    )
    flags.DEFINE_float(
        "bit_sparsity",
        0.0,
        "Penalty on every one bit of an activation (paper 002).",
        lower_bound=0.0,
    )
    flags.DEFINE_enum(
        "loss", "crossentropy", ["crossentropy", "mse"], "Loss on the logits."
    )
    flags.DEFINE_integer("epochs", 20, "Passes over the training set.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 128, "Images a training step.", lower_bound=1)
    flags.DEFINE_float(
        "learning_rate", 1e-3, "Adam's learning rate; falls to 0 on a cosine."
    )
    flags.DEFINE_float("weight_decay", 1e-4, "Decoupled weight decay.", lower_bound=0.0)
    flags.DEFINE_float("label_smoothing", 0.0, "Label smoothing.", lower_bound=0.0)
    flags.DEFINE_integer(
        "crop", 0, "Pixels to pad by, then crop at random.", lower_bound=0
    )
    flags.DEFINE_bool("flip", False, "Mirror half the training images.")
    flags.DEFINE_integer("train_images", 0, "Use the first N only; 0 for all.")
    flags.DEFINE_list(
        "snn_timesteps",
        [],
        "Log the spiking network's accuracy at these time steps after every epoch, "
        "and keep the epoch that is best at the last of them.",
    )
    flags.DEFINE_enum(
        "snn_neuron",
        "auto",
        ["auto", *sorted(neurons.by_name)],
        "Neurons of that spiking network.",
    )
    flags.DEFINE_integer(
        "held_out",
        1000,
        "Training images held out for --snn_timesteps and --noise=residual.",
        lower_bound=1,
    )
    flags.DEFINE_integer("seed", 0, "Seed of weights, order, augmentation and noise.")
    flags.DEFINE_string("output", "runs/model.keras", "Where to write the model.")
    flags.DEFINE_enum("progress", "bar", ["bar", "line", "none"], "Progress report.")


def build_model(train):
    """The network that the flags describe, with its activations."""
    noise = None if FLAGS.noise == "none" else FLAGS.noise
    if not FLAGS.init:
        activation = ACTIVATIONS[FLAGS.quantizer](FLAGS.levels, noise)
        network = getattr(applications, FLAGS.model)
        model = network(train.images.shape[1:], classes_of(train), activation)
    elif FLAGS.quantizer == "none":
        model = load_model(FLAGS.init)
    else:
        calibration = data.preprocess(train.take(CALIBRATION_IMAGES).images)
        model = snn_keras.quantize_activations(
            load_model(FLAGS.init),
            FLAGS.levels,
            FLAGS.quantizer,
            noise,
            data=calibration,
        )
    if FLAGS.bit_sparsity:
        snn_keras.regularizers.BitSparsity(FLAGS.bit_sparsity).apply(model)
    return model


def classes_of(split):
    """How many classes the labels of `split` name."""
    return int(split.labels.max()) + 1


def compile_model(model, steps):
    """AdamW on a cosine schedule, the loss on logits, XLA."""
    schedule = keras.optimizers.schedules.CosineDecay(FLAGS.learning_rate, steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=FLAGS.weight_decay)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "step", "threshold"]
    )
    loss = {
        "crossentropy": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=FLAGS.label_smoothing
        ),
        "mse": keras.losses.MeanSquaredError(),
    }[FLAGS.loss]
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=True)


class FollowEpoch(keras.callbacks.Callback):
    """Tells the batches which epoch it is, when a run that was cut off goes on."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


def make_callbacks(batches, held_out, output):
    """What the flags ask for after every epoch, and the backup."""
    made = [FollowEpoch(batches)]
    if FLAGS.noise == "residual":
        made.append(callbacks.ResidualNoise(data.preprocess(held_out.images)))
    if FLAGS.snn_timesteps:
        made.append(
            callbacks.SpikingValidation(
                data.preprocess(held_out.images),
                held_out.labels,
                [int(t) for t in FLAGS.snn_timesteps],
                output,
                neuron=FLAGS.snn_neuron,
            )
        )
    backup = output.with_name(f".{output.stem}.backup")
    made.append(keras.callbacks.BackupAndRestore(backup, double_checkpoint=True))
    return made


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    output = pathlib.Path(FLAGS.output)
    if output.suffix != ".keras":
        raise app.UsageError(f"--output must end in .keras. Received: {output}")
    keras.utils.set_random_seed(FLAGS.seed)
    train = data.load(FLAGS.dataset, "train", FLAGS.data_dir).take(FLAGS.train_images)
    test = data.load(FLAGS.dataset, "test", FLAGS.data_dir)
    model = build_model(train)
    classes = classes_of(train)
    held_out = None
    if FLAGS.snn_timesteps or FLAGS.noise == "residual":
        train, held_out = train.hold_out(FLAGS.held_out)
    batches = data.Batches(
        train, FLAGS.batch_size, FLAGS.seed, FLAGS.crop, FLAGS.flip, classes
    )
    compile_model(model, FLAGS.epochs * len(batches))
    output.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    history = model.fit(
        batches,
        epochs=FLAGS.epochs,
        validation_data=(
            data.preprocess(test.images),
            keras.utils.to_categorical(test.labels, classes),
        ),
        validation_batch_size=500,
        callbacks=make_callbacks(batches, held_out, output),
        verbose={"bar": 1, "line": 2, "none": 0}[FLAGS.progress],
    )
    if not FLAGS.snn_timesteps:
        save(model, output)
    leave_optimizer_out(output)
    logging.info("wrote %s", output)
    figures = {k: [float(x) for x in v] for k, v in history.history.items()}
    data.write_json(
        output.with_suffix(".json"),
        {
            "command": " ".join(["python -m apps.train", *flags_given()]),
            "seconds": round(time.monotonic() - started),
            "epochs": [epoch + 1 for epoch in history.epoch],
            "history": figures,
        },
    )


def flags_given():
    """The command line after the program's name."""
    given = sys.argv[1:]
    return given[1:] if given[:1] == ["train"] else given


def save(model, path):
    """Writes `model` to a temporary name, then renames it to `path`."""
    temporary = path.with_name(f".{path.stem}.partial.keras")
    model.save(temporary)
    temporary.replace(path)


def leave_optimizer_out(path):
    """Writes the model at `path` again without its optimizer, a third the size."""
    temporary = path.with_name(f".{path.stem}.partial.keras")
    keras.models.load_model(path, compile=False).save(temporary)
    temporary.replace(path)


if __name__ == "__main__":
    define_flags()
    app.run(main)
