"""Times one image on one core: in TensorFlow Lite, and in C."""

import time

import numpy as np

REPEATS = 5


def tflite_cases(model, images, calibration):
    """`{name: function}` for a source network in TensorFlow Lite, float and int8."""
    import tensorflow as tf

    def converter():
        return tf.lite.TFLiteConverter.from_keras_model(model)

    quantized = converter()
    quantized.optimizations = [tf.lite.Optimize.DEFAULT]
    quantized.representative_dataset = lambda: ([x[None]] for x in calibration)
    quantized.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    quantized.inference_input_type = quantized.inference_output_type = tf.int8
    return {
        "TensorFlow Lite, float": in_tflite(converter().convert(), images),
        "TensorFlow Lite, int8": in_tflite(quantized.convert(), images),
    }


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
