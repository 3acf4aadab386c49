"""What long runs take: memory, and the first call."""

import resource
import statistics

from absl import logging

from .measuring import Worker
from .networks import BATCHES, dyadic_resnet18, prediction


def peak_bytes():
    """The most memory this process has held so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def make_long(steps, batch):
    import snn_keras

    source, images = dyadic_resnet18()
    snn = snn_keras.convert(source, steps)
    run = prediction(snn, images, batch)
    held = peak_bytes()

    def peak():
        return peak_bytes() - held, peak_bytes()

    return {"first": run, "again": run, "memory": peak}


def memory(rounds):
    """T = 256 over T = 8: the first call, memory, and the time of a step."""
    figures = {}
    for batch in BATCHES:
        found = {}
        for steps in (8, 256):
            with Worker(make_long, steps, batch) as worker:
                first, _ = worker.call("first")
                again = [worker.call("again")[0] for _ in range(3)]
                _, (taken, whole) = worker.call("memory")
            found[steps] = {
                "first": first,
                "compilation": first - statistics.median(again),
                "step": statistics.median(again) / steps,
                "memory of the process": whole,
                "memory of the runs": taken,
            }
            logging.info("batch %d, T=%d: %s", batch, steps, found[steps])
        for what in found[8]:
            value = found[256][what] / found[8][what]
            figures[f"{what}, batch {batch}"] = {"ratio": round(value, 3)}
    return figures
