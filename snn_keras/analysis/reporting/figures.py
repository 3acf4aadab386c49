"""The figures of a report: plain values, ready for JSON."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import tree

from snn_keras.analysis.accuracy import steps_of
from snn_keras.analysis.disagreement import disagreements
from snn_keras.analysis.energy_of_runs import at_costs, energy
from snn_keras.analysis.layer_errors import mismatch
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.reporting.traces import traces
from snn_keras.analysis.spikes import spike_statistics
from snn_keras.answers import Answer
from snn_keras.conversion import normalize, plan
from snn_keras.conversion.answers import answers_of
from snn_keras.errors import ConversionError
from snn_keras.inputs import batches, check_count
from snn_keras.simulate.model import SpikingModel
from snn_keras.time import BiasCorrection, OnePassSpiking
from snn_keras.typing import Inputs

ENERGY_CONSTANTS = ("32 bit", "float32")
MEASURES = {
    Answer.CLASSES: "accuracy",
    Answer.SIDES: "accuracy",
    Answer.NUMBERS: "root mean square error",
}


def gather(
    ann: keras.Model,
    snn: SpikingModel,
    x: Inputs,
    y: np.ndarray | None,
    samples: int = 512,
    batch_size: int = 32,
    timesteps: Sequence[int] | None = None,
    neurons: Mapping[str, Sequence[int]] | None = None,
) -> dict:
    """All figures of a report; the arguments and the result are those of `report`.

    `x` is in the structure of the inputs, as `check_data` gives it.
    """
    cells = [layer.cell for layer in neurons_of(snn).values()]
    check_count("samples", samples)
    check_count("batch_size", batch_size)
    answer = _answer(ann, snn)
    count = len(tree.flatten(x)[0])
    part = next(batches(x, samples))
    shown = traces(snn, part, neurons)
    source = _output(ann.predict(x, batch_size=batch_size, verbose=0))
    labels = None if y is None else answer.labels(y, source.shape)
    accuracy, spiking = _answers(snn, x, answer, labels, batch_size, timesteps)
    if accuracy is not None:
        accuracy["source"] = answer.score(source, labels)
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
            "answer": str(answer),
        },
        "samples": count,
        "inspected": min(samples, count),
        "accuracy": accuracy,
        "mismatch": _mismatch(ann, snn, part, batch_size),
        "spikes": spike_statistics(snn, part, batch_size),
        "energy": {name: at_costs(found, name) for name in ENERGY_CONSTANTS},
        "traces": shown,
        "disagreements": disagreements(source, spiking, y, answer),
        "plan": _plan(ann, snn),
    }


def _answer(ann, snn):
    """What the networks' one output answers."""
    shapes = [tuple(y.shape) for y in snn.outputs]
    if len(shapes) != 1:
        raise ValueError(
            "report compares the answers of one output. Received a network with "
            f"{len(shapes)}: {shapes}. Remedy: a report of each, of models with one "
            "output, keras.Model(ann.inputs, ann.outputs[i]), converted alike."
        )
    return answers_of(normalize.normal_form(ann))[0]


def _output(outputs):
    """The array of the one output, in whatever structure."""
    return tree.flatten(outputs)[0]


def _answers(snn, x, answer, labels, batch_size, timesteps):
    """How good the answers are at the steps wanted, and the outputs at the end."""
    settings = {"batch_size": batch_size, "verbose": 0}
    steps = [] if snn.coding.settles else steps_of(snn, timesteps)
    if labels is None:
        return None, _output(snn.predict(x, **settings))
    over_time = []
    if steps and snn.coding.any_time:
        over_time = _output(snn.predict_over_time(x, **settings))
        reached = [answer.score(over_time[t - 1], labels) for t in steps]
    else:  # every number of steps is a run of its own
        runs = (snn.with_timesteps(t).predict(x, **settings) for t in steps)
        reached = [answer.score(_output(y), labels) for y in runs]
    outputs = over_time[-1] if len(over_time) else _output(snn.predict(x, **settings))
    return {
        "measure": MEASURES[answer],
        "timesteps": [int(t) for t in steps],
        "spiking": reached,
        "at_end": answer.score(outputs, labels),
    }, outputs


def _mismatch(ann, snn, x, batch_size):
    """What `mismatch` gives; None where neurons fire at random."""
    nodes = normalize.normal_form(ann).nodes
    if any(getattr(node.operation, "is_random", False) for node in nodes):
        return None
    return mismatch(ann, snn, x, batch_size)


def _plan(ann, snn):
    """The plan that makes `snn` of `ann`; None of a source that was quantized first."""
    try:
        made = plan(
            ann,
            snn.timesteps,
            {name: layer.cell for name, layer in neurons_of(snn).items()},
            input_steps=None if snn.coding.charges_first else snn.coding.input_steps,
            fused=any(isinstance(x, OnePassSpiking) for x in snn.layers),
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
