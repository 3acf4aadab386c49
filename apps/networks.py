"""Converts the networks of keras.applications, unedited: what it takes, what comes.

    python -m apps.networks
    python -m apps.networks --networks=ResNet50,DenseNet121
    python -m apps.networks --networks= --shipped --data_dir=data
    python -m apps.networks --networks= --hub

Each is built with random weights at its smallest input size, in a process of its
own. `snn_keras.convert(model, data=images)` converts it as it is; its answers are
compared with the network's. Quantized to 3 levels, it is converted with
integrate-and-fire neurons and with bit-serial ones, which are compared with the
quantized source. Writes a table.

With --shipped, the networks of saved_models, by the shortest call: whether the plan
says that it is exact, and the answers on test images.

With --hub, tiny random networks of KerasHub's families: converted, or why not.
"""

import ctypes
import gc
import multiprocessing
import pathlib
import platform
import re
import tempfile
import threading
import time

from absl import app, flags, logging

from . import data, hub
from .choices import check_among
from .records import read_measured

FLAGS = flags.FLAGS

# Smallest input sizes; 32 where none is given.
NETWORKS = {
    "VGG16": 32,
    "VGG19": 32,
    "ResNet50": 32,
    "ResNet101": 32,
    "ResNet152": 32,
    "ResNet50V2": 32,
    "ResNet101V2": 32,
    "ResNet152V2": 32,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "MobileNetV3Large": 32,
    "DenseNet121": 32,
    "DenseNet169": 32,
    "DenseNet201": 32,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
    "NASNetMobile": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32,
}
LEVELS, BITS = 3, 2
IMAGES = 8  # for the quantized network
ANSWERS, CALIBRATED = 64, 32  # images: answers are compared on the first so many
# Data sets of networks that ship, by the beginnings of their names.
CLASSIFIED = ("fashion_mnist", "cifar10")
SHIPPED_ANSWERS, SHIPPED_CALIBRATED = 1000, 1000  # the same of networks that ship


def define_flags():
    """Flags of this program."""
    flags.DEFINE_list("networks", list(NETWORKS), "Networks to convert.")
    flags.DEFINE_string("metrics", "docs/networks.json", "Where the figures are kept.")
    flags.DEFINE_bool("shipped", False, "Convert the networks of saved_models, too.")
    flags.DEFINE_bool("hub", False, "Convert networks of KerasHub, too.")
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_string("page", "docs/networks.md", "The table to write.")


def make(name, classes=10):
    """A network of keras.applications with random weights, and images for it."""
    import keras
    import numpy as np

    size = NETWORKS[name]
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=classes
    )
    # Images as the network expects them: many rescale raw pixels themselves.
    first = {type(layer).__name__ for layer in model.layers[:3]}
    scale = 255.0 if first & {"Rescaling", "Normalization"} else 1.0
    rng = np.random.default_rng(0)
    images = rng.uniform(0, scale, (ANSWERS + CALIBRATED, size, size, 3))
    # Each of its own brightness and contrast, or a random network answers all alike.
    low, high = np.sort(rng.uniform(0, 1, (2, len(images), 1, 1, 3)), axis=0)
    return model, (low * scale + (high - low) * images).astype("float32")


class PeakMemory:
    """Context manager: `bytes` is the most memory taken, above that at the start."""

    def __enter__(self):
        import psutil

        gc.collect()
        # Or memory that was freed before would be taken again unseen.
        ctypes.CDLL(None).malloc_trim(0)
        self._process = psutil.Process()
        self._start = self._most = self._process.memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.002):
            self._most = max(self._most, self._process.memory_info().rss)

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()
        self._most = max(self._most, self._process.memory_info().rss)
        self.bytes = self._most - self._start


def prepare(name, path):
    """Builds and quantizes a network and saves it; returns figures."""
    import snn_keras

    started = time.monotonic()
    model, images = make(name)
    built = time.monotonic()
    images = images[:IMAGES]
    source = snn_keras.quantize_activations(
        model, LEVELS, data=images, batch_size=IMAGES
    )
    quantized = time.monotonic()
    source.save(path)
    return {
        "input": NETWORKS[name],
        "seconds_to_build": round(built - started, 2),
        "seconds_to_quantize": round(quantized - built, 2),
    }


def convert_as_it_is(name, path):
    """Converts the network by the shortest call; returns figures."""
    import snn_keras

    model, images = make(name)
    snn = snn_keras.convert(model, data=images[ANSWERS:])
    images = images[:ANSWERS]
    expected = model.predict(images, batch_size=16, verbose=0).argmax(-1)
    received = snn.predict(images, batch_size=16, verbose=0).argmax(-1)
    return {
        "timesteps": snn.timesteps,
        "answers": len(set(expected.tolist())),
        "same_answers": int((received == expected).sum()),
    }


