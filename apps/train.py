"""Trains a quantized network, ready to convert, and writes it with its metrics.

    python -m apps.train --dataset=fashion_mnist --data_dir=... \\
        --levels=2 --noise=adaptor --epochs=20 --output=runs/fashion.keras

    python -m apps.train --dataset=cifar10 --data_dir=... --model=resnet20 \\
        --recipe=noise_adaptor --float_epochs=40 --epochs=15 --crop=4 --flip

The second trains a float network first, and a quantized one from it, by the recipe of
a paper; what is given beside it counts before the recipe. Beside the model
`NAME.keras` it writes `NAME.csv`, a line for every epoch, and `NAME.json` with the
command. A run that was interrupted, in any way, goes on from its last whole epoch when
the same command is given again.

With --snn_timesteps the network that is kept is that of the epoch whose spiking
network is best, of the last third of all, on training images held out for it; else that
of the last epoch.

Several devices: --replicas. Several machines, on JAX, the same command on each with a
number of its own, and --output in a folder that all share:

    KERAS_BACKEND=jax python -m apps.train ... \\
        --coordinator=HOST:PORT --processes=2 --process=0
"""

import dataclasses
import importlib.util
import itertools
import pathlib
import sys
import time

import keras
import numpy as np
from absl import app, flags, logging

import snn_keras
from snn_keras import applications, callbacks, files, layers
from snn_keras.backend import backend

from . import data
from .evaluate import allow_float64, make_neuron
from .records import read_trained
from .sources import load_model
from .training import auto_augment, distribution, recipes, schedules, uses
from .training import flags as training_flags
from .training.augmentation import Augmentation
from .training.backup import Backup
from .training.sources import InMemory, Stream
from .training.whole_epochs import WholeEpochs, train_by_epochs

FLAGS = flags.FLAGS

CALIBRATION_IMAGES = 1000

ACTIVATIONS = {
    "lsq": layers.LSQReLU,
    "qcfs": layers.QCFS,
    "slip_relu": layers.SlipReLU,
    "noisy_spike": lambda _, noise, **__: layers.NoisySpike(noise or "gaussian"),
    "none": lambda *_, **__: keras.layers.ReLU(),
}


def define_flags():
    """Flags of this program."""
    training_flags.define()
    flags.adopt_module_key_flags(training_flags)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One training: of a float network, or of a quantized one from it.

    Attributes:
        output: Where its network goes.
        init: The file that it starts from, or None.
        settings: Flags by name: what is trained, and how.
    """

    output: pathlib.Path
    init: pathlib.Path | None
    settings: dict

    def __getattr__(self, name):
        try:
            return self.settings[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def needs_thresholds(self):
        """Whether its neurons take their thresholds from data, before it begins.

        Spikes need them from the start, and LSQ has them after the first batch.
        """
        return self.timesteps and not self.init and self.quantizer != "noisy_spike"

    @property
    def backup(self):
        """Where all is that the training needs to go on."""
        return self.output.with_name(f".{self.output.stem}.backup.npz")

    @property
    def kept(self):
        """Where the best network so far is, while it trains."""
        return self.output.with_name(f".{self.output.stem}.kept.keras")

    @property
    def is_done(self):
        """Whether its network is there, made with the same settings."""
        metrics = self.output.with_suffix(".json")
        if not (self.output.exists() and metrics.exists()):
            return False
        made = read_trained(metrics).get("settings")
        if made is None:
            return False
        return {**training_flags.defaults(), **made} == self.settings

    def clean(self):
        """Removes what only a training that goes on needs."""
        self.backup.unlink(missing_ok=True)  # first: it asks for the other one
        self.kept.unlink(missing_ok=True)


def stages(output):
    """The trainings that the flags ask for, one from the other."""
    settings = training_flags.settings()
    init = FLAGS.init and pathlib.Path(FLAGS.init)
    if FLAGS.float_epochs:
        plain = {
            "quantizer": "none",
            "products": "numbers",
            "output_levels": 0,
            "noise": "none",
            "delta": 0.0,
            "tau": 0,
            "bit_sparsity": 0.0,
            "weight_bits": 0,
            "weight_sparsity": 0.0,
            "snn_timesteps": [],
            "timesteps": 0,
            "epochs": FLAGS.float_epochs,
            "learning_rate": FLAGS.float_learning_rate or FLAGS.learning_rate,
        }
        # What a float network does not depend on.
        names = "levels", "recipe", "scale_gradient", "snn_neuron", "snn_neuron_options"
        anyhow = dict.fromkeys(names)
        before = output.with_name(f"{output.stem}_float.keras")
        yield Stage(before, init, {**settings, **plain, **anyhow})
        init = before
    yield Stage(output, init, settings)


def noise_of(stage):
    """The noise of a stage's activations, as they take it."""
    if stage.delta:
        return layers.ResidualNoise(initial_delta=stage.delta)
    return None if stage.noise == "none" else stage.noise


