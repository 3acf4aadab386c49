"""Converts a trained model and prints its accuracy at each time step.

    python -m apps.evaluate --model=runs/fashion.keras --dataset=fashion_mnist

One run gives every time step. A model with plain ReLUs is quantized first, to
--levels levels, on --calibration_images training images.

    --neuron=signed                        the neurons, and
    --neuron=if --neuron_options=initial=0     their options

With --settle signed or differential neurons run until none fires, and the outputs are
compared with the source's; --float64 computes both in that precision, where rounding
breaks no tie.
"""

import ast
import json
import time

import keras
import numpy as np
from absl import app, flags

import snn_keras
from snn_keras import analysis, layers, neurons
from snn_keras.text import progress

from . import data, sources

FLAGS = flags.FLAGS


def define_flags():
    """Flags of this program; a function, so that others can import the rest."""
    sources.define_flags()
    sources.define_calibration_flags()
    flags.adopt_module_key_flags(sources)
    flags.DEFINE_integer(
        "timesteps",
        None,
        "Time steps of the run; 16 by default, for a float network as many as its "
        "neurons need.",
    )
    flags.DEFINE_enum(
        "neuron", "auto", ["auto", *sorted(neurons.by_name)], "The neurons."
    )
    flags.DEFINE_list(
        "neuron_options", [], "Options of the neurons' cell, such as stage=2,alpha=4."
    )
    flags.DEFINE_bool(
        "settle", False, "Run signed or differential neurons until they rest."
    )
    flags.DEFINE_bool("float64", False, "Compute in float64.")
    flags.DEFINE_integer("levels", 0, "Quantize plain ReLUs to N levels first.")
    flags.DEFINE_bool("bias_correction", False, "Correct the mean error of channels.")
    flags.DEFINE_bool(
        "reestimate",
        False,
        "Estimate batch normalization's statistics anew first, on the training images "
        "that --calibration_images counts.",
    )
    flags.DEFINE_bool("verify", False, "Print the mismatch of every layer too.")
    flags.DEFINE_string("output", None, "Write the figures to this JSON file.")


def make_neuron(name, options, flag="neuron"):
    """The neuron that the flags name: a name, or a cell with options.

    Args:
        name: A name that `snn_keras.convert` knows.
        options: Strings `"option=value"`.
        flag: The flag of the name, for messages; that of options is `FLAG_options`.
    """
    if not options:
        return name
    if name not in neurons.by_name:
        raise app.UsageError(f"--{flag}_options needs a --{flag}. Received: {name}")
    values = {}
    for option in options:
        key, _, value = option.partition("=")
        try:
            values[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[key] = value
    try:
        return neurons.by_name[name](**values)
    except (TypeError, ValueError) as error:
        raise app.UsageError(f"--{flag}_options: {error}") from error


def allow_float64(allowed=True):
    """Sets whether JAX computes in float64; it rounds to float32 otherwise."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", allowed)


def full_float32():
    """Lets JAX multiply in float32 on accelerators, which round to fewer bits else."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")


def in_float64(model):
    """The same model, computing in float64."""
    allow_float64()
    config = json.dumps(keras.saving.serialize_keras_object(model))
    config = json.loads(config.replace('"float32"', '"float64"'))
    wide = keras.saving.deserialize_keras_object(config)
    wide.set_weights(model.get_weights())
    return wide


def with_levels(model, levels):
    """The same network with so many levels in each quantized activation.

    Thresholds and all other weights stay. With `levels` = T it is the spiking network
    of T steps without error in time (Huang et al. 2024, eq. 7).
    """

    def copied(layer):
        config = layer.get_config()
        if isinstance(layer, layers.QuantizedActivation):
            config["levels"] = levels
        return type(layer).from_config(config)

    made = keras.models.clone_model(model, clone_function=copied)
    made.set_weights(model.get_weights())
    for before, after in zip(model.layers, made.layers, strict=True):
        if isinstance(after, layers.QuantizedActivation):
            after.set_threshold(before.threshold_value())
    return made


def accuracy(model, images, labels, batch_size):
    """The share of images that a source network answers right."""
    answers = model.predict(images, batch_size=batch_size, verbose=0).argmax(-1)
    return float((answers == labels).mean())