def convert(name, path):
    """Converts the network that `prepare` saved; returns figures."""
    import keras
    import numpy as np

    import snn_keras

    source = keras.models.load_model(path)
    weights = sum(w.nbytes for w in source.get_weights())
    with PeakMemory() as memory:
        started = time.monotonic()
        snn = snn_keras.convert(source, BITS)
        converted = time.monotonic() - started
    plan = snn_keras.plan(source, BITS)
    kinds = [str(step.form) for step in plan.steps]
    serial = snn_keras.convert(source, BITS, "bit_serial")
    _, images = make(name)
    expected, received, decoded = (
        keras.ops.convert_to_numpy(network(images[:2]))
        for network in (source, serial, snn)
    )
    if decoded.shape != expected.shape or not np.isfinite(decoded).all():
        raise AssertionError(f"{name}: decoded output {decoded.shape} or not finite")
    return {
        "backend": keras.backend.backend(),
        "machine": f"{multiprocessing.cpu_count()} x {platform.machine()}",
        "layers": len(plan.steps),
        "neurons": sum(step.cell is not None for step in plan.steps),
        "differences": kinds.count("temporal difference"),
        "parameters": weights // 4,
        "seconds_to_convert": round(converted, 2),
        "memory_over_weights": round(memory.bytes / weights, 2),
        "bit_serial_difference": float(np.abs(received - expected).max()),
    }


def shipped():
    """The networks that ship and classify; `apps.scenes` has the others."""
    files = sorted(data.SHIPPED.glob("*.keras"))
    return [path for path in files if path.name.startswith(CLASSIFIED)]


def convert_shipped(path, data_dir):
    """Converts a network that ships by the shortest call; returns figures."""
    import keras

    import snn_keras

    from . import sources

    dataset = next(d for d in CLASSIFIED if path.name.startswith(d))
    model = keras.models.load_model(path)
    test = data.load(dataset, "test", data_dir, count=SHIPPED_ANSWERS)
    given, verdict = {}, "float"
    if sources.is_float(model):
        images = data.load(dataset, "train", data_dir, count=SHIPPED_CALIBRATED).images
        given["data"] = data.preprocess(images)
    else:
        verdict = snn_keras.plan(model).verdict().split(":")[0]
    snn = snn_keras.convert(model, **given)
    images = data.preprocess(test.images)
    expected, received = (
        network.predict(images, batch_size=100, verbose=0).argmax(-1)
        for network in (model, snn)
    )
    return {
        "coding": str(snn.program.coding),
        "plan": verdict if verdict in ("exact", "float") else "approximate",
        "accuracies": [float((y == test.labels).mean()) for y in (expected, received)],
        "agreement": float((received == expected).mean()),
    }


def convert_of_hub(family):
    """Quantizes and converts a tiny network of KerasHub; returns figures."""
    import keras
    import numpy as np

    import snn_keras

    model = hub.backbone(family)
    images = hub.drawn(model)
    try:
        source = snn_keras.quantize_activations(model, LEVELS, data=images)
        plan = snn_keras.plan(source, BITS, "bit_serial", fused=False)
        snn = snn_keras.convert(source, BITS, "bit_serial", fused=False)
    except snn_keras.ConversionError as error:
        return {"refused": why_refused(str(error))}
    expected, received = (
        keras.tree.flatten(network.predict(images, verbose=0))
        for network in (source, snn)
    )
    gaps = [np.abs(a - b).max() for a, b in zip(expected, received, strict=True)]
    forms = [str(step.form) for step in plan.steps]
    return {
        "hub_layers": len(plan.steps),
        "neurons": sum(step.cell is not None for step in plan.steps),
        "differences": forms.count("temporal difference"),
        "refused": "",
        "largest_difference": float(max(gaps)),
    }


def why_refused(message):
    """The layer that the message of a ConversionError names first, and the reason."""
    layer = r"'[^']+' \(\w+\)"
    told, _, inside = message.split("Remedy")[0].rpartition(" not known: ")
    names = re.findall(f"^  ({layer}):", told, re.MULTILINE)
    first = re.split(rf" (?={layer}: )", " ".join(inside.split()))[0]
    return f"{names[0]}: {first}" if names else first


def table(names, rows):
    """A table in Markdown."""
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(map(str, cells)) + " |" for cells in lines]