def neuron_of(stage):
    """The neurons of a stage's spiking network."""
    return make_neuron(stage.snn_neuron, stage.snn_neuron_options, "snn_neuron")


def measured_noise(stage, images):
    """The callback that measures it on `images`."""
    return callbacks.ResidualNoise(images, stage.tau or None)


def build_model(stage, source):
    """The network of a stage, with its activations."""
    noise = noise_of(stage)
    classes, shape = source.classes, source.shape
    calibration = source.sample(CALIBRATION_IMAGES)
    if stage.init:
        model = load_model(stage.init)
        received = model.input_shape[1:], model.output_shape[1:]
        if received != (shape, (classes,)):
            raise ValueError(
                f"{stage.init} maps {received[0]} to {received[1]}; the data set "
                f"'{stage.dataset}' has images {shape} and {classes} classes. Remedy: "
                "a network made for it."
            )
        if stage.quantizer != "none":
            model = snn_keras.quantize_activations(
                model,
                stage.levels,
                stage.quantizer,
                noise,
                data=calibration,
                scale_gradient=stage.scale_gradient,
                products=stage.products,
            )
    else:
        kind = ACTIVATIONS["none" if stage.needs_thresholds else stage.quantizer]
        activation = kind(stage.levels, noise, scale_gradient=stage.scale_gradient)
        network = getattr(applications, stage.model)
        options = {"norm_momentum": stage.norm_momentum}
        if stage.model in training_flags.POOLED:
            options["pooling"] = stage.pooling
        model = network(shape, classes, activation, **options)
    if stage.output_levels:
        spiking = layers.LSQReLU(stage.output_levels, name="head_act")
        model = keras.Model(model.inputs, spiking(model.output), name=model.name)
    if stage.bit_sparsity:
        snn_keras.regularizers.BitSparsity(stage.bit_sparsity).apply(model)
    if stage.weight_bits:
        model = snn_keras.quantize_weights(
            model,
            stage.weight_bits,
            sparsity=stage.weight_sparsity or None,
            data=calibration,
        )
    if stage.timesteps:
        return snn_keras.convert(
            model,
            stage.timesteps,
            neuron_of(stage),
            data=calibration,
            levels=stage.levels if stage.needs_thresholds else None,
        )
    return model


def compile_model(model, stage, steps_per_epoch):
    """The optimizer and its schedule, and the loss on logits."""
    schedule = schedules.make_schedule(
        stage.schedule,
        stage.learning_rate,
        stage.epochs * steps_per_epoch,
        round(stage.warmup_epochs * steps_per_epoch),
        round(stage.restart_epochs * steps_per_epoch),
    )
    loss = {
        "crossentropy": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=stage.label_smoothing
        ),
        "mse": keras.losses.MeanSquaredError(),
    }[stage.loss]
    optimizer = schedules.make_optimizer(
        stage.optimizer, schedule, stage.momentum, stage.weight_decay, stage.ema
    )
    # With "auto" Keras leaves XLA out on CPUs, where TensorFlow's kernels do as well; a
    # spiking network takes it.
    jit_compile = {"auto": "auto", "yes": True, "no": False}[FLAGS.xla]
    model.compile(
        optimizer, loss, weighted_metrics=["accuracy"], jit_compile=jit_compile
    )


