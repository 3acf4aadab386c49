"""The same network in SpikingJelly."""

import multiprocessing
import pathlib
import tempfile

import numpy as np
from absl import logging

from .. import peers
from .measuring import Worker, measure, ratio
from .networks import (
    BATCHES,
    BATCHES_A_CALL,
    dyadic_resnet18,
    prediction,
)

PEER_STEPS = (4, 8, 32)


def make_ours(folder):
    """Our side; leaves weights and images for the peer."""
    import snn_keras

    source, images = dyadic_resnet18()
    weights = {x.name: x.get_weights() for x in source.layers if x.get_weights()}
    np.save(folder / "weights.npy", weights, allow_pickle=True)
    np.save(folder / "images.npy", images)
    return {
        f"batch {batch}, T={steps}": prediction(
            snn_keras.convert(source, steps), images, batch, BATCHES_A_CALL[batch]
        )
        for batch in BATCHES
        for steps in PEER_STEPS
    }


def make_peers(folder):
    weights = np.load(folder / "weights.npy", allow_pickle=True).item()
    images = np.load(folder / "images.npy")
    threads = multiprocessing.cpu_count()
    return peers.runs(weights, images, PEER_STEPS, BATCHES_A_CALL, threads)


def against_peers(rounds):
    """SpikingJelly's time on the same network, over ours; outputs equal."""
    if not peers.available():
        logging.warning("SpikingJelly is not installed: pip install spikingjelly")
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Worker(make_ours, folder) as ours, Worker(make_peers, folder) as theirs:
            cases = {f"ours, {case}": (ours, case) for case in ours.cases}
            cases |= {case: (theirs, case) for case in theirs.cases}
            seconds, outputs = measure(cases, rounds)
    for case in theirs.cases:
        ours = outputs[f"ours, {_settings(case)}"][: len(outputs[case])]
        same = np.array_equal(outputs[case], ours)
        if not same:
            raise AssertionError(f"{case}: outputs differ from ours")
    return {
        f"SpikingJelly {peers.available()} {case}": ratio(
            seconds[case], seconds[f"ours, {_settings(case)}"]
        )
        for case in theirs.cases
    }


def _settings(case):
    """The case without its form: "eager, batch 1, T=4" is "batch 1, T=4"."""
    return case.split(", ", 1)[1]
