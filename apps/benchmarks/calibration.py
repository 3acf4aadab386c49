"""What it takes to set thresholds from data, beside a forward pass over the data."""

from .measuring import Worker, ratio

NETWORKS = ("ResNet50", "MobileNetV2", "EfficientNetB0")
IMAGES = (128, 1000)
SIZE, LEVELS, BATCH = 224, 255, 32


def make_calibration(name, count):
    import keras
    import numpy as np

    import snn_keras

    from ..networks import PeakMemory

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None)
    rng = np.random.default_rng(0)
    images = rng.random((count, SIZE, SIZE, 3), "float32")
    model.predict(images[:BATCH], batch_size=BATCH, verbose=0)  # compiled now

    def forward():
        with PeakMemory() as memory:
            model.predict(images, batch_size=BATCH, verbose=0)
        return memory.bytes

    def quantize():
        with PeakMemory() as memory:
            snn_keras.quantize_activations(model, LEVELS, data=images)
        return memory.bytes

    def convert():
        with PeakMemory() as memory:
            snn_keras.convert(model, data=images)
        return memory.bytes

    return {"predict": forward, "quantize": quantize, "convert": convert}


def calibration(rounds):
    """quantize_activations(model, 255, data=images) over model.predict(images)."""
    figures = {}
    for name in NETWORKS:
        for count in IMAGES:
            with Worker(make_calibration, name, count) as worker:
                seconds = {case: [] for case in worker.cases}
                peaks = {case: 0 for case in worker.cases}
                for _ in range(rounds):
                    for case in worker.cases:
                        taken, peak = worker.call(case)
                        seconds[case].append(taken)
                        peaks[case] = max(peaks[case], peak)
            for case in ("quantize", "convert"):
                figure = ratio(seconds[case], seconds["predict"])
                figure["megabytes"] = round(peaks[case] / 1e6)
                figures[f"{case} {name}, {count} images of {SIZE} x {SIZE}"] = figure
    return figures