def runs_whole_epochs(where):
    """Whether a whole epoch is one program: it takes JAX, and images in memory."""
    if FLAGS.whole_epochs == "auto":
        wanted = keras.backend.backend() == "jax" and not backend.on_cpu()
    else:
        wanted = FLAGS.whole_epochs == "yes"
    hindrances = {
        "takes the JAX backend: KERAS_BACKEND=jax": keras.backend.backend() != "jax",
        "takes one device": where.replicas > 1 or where.processes > 1,
        "takes images held in memory, so no --image_size": FLAGS.image_size,
    }
    found = [text for text, hinders in hindrances.items() if hinders]
    if FLAGS.whole_epochs == "yes" and found:
        raise app.UsageError(f"--whole_epochs=yes {'; '.join(found)}.")
    return wanted and not found


class FollowEpoch(keras.callbacks.Callback):
    """Tells the batches which epoch it is, when a run that was cut off goes on."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


class SwapEMAWeights(keras.callbacks.SwapEMAWeights):
    """Keras's, also where a run goes on: it was cut off with the mean in the model."""

    def on_epoch_begin(self, epoch, logs=None):
        self._ema_weights_in_model |= epoch > 0
        super().on_epoch_begin(epoch, logs)


class Clock(keras.callbacks.Callback):
    """Adds to an epoch's figures the seconds that its training steps took."""

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.last = logs

    def on_test_begin(self, logs=None):
        float(self.last["loss"])  # steps may run on when their call has returned
        self.seconds = time.monotonic() - self.started

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = round(self.seconds, 2)


class WriteCSV(keras.callbacks.Callback):
    """Writes a table of all epochs so far."""

    def __init__(self, path, backup):
        super().__init__()
        self.path = path
        self.backup = backup

    def on_epoch_end(self, epoch, logs=None):
        history = self.backup.history
        rows = [["epoch", *history]]
        for i in range(self.backup.epoch):
            values = [f"{v[i]:.6g}" if i < len(v) else "" for v in history.values()]
            rows.append([str(i + 1), *values])
        with files.written_whole(self.path) as partial:
            partial.write_text("".join(",".join(row) + "\n" for row in rows))


def first_kept(stage):
    """The first epoch, from 0, that --snn_timesteps may keep: of the last third."""
    return stage.epochs * 2 // 3


def kept_accuracies(stage, history):
    """What the spiking network reached in the epochs that may be kept."""
    found = history.get(f"snn_accuracy_{int(stage.snn_timesteps[-1])}", [])
    return found[first_kept(stage) :]


def kept_epoch(stage, history):
    """The number, from 1, of the epoch whose network is kept."""
    if not stage.snn_timesteps:
        return stage.epochs
    return first_kept(stage) + 1 + int(np.argmax(kept_accuracies(stage, history)))