def settle(model, images, batch_size, neuron="signed"):
    """Runs signed or differential neurons to rest.

    Returns:
        `(figures, differ)`: what to say about it, and `(samples,)`, which answers are
        not the source's or have outputs that differ by more than 1e-4.
    """
    snn = snn_keras.convert(model, "settle", neuron)
    expected = model.predict(images, batch_size, verbose=0)
    received, steps = snn.predict_until_settled(images, batch_size)
    off = np.abs(received - expected).max(-1)
    same = received.argmax(-1) == expected.argmax(-1)
    figures = {
        "samples": len(images),
        "same_answer": int(same.sum()),
        "largest_difference": float(off.max()),
        "off_by_more_than_1e-4": int(np.sum(off > 1e-4)),
        "largest_output": float(np.abs(expected).max()),
        "steps_mean": float(steps.mean()),
        "steps_max": int(steps.max()),
        "input_steps": snn.coding.input_steps,
    }
    return figures, ~same | (off > 1e-4)


def evaluate(model, snn, images, labels, batch_size, timesteps=None):
    """Accuracy of a source network, and of its spiking network over time.

    Returns:
        `(figures, right)`: `{"ann": accuracy, "timesteps": [...], "snn": [accuracy at
        each of them], "seconds": ..., ...}` and, for each of the steps, which images
        the spiking network answers right, `(timesteps, samples)`. The steps are
        `timesteps`, all by default; where one run gives all of them, all in any case.
    """
    if timesteps is None or snn.coding.any_time:
        timesteps = range(1, snn.timesteps + 1)
    ann = accuracy(model, images, labels, batch_size)
    started = time.monotonic()
    found = analysis.answers_by_timesteps(
        snn, images, batch_size, progress(), timesteps
    )
    right = found == labels
    figures = {
        "samples": len(labels),
        "ann": ann,
        "timesteps": list(timesteps),
        "snn": right.mean(-1).tolist(),
        "extra_steps": snn.extra_steps,
        "seconds": round(time.monotonic() - started, 1),
    }
    return figures, right


def print_accuracy(name, figures, timesteps=None):
    """Prints the accuracies of `evaluate`, at powers of two by default."""
    last = len(figures["snn"])
    timesteps = timesteps or [2**i for i in range(last.bit_length())]
    if last not in timesteps:
        timesteps.append(last)
    print(f"\n{name}: accuracy on {figures['samples']} test images")
    print(f"  source network   {figures['ann']:7.2%}")
    for t in timesteps:
        print(f"  spiking, T = {t:<4}{figures['snn'][t - 1]:7.2%}")
    extra = f" + {figures['extra_steps']} extra" if figures["extra_steps"] else ""
    print(f"  ({figures['seconds']} s for T = 1 ... {last}{extra})", flush=True)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    model, images, labels = sources.model_and_test_set()
    if FLAGS.reestimate:
        snn_keras.reestimate_statistics(model, sources.calibration_images(model, True))
    if FLAGS.float64:
        model, images = in_float64(model), images.astype("float64")
    if FLAGS.settle:
        if sources.is_float(model):
            model = snn_keras.quantize_activations(
                model,
                FLAGS.levels or 255,
                data=sources.calibration_images(model),
                calibration=FLAGS.calibration,
            )
        neuron = "signed" if FLAGS.neuron == "auto" else FLAGS.neuron
        neuron = make_neuron(neuron, FLAGS.neuron_options)
        figures, _ = settle(model, images, FLAGS.batch_size, neuron)
        print("\n".join(f"{name:22} {value:g}" for name, value in figures.items()))
        if FLAGS.output:
            data.write_json(FLAGS.output, figures)
        return
    always = bool(FLAGS.levels or FLAGS.bias_correction)
    calibration = sources.calibration_images(model, always)
    timesteps = FLAGS.timesteps
    if timesteps is None and not sources.is_float(model):
        timesteps = 16
    source = model
    if FLAGS.levels:
        found = accuracy(model, images, labels, FLAGS.batch_size)
        print(f"float network: {found:.2%}", flush=True)
        model = snn_keras.quantize_activations(
            model,
            levels=FLAGS.levels,
            data=calibration,
            calibration=FLAGS.calibration,
        )
    snn = snn_keras.convert(
        source,
        timesteps,
        make_neuron(FLAGS.neuron, FLAGS.neuron_options),
        data=calibration,
        levels=FLAGS.levels or None,
        calibration=FLAGS.calibration,
        bias_correction=FLAGS.bias_correction,
    )
    figures, _ = evaluate(model, snn, images, labels, FLAGS.batch_size)
    print_accuracy(model.name, figures)
    if FLAGS.verify:
        print(snn_keras.verify(model, snn, images[:256]))
    if FLAGS.output:
        data.write_json(FLAGS.output, figures)


if __name__ == "__main__":
    define_flags()
    app.run(main)
