"""Trains a quantized network, ready to convert, and writes it with its metrics.

    python -m apps.train --dataset=fashion_mnist --data_dir=... \\
        --levels=2 --noise=adaptor --epochs=20 --output=runs/fashion.keras

Beside the model `NAME.keras` it writes `NAME.json`: the command and the accuracy
of every epoch.
"""

import pathlib
import sys
import time

import keras
from absl import app, flags, logging

from apps import data
from snn_keras import applications, layers

FLAGS = flags.FLAGS


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
    flags.DEFINE_enum(
        "quantizer", "lsq", ["lsq", "qcfs", "none"], "Activation; none is a plain ReLU."
    )
    flags.DEFINE_integer(
        "levels", 3, "Positive levels of an activation.", lower_bound=1
    )
    flags.DEFINE_enum("noise", "none", ["none", "adaptor"], "Noise added in training.")
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
    flags.DEFINE_integer("seed", 0, "Seed of weights, order, augmentation and noise.")
    flags.DEFINE_string("output", "runs/model.keras", "Where to write the model.")
    flags.DEFINE_enum("progress", "bar", ["bar", "line", "none"], "Progress report.")


def build_model(input_shape, classes):
    """The network that the flags describe, with its activations."""
    noise = None if FLAGS.noise == "none" else FLAGS.noise
    activation = {
        "lsq": lambda: layers.LSQReLU(FLAGS.levels, noise),
        "qcfs": lambda: layers.QCFS(FLAGS.levels, noise),
        "none": lambda: keras.layers.ReLU(),
    }[FLAGS.quantizer]()
    network = getattr(applications, FLAGS.model)
    return network(input_shape, classes, activation)


def compile_model(model, steps):
    """AdamW on a cosine schedule, cross-entropy on logits, XLA."""
    schedule = keras.optimizers.schedules.CosineDecay(FLAGS.learning_rate, steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=FLAGS.weight_decay)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "step", "threshold"]
    )
    model.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=FLAGS.label_smoothing
        ),
        metrics=["accuracy"],
        jit_compile=True,
    )


class OneHot(keras.utils.PyDataset):
    """The batches of another data set with one-hot labels."""

    def __init__(self, batches, classes):
        super().__init__()
        self.batches = batches
        self.classes = classes

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        images, labels = self.batches[index]
        return images, keras.utils.to_categorical(labels, self.classes)

    def on_epoch_end(self):
        self.batches.on_epoch_end()


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    output = pathlib.Path(FLAGS.output)
    if output.suffix != ".keras":
        raise app.UsageError(f"--output must end in .keras. Received: {output}")
    keras.utils.set_random_seed(FLAGS.seed)
    train = data.load(FLAGS.dataset, "train", FLAGS.data_dir).take(FLAGS.train_images)
    test = data.load(FLAGS.dataset, "test", FLAGS.data_dir)
    classes = int(train.labels.max()) + 1
    batches = data.Batches(train, FLAGS.batch_size, FLAGS.seed, FLAGS.crop, FLAGS.flip)
    model = build_model(train.images.shape[1:], classes)
    compile_model(model, FLAGS.epochs * len(batches))
    output.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    history = model.fit(
        OneHot(batches, classes),
        epochs=FLAGS.epochs,
        validation_data=(
            data.preprocess(test.images),
            keras.utils.to_categorical(test.labels, classes),
        ),
        validation_batch_size=500,
        verbose={"bar": 1, "line": 2, "none": 0}[FLAGS.progress],
    )
    temporary = output.with_name(f".{output.stem}.partial.keras")
    model.save(temporary, include_optimizer=False)
    temporary.replace(output)
    logging.info("wrote %s", output)
    data.write_json(
        output.with_suffix(".json"),
        {
            "command": "python -m apps.train " + " ".join(sys.argv[1:]),
            "seconds": round(time.monotonic() - started),
            "ann_accuracy": history.history["val_accuracy"][-1],
            "history": history.history,
        },
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