def augmented_images(source, stage, augmentation):
    """Training images as training sees them, as many as --reestimate says."""
    where = distribution.Distribution()  # whole batches, in every process
    batches = source.batches(stage.batch_size, stage.seed, augmentation, where)
    batches.epoch = stage.epochs
    count = min(len(batches), -(-stage.reestimate // stage.batch_size))
    found = itertools.islice(iter(batches), count)
    return np.concatenate([np.asarray(images) for images, _ in found])


def make_callbacks(stage, where, batches, held_out, backup):
    """What the flags ask for after every epoch, and the backup."""
    made = [Clock(), FollowEpoch(batches)]
    if stage.ema:
        made.append(SwapEMAWeights(swap_on_epoch=True))
    if uses.is_measured(stage):
        images = data.preprocess(held_out.images)
        made.append(where.whole(measured_noise(stage, images)))
    if stage.snn_timesteps:
        validation = callbacks.SpikingValidation(
            data.preprocess(held_out.images),
            held_out.labels,
            [int(t) for t in stage.snn_timesteps],
            where.place(stage.kept),
            neuron=neuron_of(stage),
            first_epoch=first_kept(stage),
        )
        # A run that goes on keeps what beats the best of the one that was cut off.
        before = kept_accuracies(stage, backup.history)
        validation.best = max(before, default=validation.best)
        made.append(where.whole(validation))
    if FLAGS.tensorboard and where.is_first:
        made.append(keras.callbacks.TensorBoard(FLAGS.tensorboard))
    table = where.place(stage.output).with_suffix(".csv")
    return [*made, backup, WriteCSV(table, backup)]


def train_stage(stage, where, source):
    """Trains one network and writes it, with its metrics."""
    keras.utils.set_random_seed(stage.seed)
    with where.scope():
        model = build_model(stage, source)
    held_out = None
    if stage.snn_timesteps or uses.is_measured(stage):
        source, held_out = source.hold_out(stage.held_out)
    augmentation = Augmentation(
        stage.crop, stage.flip, stage.auto_augment, stage.cutout, stage.mixup
    )
    batches = source.batches(stage.batch_size, stage.seed, augmentation, where)
    with where.scope():
        where.synchronize(model)
        compile_model(model, stage, len(batches))
        if runs_whole_epochs(where):
            model.test_on_batch(*source.test_batches(where)[0])  # builds the metrics
            batches = WholeEpochs(batches)
            train_by_epochs(model, batches)
        defaults = training_flags.defaults()
        backup = Backup(stage.backup, stage.settings, defaults, where.is_first)
        epoch = backup.restore(model)
    if epoch:
        logging.info("goes on after epoch %d of %d", epoch, stage.epochs)
    batches.epoch = epoch
    endless = not isinstance(batches, keras.utils.PyDataset)
    model.fit(
        iter(batches) if endless else batches,
        steps_per_epoch=len(batches) if endless else None,
        epochs=stage.epochs,
        shuffle=False,  # the batches are shuffled already
        initial_epoch=epoch,
        validation_data=source.test_batches(where),
        callbacks=make_callbacks(stage, where, batches, held_out, backup),
        verbose={"bar": 1, "line": 2, "none": 0}[FLAGS.progress],
    )
    output = where.place(stage.output)
    if stage.snn_timesteps:
        where.meet()  # until the first has written what it kept
        with distribution.alone():
            model = snn_keras.load_model(stage.kept)
        where.meet()  # until all have read it
    if stage.reestimate:
        with where.scope(), distribution.alone():
            images = augmented_images(source, stage, augmentation)
            snn_keras.reestimate_statistics(model, images)
    save(model, output)
    data.write_json(
        output.with_suffix(".json"),
        {
            "command": " ".join(["python -m apps.train", *flags_given()]),
            "seconds": round(sum(backup.history["seconds"])),
            "epochs": list(range(1, backup.epoch + 1)),
            "kept_epoch": kept_epoch(stage, backup.history),
            "history": backup.history,
            "settings": stage.settings,
        },
    )
    if where.is_first:
        stage.clean()
    logging.info("wrote %s", output)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    output = pathlib.Path(FLAGS.output)
    if output.suffix != ".keras":
        raise app.UsageError(f"--output must end in .keras. Received: {output}")
    if FLAGS.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise app.UsageError("--tensorboard needs: pip install tensorboard tensorflow")
    if FLAGS.recipe:
        recipes.apply(FLAGS, FLAGS.recipe)
    *before, last = stages(output)
    uses.check(last)
    neuron_of(last)
    set_precision(FLAGS.precision)
    where = distribution.start(
        FLAGS.replicas, FLAGS.coordinator, FLAGS.processes, FLAGS.process
    )
    if FLAGS.image_size:
        source = Stream(
            FLAGS.dataset, FLAGS.data_dir, FLAGS.image_size, FLAGS.train_images
        )
    else:
        source = InMemory(FLAGS.dataset, FLAGS.data_dir, FLAGS.train_images)
    if FLAGS.auto_augment:
        auto_augment.check_shape(source.shape)
    output.parent.mkdir(parents=True, exist_ok=True)
    for stage in before:
        if stage.is_done:
            logging.info("%s is there", stage.output)
            stage.clean()
        else:
            with where.together():
                train_stage(stage, where, source)
    with where.together():
        train_stage(last, where, source)


def set_precision(precision):
    """Sets what layers, losses and metrics compute in."""
    keras.config.set_dtype_policy(precision)
    if precision == "float64":
        keras.config.set_floatx("float64")
        allow_float64()


def flags_given():
    """The command line after the program's name."""
    given = sys.argv[1:]
    return given[1:] if given[:1] == ["train"] else given


def save(model, path):
    """Writes `model`, without its optimizer and as a network of float32."""
    for layer in model.layers:
        layer.dtype_policy = "float32"
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = False
    model.compiled, model.optimizer = False, None
    with files.written_whole(path) as partial:
        model.save(partial)


if __name__ == "__main__":
    define_flags()
    app.run(main)