def page(metrics):
    """The text of the tables."""
    found = {name: metrics[name] for name in NETWORKS if name in metrics}
    machines = sorted({f"{f['machine']} cores, {f['backend']}" for f in found.values()})
    lines = [
        "# Networks of keras.applications",
        "",
        "Made by `python -m apps.networks`: every network unedited, random weights, "
        f"at the input size given, quantized to {LEVELS} levels; machine: "
        f"{', '.join(machines)}. *Neurons*: layers that spike. *Differences*: "
        "functions between neurons that become temporal differences (products, gates, "
        "layer normalization, swish, max pooling ...). *Convert*: seconds that "
        "`snn_keras.convert` takes, beside the seconds Keras takes to build the model. "
        "The machine was not always idle: seconds are upper bounds. "
        "*Memory*: the most that `convert` takes beyond the source, the spiking "
        "network included, as a multiple of the weights. *Error*: largest difference "
        f"between the bit-serial network (T = {BITS}) and the quantized source, "
        "2 images, float32. *Same answers*: of the network as it is, with ReLUs, and "
        "of `snn_keras.convert(model, data=images)` after its T steps; "
        f"{ANSWERS} images, on which the network gives so many different *answers*; "
        f"thresholds from {CALIBRATED} others.",
        "",
    ]
    rows = [
        (
            *(name, f["input"], f["layers"], f["neurons"], f["differences"]),
            f"{f['parameters'] / 1e6:.1f} M",
            f"{f['seconds_to_build']:.1f} s",
            f"{f['seconds_to_convert']:.1f} s",
            f"{f['memory_over_weights']:.2f}",
            f"{f['bit_serial_difference']:.2g}",
            *(f.get(key, "") for key in ("answers", "timesteps", "same_answers")),
        )
        for name, f in found.items()
    ]
    names = "network input layers neurons differences parameters build convert memory"
    lines += table([*names.split(), "error", "answers", "T", "same answers"], rows)
    lines += [
        "",
        "## Networks that ship, by the shortest call",
        "",
        "`python -m apps.networks --networks= --shipped --data_dir=DATA_DIR`: "
        "`convert(model)` or, of float networks, `convert(model, data=images)` with "
        f"{SHIPPED_CALIBRATED:,} training images. Answers on the first "
        f"{SHIPPED_ANSWERS:,} test images, in percent. `snn_keras scenes` has the "
        "detector and the segmenter.",
        "",
    ]
    rows = [
        (
            *(name, f["coding"], f["plan"]),
            *(f"{100 * x:.1f}" for x in (*f["accuracies"], f["agreement"])),
        )
        for name, f in metrics.items()
        if "agreement" in f
    ]
    names = ["network", "runs for", "the plan says", "source right", "right"]
    lines += table([*names, "same answers"], rows)
    return "\n".join([*lines, *page_of_hub(metrics)]) + "\n"


_HUB_COLUMNS = ("network", "layers", "neurons", "differences", "error", "outcome")


def page_of_hub(metrics):
    """The lines on KerasHub's networks; none if there are no figures."""
    found = {name: f for name, f in sorted(metrics.items()) if "refused" in f}
    if not found:
        return []
    rows = [
        (
            *(name, f.get("hub_layers", ""), f.get("neurons", "")),
            f.get("differences", ""),
            f"{f['largest_difference']:.2g}" if "largest_difference" in f else "",
            (f["refused"] and f"refused: {f['refused']}") or "converted",
        )
        for name, f in found.items()
    ]
    return [
        "",
        "## Networks of KerasHub",
        "",
        "`python -m apps.networks --networks= --hub`: tiny networks with random "
        f"weights, quantized to {LEVELS} levels, texts of a known length; bit-serial "
        f"neurons, T = {BITS}, step by step. *Differences*: as above. *Error*: largest "
        "difference between the outputs of the spiking network and of the quantized "
        "source, float32. What is refused is so before anything is built; the layer "
        "named stays closed, for the reason given.",
        "",
        *table([*_HUB_COLUMNS], rows),
    ]


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    check_among("networks", NETWORKS)
    file = pathlib.Path(FLAGS.metrics)
    metrics = read_measured(file)
    context = multiprocessing.get_context("spawn")

    def in_processes(name, parts, *given):
        found = {}
        for part in parts:  # a process each: its memory is its own
            with context.Pool(1) as pool:
                found.update(pool.apply(part, given))
        metrics[name] = found
        logging.info("%s: %s", name, found)
        data.write_json(file, metrics)
        data.write_text(pathlib.Path(FLAGS.page), page(metrics))

    for name in filter(None, FLAGS.networks):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "source.keras"
            in_processes(name, (prepare, convert, convert_as_it_is), name, path)
    for path in shipped() if FLAGS.shipped else ():
        in_processes(path.name, (convert_shipped,), path, FLAGS.data_dir)
    for family in hub.FAMILIES if FLAGS.hub else ():
        in_processes(f"{family}Backbone", (convert_of_hub,), family)


if __name__ == "__main__":
    define_flags()
    app.run(main)
