"""Writes a spiking network as a TFLite file of integers, and tries it.

    python -m apps.export --model=saved_models/fashion_mnist_adaptor.keras \\
        --dataset=fashion_mnist --timesteps=4 --output=fashion_mnist.tflite

Prints the accuracy of the spiking network, of its integer network and of the file, on
test images, and the size of the file beside that of the float weights.
"""

import pathlib

import numpy as np
from absl import app, flags

import snn_keras
from snn_keras import export, neurons

from . import sources
from .evaluate import make_neuron

FLAGS = flags.FLAGS


def define_flags():
    """Flags of this program; a function, so that others can import the rest."""
    sources.define_flags()
    sources.define_calibration_flags()
    flags.adopt_module_key_flags(sources)
    flags.DEFINE_string("output", None, "The file to write.")
    flags.DEFINE_bool("overwrite", False, "Replace the file if it is there.")
    flags.DEFINE_integer("timesteps", 4, "Time steps of a run.", lower_bound=1)
    flags.DEFINE_enum(
        "neuron", "auto", ["auto", *sorted(neurons.by_name)], "The neurons."
    )
    flags.DEFINE_list("neuron_options", [], "Options of the neurons' cell.")
    flags.DEFINE_enum(
        "form",
        "unrolled",
        list(export.FORMS),
        "All steps in a call, or one step with the state going in and out.",
    )
    flags.DEFINE_enum(
        "input_dtype", "int8", ["int8", "uint8", "int16"], "What the input is held in."
    )
    flags.DEFINE_enum(
        "arithmetic", "integer", list(export.ARITHMETICS), "What values are held in."
    )
    flags.DEFINE_integer(
        "file_samples", 1000, "Test images for the file; 0 for none.", lower_bound=0
    )
    flags.DEFINE_bool("summary", False, "Print every operation of the integer network.")
    flags.mark_flag_as_required("output")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    model, images, labels = sources.model_and_test_set()
    neuron = make_neuron(FLAGS.neuron, FLAGS.neuron_options)
    snn = snn_keras.convert(
        model,
        FLAGS.timesteps,
        neuron,
        data=sources.calibration_images(model),
        calibration=FLAGS.calibration,
    )
    network = export.to_tflite(
        snn,
        FLAGS.output,
        images,
        FLAGS.form,
        arithmetic=FLAGS.arithmetic,
        input_dtype=FLAGS.input_dtype,
        overwrite=FLAGS.overwrite,
    )
    print(network if FLAGS.summary else f"{len(network.operations)} operations")
    weights = 4 * sum(int(np.prod(w.shape)) for w in model.weights)
    size = pathlib.Path(FLAGS.output).stat().st_size
    share = f"{size / weights:.3f} of the float weights"
    print(f"{FLAGS.output}: {size:,} bytes, {share}", flush=True)

    spiking = snn.predict(images, 100, verbose=0)
    integers = network.predict(images)
    same = np.mean(spiking.argmax(-1) == integers.argmax(-1))
    print(f"{len(images)} test images, T = {FLAGS.timesteps}")
    print(f"  spiking network   {_accuracy(spiking, labels):7.2%}")
    print(f"  integer network   {_accuracy(integers, labels):7.2%}")
    print(f"  same answer       {same:7.2%}", flush=True)
    count = min(FLAGS.file_samples, len(images))
    if count:
        received = export.TFLiteNetwork(FLAGS.output).predict(images[:count])
        equal = np.array_equal(received, integers[:count])
        print(f"the file, {count} images: outputs {'equal' if equal else 'DIFFER'}")
        try_micro(FLAGS.output, images[:count])


def try_micro(path, images):
    """Runs the file in TensorFlow Lite Micro, where its Python package is installed."""
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        print("TensorFlow Lite Micro: not installed (pip install tflite-micro)")
        return
    file = export.TFLiteNetwork(path)
    micro = runtime.Interpreter.from_file(str(path), arena_size=2**26)
    same = 0
    for start in range(len(images)):
        inputs = file.quantize(images[start : start + 1])
        same += all(
            np.array_equal(received, expected)
            for received, expected in run_micro(micro, file, inputs)
        )
    print(f"TensorFlow Lite Micro: all outputs equal on {same} of {len(images)} images")


def run_micro(micro, file, inputs):
    """Yields what TensorFlow Lite Micro puts out, and what TensorFlow Lite does."""
    state = file.initial_state()
    for _ in range(file.timesteps if file.form == "streaming" else 1):
        given = {**inputs, **state}
        for i, name in enumerate(file.input_names):
            micro.set_input(given[name], i)
        micro.invoke()
        outputs = file.run(inputs, state)
        for i, name in enumerate(file.output_names):
            yield micro.get_output(i), outputs[name]
        state = file.next_state(outputs)


def _accuracy(outputs, labels):
    return float((outputs.argmax(-1) == labels).mean())


if __name__ == "__main__":
    define_flags()
    app.run(main)
