"""`compare`: runs the spiking networks of a model side by side."""

import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from snn_keras.analysis.comparing import saved
from snn_keras.analysis.comparing.answers import AnswerKey
from snn_keras.analysis.comparing.candidates import STEPS, Candidates
from snn_keras.analysis.comparing.counting import counts
from snn_keras.analysis.comparing.result import Comparison, Row, SourceRow, described
from snn_keras.analysis.costing.hardware import Hardware
from snn_keras.analysis.costing.published_hardware import hardware_of
from snn_keras.inputs import batches, check_count, check_data
from snn_keras.neurons import SpikingCell
from snn_keras.text import progress
from snn_keras.typing import Inputs

BATCHES_A_CALL = 8  # of `predict`, whose calls take some time of their own
CALL_BYTES = 2**28  # of its outputs, but for one batch


def compare(
    model: keras.Model,
    x: Inputs,
    y: np.ndarray | None = None,
    data: Inputs = None,
    neurons: Sequence[str | SpikingCell] | Mapping[str, Any] | None = None,
    timesteps: Sequence[int] = STEPS,
    *,
    calibration: str = "mse",
    samples: int = 64,
    batch_size: int = 32,
    hardware: str | Hardware = "45 nm",
    path: str | os.PathLike | None = None,
    verbose: int | str = "auto",
) -> Comparison:
    r"""Compares neurons and numbers of steps: answers, spikes, energy, state, time.

    The energy stands beside that of the fair opponent: the same network without spikes,
    in whole numbers, with activations of as many bits as the row's levels need.

    A neuron whose answer may be read after every step runs once, for the largest
    number of steps, and its activations are quantized once, for that number. Others
    run once for each number of steps. Each row is what `convert` makes with the row's
    arguments, which `Comparison.best` returns.

    Args:
        model: The source network, float or quantized, as for `convert`.
        x: Inputs, as `predict` takes them.
        y: The right answers, or None: classes `(samples,)`, for a map
            `(samples, ...)`, or one-hot like the outputs; 0 or 1 after a sigmoid; or
            numbers.
        data: Calibration inputs for a float network, as for `convert`: not those of
            `x`, if the accuracy is to be that of unseen data.
        neurons: Names of neurons and cells; or `{name: neuron}`, where a neuron may
            also be a dict by layers, as for `convert`. By default `"if"`, `"signed"`,
            `"bit_serial"`, `"multi_threshold"` and `"differential"`; before them the
            neuron that the activations of a quantized network name. Of these, what
            cannot replace the activations is left out.
        timesteps: Numbers of steps, integers >= 1.
        calibration: As for `convert`.
        samples: Number of samples, from the first, of which spikes and operations are
            counted.
        batch_size: Samples per batch.
        hardware: As for `snn_keras.analysis.energy`.
        path: A JSON file to which finished runs are written, or None. A comparison
            that was interrupted goes on from there; so does one of more neurons or
            steps.
        verbose: 1 for progress bars, 2 for a line each, 0 for neither; `"auto"` means
            bars on a terminal or in a notebook, and lines elsewhere.

    Returns:
        A `Comparison`.

    Raises:
        ValueError: if an argument is not valid, or `path` holds the comparison of
            another network or other data.
        ConversionError: if the model cannot be converted.
    """
    check_count("samples", samples)
    check_count("batch_size", batch_size)
    price = hardware_of(hardware)
    candidates = Candidates(model, data, neurons, timesteps, calibration)
    x = check_data(x, candidates.graph)
    bar = _Bar(verbose)
    expected, seconds = _predictions(model, x, batch_size, bar)
    key = AnswerKey(candidates.graph, expected, y)
    compared = saved.fingerprint(
        candidates.graph,
        [*model.get_weights(), x, y, candidates.data],
        [calibration, samples, dataclasses.asdict(price)],
    )
    memory = saved.Memory(path, compared)
    counted = next(batches(x, samples))
    rows, operations = [], {}
    for candidate in candidates:
        neuron = described(candidates.neurons[candidate.name])
        layers = None
        if isinstance(neuron, dict):  # by the names of layers, for these alone
            layers = [node.name for node in candidates.graph.nodes]
        name = json.dumps([neuron, layers, candidate.timesteps, candidate.levels])
        found = memory.get(name)
        if found is None:
            found = _measured(candidate, x, key, counted, price, batch_size, bar)
            memory.add(name, found)
        operations = found["source"]
        own: dict[str, Any] = {"neuron": candidate.name, "levels": candidate.levels}
        rows += [Row(**own, **figures) for figures in found["rows"]]
    right = key.figures(key.marks(expected))
    return Comparison(
        name=model.name,
        samples=key.samples,
        counted=len(tree.flatten(counted)[0]),
        source=SourceRow(**operations, **right, seconds=seconds),
        rows=tuple(rows),
        neurons=candidates.neurons,
        calibration=candidates.calibration,
        left_out=candidates.left_out,
    )


def _predictions(model, x, batch_size, bar):
    """The source's outputs, and the time for one sample."""
    bar.begin("source", x)
    parts, seconds = zip(*_timed(model.predict, x, batch_size, bar), strict=True)
    outputs = tree.map_structure(lambda *y: np.concatenate(y), *parts)
    return outputs, float(np.median(seconds))


def _timed(predict, x, batch_size, bar):
    """Yields what `predict` returns for each part of `x`, and the time for a sample.

    The first batch runs twice: what is compiled then is not part of the time.
    """
    first = predict(next(batches(x, batch_size)), batch_size=batch_size, verbose=0)
    size = sum(y.nbytes for y in tree.flatten(first))
    calls = min(BATCHES_A_CALL, max(1, CALL_BYTES // size))
    for part in batches(x, batch_size * calls):
        count = len(tree.flatten(part)[0])
        started = time.perf_counter()
        outputs = predict(part, batch_size=batch_size, verbose=0)
        yield outputs, (time.perf_counter() - started) / count
        bar.add(count)


def _measured(candidate, x, key, counted, hardware, batch_size, bar):
    """The figures of a candidate: `{"source": ..., "rows": one for each of its T}`."""
    snn = candidate.build()
    steps = candidate.timesteps
    bar.begin(f"{candidate.name}, T = {', '.join(map(str, steps))}", x)
    over_time = snn.coding.any_time
    predict = snn.predict_over_time if over_time else snn.predict
    marks, seconds, start = 0, [], 0
    for outputs, taken in _timed(predict, x, batch_size, bar):
        at = [tree.map_structure(lambda y, t=t: y[t - 1], outputs) for t in steps]
        at = at if over_time else [outputs]
        marks = marks + np.stack([key.marks(y, start) for y in at])
        start += len(tree.flatten(at[0])[0])
        seconds.append(taken)
    source, rows = counts(snn, steps, counted, hardware)
    for row, t, mark in zip(rows, steps, marks, strict=True):
        row |= key.figures(mark) | {"agreement": float(mark[0] / key.samples)}
        row["seconds"] = float(np.median(seconds)) * t / steps[-1]
    return {"source": source, "rows": rows}


class _Bar:
    """A progress bar for each network that runs."""

    def __init__(self, verbose: int | str) -> None:
        self._verbose = progress(verbose)
        self._bar: Any = None

    def begin(self, name: str, x: Any) -> None:
        """Begins the bar of a network that runs on `x`."""
        if self._verbose:
            print(name, flush=True)
        count = len(tree.flatten(x)[0])
        self._bar = keras.utils.Progbar(
            count, verbose=self._verbose, unit_name="sample"
        )

    def add(self, count: int) -> None:
        """Some more samples have run."""
        self._bar.add(count)
