"""One image on one core: networks in C and in TFLite, beside those of their source."""

import pathlib
import tempfile
import time

import numpy as np
from absl import logging

from apps.benchmarks.measuring import Worker, ratio

IMAGES = 50
CALIBRATION = 200
REPEATS = 5

# Networks that ship, and how they are converted.
NETWORKS = {
    "fashion_mnist_sparse, bit-serial": ("fashion_mnist_sparse", 4, "bit_serial"),
    "fashion_mnist_bits, bit-serial": ("fashion_mnist_bits", 4, "bit_serial"),
    "fashion_mnist_adaptor, integrate-and-fire, T = 4": (
        "fashion_mnist_adaptor",
        4,
        "if",
    ),
}

# The files of each network, and what the table calls them.
ARITHMETICS = {"integer": "TFLite", "float32": "TFLite in float32"}


def make_edge():
    import tensorflow as tf

    import snn_keras
    from apps import data
    from apps.sources import load_model

    images = data.preprocess(data.shipped_test_images().images)
    images, calibration = images[:IMAGES], images[-CALIBRATION:]
    folder = tempfile.TemporaryDirectory()

    def converter(model):
        return tf.lite.TFLiteConverter.from_keras_model(model)

    def quantized(model):
        made = converter(model)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.representative_dataset = lambda: ([x[None]] for x in calibration)
        ops = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        made.target_spec.supported_ops = [ops]
        made.inference_input_type = made.inference_output_type = tf.int8
        return made

    source = load_model(data.SHIPPED / "fashion_mnist_float.keras")
    cases = {
        "TensorFlow Lite, float": in_tflite(converter(source).convert(), images),
        "TensorFlow Lite, int8": in_tflite(quantized(source).convert(), images),
    }
    for number, (name, (file, steps, neuron)) in enumerate(NETWORKS.items()):
        model = load_model(data.SHIPPED / f"{file}.keras")
        snn = snn_keras.convert(model, steps, neuron)
        place = f"{folder.name}/{number}"
        program = snn_keras.export.to_c(snn, place, calibration, form="unrolled")
        cases[f"C, {name}"] = in_c(program, images)
        for arithmetic, label in ARITHMETICS.items():
            path = pathlib.Path(f"{place}.tflite")
            snn_keras.export.to_tflite(
                snn, path, calibration, arithmetic=arithmetic, overwrite=True
            )
            cases[f"{label}, {name}"] = in_tflite(path.read_bytes(), images)
    cases["remove"] = folder.cleanup
    return cases


def in_c(program, images):
    """Median seconds of an image in C."""
    return lambda: program.seconds(images, REPEATS)


def in_tflite(content, images):
    """Median seconds of an image in TensorFlow Lite's interpreter, one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    scale, zero = given["quantization"]
    if scale:
        images = np.clip(np.round(images / scale + zero), -128, 127).astype("int8")

    def seconds():
        times = []
        for image in images:
            interpreter.set_tensor(given["index"], image[None])
            runs = []
            for _ in range(REPEATS):
                begin = time.perf_counter()
                interpreter.invoke()
                runs.append(time.perf_counter() - begin)
            times.append(min(runs))
        return float(np.median(times))

    return seconds


def edge(rounds):
    """Fashion-MNIST, one image on one thread: over TensorFlow Lite's float and int8."""
    with Worker(make_edge) as worker:
        names = [name for name in worker.cases if name != "remove"]
        seconds = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                seconds[name].append(worker.call(name)[1])
                logging.info("%s: %.3f ms", name, 1e3 * seconds[name][-1])
        worker.call("remove")
    plain, whole = (seconds[f"TensorFlow Lite, {x}"] for x in ("float", "int8"))
    return {
        f"{name}, over {label}": ratio(seconds[name], below)
        for name in names
        for label, below in (("float", plain), ("int8", whole))
    }
