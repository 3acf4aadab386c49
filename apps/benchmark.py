"""Measures how fast spiking networks run: ratios, taken side by side in one run.

    python -m apps.benchmark
    python -m apps.benchmark --parts=rate,peers --rounds=9

Every part runs in processes of its own. What is compared is timed in turns, round
after round, and every ratio is formed within its round; the table shows the median
and, in brackets, the smallest and the largest. The network is ResNet-18 in its form
for CIFAR on dyadic weights, where float32 is exact, so that outputs must be equal
before anything is timed. SpikingJelly is measured beside where it is installed.
"""

import os
import pathlib
import platform

from absl import app, flags, logging

# What needs Keras is imported in functions: in the process of a peer, TensorFlow and
# PyTorch would clash.
from .benchmarks import (
    against_peers,
    calibration,
    defaults,
    edge,
    memory,
    running,
    shipped,
    spike_rate,
    training,
)
from .benchmarks.page import page
from .choices import check_among
from .records import Measured, read_measured

FLAGS = flags.FLAGS

# What is measured, in the order of the page.
PARTS = {
    "rate": running.rate,
    "bit_serial": running.bit_serial,
    "peers": against_peers.against_peers,
    "memory": memory.memory,
    "early_exit": shipped.early_exit,
    "training": training.training,
    "precision": shipped.precision,
    "compilers": defaults.compilers,
    "chunks": running.chunks,
    "convolutions": defaults.convolutions,
    "neurons": defaults.neurons,
    "edge": edge.edge,
    "spike_rate": spike_rate.spike_rate,
    "calibration": calibration.calibration,
}


def define_flags():
    """Flags of this program."""
    flags.DEFINE_list("parts", list(PARTS), f"Of {', '.join(PARTS)}.")
    flags.DEFINE_integer("rounds", 5, "Times that everything is timed.", lower_bound=1)
    flags.DEFINE_string(
        "metrics", None, "Figures, kept and added to; docs/performance/BACKEND.json."
    )
    flags.DEFINE_string(
        "data_dir", None, "Prepared TFDS data sets; the part edge looks for cifar10."
    )
    flags.DEFINE_string("page", "docs/performance.md", "The page to write.")


def machine():
    """What the figures were taken on."""
    import keras

    names = [
        line.split(":")[1].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    text = f"{len(names)} x {names[0] if names else platform.machine()}"
    if keras.backend.backend() == "jax":
        import jax

        devices = [d for d in jax.devices() if d.platform != "cpu"]
        text = ", ".join([*(d.device_kind for d in devices), text])
    return f"{text}, Keras {keras.__version__} on {keras.backend.backend()}"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    check_among("parts", PARTS)
    from . import data

    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    file = pathlib.Path(FLAGS.metrics or f"docs/performance/{backend}.json")
    metrics = read_measured(file, dict[str, Measured])
    for part in FLAGS.parts:
        logging.info("%s: %s", part, PARTS[part].__doc__)
        figures = PARTS[part](FLAGS.rounds)
        if figures is None:
            continue
        metrics[part] = {
            "what": PARTS[part].__doc__,
            "machine": machine(),
            "rounds": FLAGS.rounds,
            "figures": figures,
        }
        for name, figure in figures.items():
            print(f"{part}: {name}: {figure}")
        data.write_json(file, metrics)
        data.write_text(pathlib.Path(FLAGS.page), page(file.parent, list(PARTS)))


if __name__ == "__main__":
    define_flags()
    app.run(main)
