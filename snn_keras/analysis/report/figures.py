"""The figures of a report: plain values, ready for JSON."""

import keras
import numpy as np
from keras import tree

from snn_keras.analysis.accuracy import (
    accuracy_by_timesteps,
    accuracy_over_time,
    steps_of,
)
from snn_keras.analysis.disagreements import disagreements
from snn_keras.analysis.energy import at_costs, energy
from snn_keras.analysis.mismatch import mismatch
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.report.neurons import traces
from snn_keras.analysis.spikes import spike_statistics
from snn_keras.convert import normalize, plan
from snn_keras.errors import ConversionError
from snn_keras.inputs import batches, check_count, check_data
from snn_keras.layers import NoisySpike
from snn_keras.neurons import BiasCorrection, FusedSpiking

ENERGY_CONSTANTS = ("32 bit", "float32")


def gather(
    ann, snn, x, y, samples=512, batch_size=32, timesteps=None, neurons=None
) -> dict:
    """All figures of a report; the arguments and the result are those of `report`."""
    cells = [layer.cell for layer in neurons_of(snn).values()]
    check_count("samples", samples)
    check_count("batch_size", batch_size)
    _check_classifier(snn)
    x = check_data(x, snn.program.graph)
    count = len(tree.flatten(x)[0])
    labels = None if y is None else _labels(y, count)
    part = next(batches(x, samples))
    shown = traces(snn, part, neurons)
    source = ann.predict(x, batch_size=batch_size, verbose=0)
    accuracy, spiking = _answers(snn, x, labels, batch_size, timesteps)
    if accuracy is not None:
        accuracy["source"] = float(accuracy_over_time(source, labels))
    found = energy(snn, part, batch_size, ENERGY_CONSTANTS[0])
    return {
        "network": {
            "source": ann.name,
            "spiking": snn.name,
            "neurons": sorted({type(cell).__name__ for cell in cells}),
            "timesteps": snn.timesteps,
            "extra_steps": snn.extra_steps,
            "parameters": ann.count_params(),
            "backend": keras.backend.backend(),
        },
        "samples": count,
        "inspected": min(samples, count),
        "accuracy": accuracy,
        "mismatch": _mismatch(ann, snn, part, batch_size),
        "spikes": spike_statistics(snn, part, batch_size),
        "energy": {name: at_costs(found, name) for name in ENERGY_CONSTANTS},
        "traces": shown,
        "disagreements": disagreements(source, spiking, labels),
        "plan": _plan(ann, snn),
    }


def _check_classifier(snn):
    shapes = [tuple(y.shape) for y in snn.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][-1] < 2:
        raise ValueError(
            "report compares the answers of a classifier: one output (samples, "
            f"classes) of two classes or more. Received outputs: {shapes}"
        )


def _labels(y, count):
    """`(samples,)` class numbers, from these or from rows of one 1 each."""
    labels = np.asarray(y)
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=-1)
    if labels.shape != (count,):
        raise ValueError(
            f"y must hold a class for each of the {count} samples of x, (samples,) or "
            f"one-hot (samples, classes). Received shape: {np.shape(y)}"
        )
    return labels


def _answers(snn, x, labels, batch_size, timesteps):
    """Accuracy at the steps wanted, and the outputs at the end of the run."""
    settings = {"batch_size": batch_size, "verbose": 0}
    steps = [] if snn.timesteps == "settle" else steps_of(snn, timesteps)
    over_time = None
    if steps and not snn.needs_whole_run:
        over_time = snn.predict_over_time(x, **settings)
    outputs = snn.predict(x, **settings) if over_time is None else over_time[-1]
    if labels is None:
        return None, outputs
    if not steps:
        reached = []
    elif over_time is None:  # every number of steps is a run of its own
        reached = accuracy_by_timesteps(snn, x, labels, timesteps=steps, **settings)
    else:
        reached = accuracy_over_time(over_time, labels)[np.subtract(steps, 1)]
    return {
        "timesteps": [int(t) for t in steps],
        "spiking": np.asarray(reached).tolist(),
        "at_end": float(accuracy_over_time(outputs, labels)),
    }, outputs


def _mismatch(ann, snn, x, batch_size):
    """What `mismatch` gives; None where neurons fire at random."""
    nodes = normalize.read(ann).nodes
    if any(isinstance(node.operation, NoisySpike) for node in nodes):
        return None
    return mismatch(ann, snn, x, batch_size)


def _plan(ann, snn):
    """The plan that makes `snn` of `ann`; None of a source that was quantized first."""
    program = snn.program
    try:
        made = plan(
            ann,
            snn.timesteps,
            {name: layer.cell for name, layer in neurons_of(snn).items()},
            input_steps=None if snn.needs_whole_run else program.input_steps,
            fused=any(isinstance(x, FusedSpiking) for x in snn.layers),
            bias_correction=any(isinstance(x, BiasCorrection) for x in snn.layers),
        )
    except ConversionError:
        return None
    header, *rows = made.rows()
    return {
        "header": list(header),
        "rows": [list(row) for row in rows],
        "verdict": made.verdict(),
    }
