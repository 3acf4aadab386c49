"""The figures of a report."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import tree

from snn_keras.analysis.accuracy import steps_of
from snn_keras.analysis.comparing import Comparison
from snn_keras.analysis.costing import Energy
from snn_keras.analysis.costing.running import count as count_work
from snn_keras.analysis.disagreement import Disagreements, disagreements
from snn_keras.analysis.layer_errors import Mismatch, mismatch
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.reporting.traces import TraceFigures, traces
from snn_keras.analysis.spikes import SpikeStatistics, spike_statistics
from snn_keras.answers import Answer
from snn_keras.conversion import normalize, plan
from snn_keras.conversion.answers import answers_of
from snn_keras.errors import ConversionError
from snn_keras.figures import Figures
from snn_keras.inputs import batches, check_count
from snn_keras.simulate.model import SpikingModel
from snn_keras.text import table
from snn_keras.time import BiasCorrection, OnePassSpiking
from snn_keras.typing import Inputs, Timesteps

ENERGY_HARDWARE = ("45 nm", "45 nm, bit maps", "22 nm")
MEASURES = {
    Answer.CLASSES: "accuracy",
    Answer.SIDES: "accuracy",
    Answer.NUMBERS: "root mean square error",
}


@dataclasses.dataclass(frozen=True)
class NetworkFigures(Figures):
    """The networks of a report.

    Attributes:
        source, spiking: The networks' names.
        neurons: Names of the classes of the spiking network's cells.
        timesteps: Steps of the run, as `SpikingModel.timesteps`.
        extra_steps: Number of extra steps before the run.
        parameters: Number of the source's parameters.
        backend: Keras's backend.
        answer: The kind of answer: `"classes"`, `"sides"` (of 1/2) or `"numbers"`.
    """

    source: str
    spiking: str
    neurons: tuple[str, ...]
    timesteps: Timesteps
    extra_steps: int
    parameters: int
    backend: str
    answer: str


@dataclasses.dataclass(frozen=True)
class AccuracyFigures(Figures):
    """The accuracy, or the error, of both networks.

    Attributes:
        measure: `"accuracy"`, in [0, 1], or `"root mean square error"`, in the unit of
            the output.
        timesteps: Numbers of steps; empty if a run has no fixed number.
        spiking: The spiking network's measure at each of these numbers.
        at_end: The spiking network's measure at the end of a run.
        source: The source network's measure.
    """

    measure: str
    timesteps: tuple[int, ...]
    spiking: tuple[float, ...]
    at_end: float
    source: float

    @property
    def form(self) -> str:
        """The format string of the measure."""
        return "{:.2%}" if self.measure == "accuracy" else "{:.4g}"


@dataclasses.dataclass(frozen=True)
class PlanFigures(Figures):
    """The plan of the conversion: what each layer of the source becomes.

    Attributes:
        header, rows: The table that a `snn_keras.Plan` prints.
        verdict: A sentence that says whether the conversion is exact.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdict: str


@dataclasses.dataclass(frozen=True)
class ReportFigures(Figures):
    """The figures of a `report`. Print the most important, or use `as_dict()`.

    Attributes:
        network: `NetworkFigures`.
        samples: Number of samples whose answers are compared.
        inspected: Number of samples used for mismatch, spikes and energy.
        accuracy: `AccuracyFigures`; None without labels.
        mismatch: A `Mismatch`; None if the source's neurons fire at random.
        spikes: `SpikeStatistics`.
        energy: `{name of the hardware: Energy}`.
        traces: `TraceFigures`.
        disagreements: `Disagreements`.
        plan: `PlanFigures`; None if the source was quantized before it was
            converted.
        comparison: The result of `snn_keras.compare` that was given, or None.
    """

    network: NetworkFigures
    samples: int
    inspected: int
    accuracy: AccuracyFigures | None
    mismatch: Mismatch | None
    spikes: SpikeStatistics
    energy: dict[str, Energy]
    traces: TraceFigures
    disagreements: Disagreements
    plan: PlanFigures | None
    comparison: Comparison | None = None

    def headlines(self) -> list[tuple[str, float, str]]:
        """The most important figures: names, values and format strings."""
        lines = []
        if found := self.accuracy:
            lines += [
                (f"{found.measure} of the source", found.source, found.form),
                (f"{found.measure} of the spiking network", found.at_end, found.form),
            ]
        return [
            *lines,
            ("answers that differ", self.disagreements.share, "{:.2%}"),
            ("spikes a sample", self.spikes.spikes, "{:,.0f}"),
            *(
                (f"energy, {name} (quantized: 1)", found.ratio, "{:.2f}")
                for name, found in self.energy.items()
            ),
        ]

    def __str__(self):
        network = self.network
        header = ("figure", f"{network.spiking}, T = {network.timesteps}")
        rows = [(name, form.format(value)) for name, value, form in self.headlines()]
        return table([header, *rows])


def gather(
    ann: keras.Model,
    snn: SpikingModel,
    x: Inputs,
    y: np.ndarray | None,
    samples: int = 512,
    batch_size: int = 32,
    timesteps: Sequence[int] | None = None,
    neurons: Mapping[str, Sequence[int]] | None = None,
    comparison: Comparison | None = None,
) -> ReportFigures:
    """All figures of a report; arguments and result are those of `report`.

    `x` must be in the structure of the inputs, as `check_data` returns it.
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
    accuracy, spiking = _answers(snn, x, answer, source, labels, batch_size, timesteps)
    work = count_work(snn, part, batch_size)
    return ReportFigures(
        network=NetworkFigures(
            source=ann.name,
            spiking=snn.name,
            neurons=tuple(sorted({type(cell).__name__ for cell in cells})),
            timesteps=snn.timesteps,
            extra_steps=snn.extra_steps,
            parameters=ann.count_params(),
            backend=keras.backend.backend(),
            answer=str(answer),
        ),
        samples=count,
        inspected=min(samples, count),
        accuracy=accuracy,
        mismatch=_mismatch(ann, snn, part, batch_size),
        spikes=spike_statistics(snn, part, batch_size),
        energy={name: work.priced(name) for name in ENERGY_HARDWARE},
        traces=shown,
        disagreements=disagreements(source, spiking, y, answer),
        plan=_plan(ann, snn),
        comparison=comparison,
    )


def _answer(ann, snn):
    """The kind of answer of the networks' only output."""
    shapes = [tuple(y.shape) for y in snn.outputs]
    if len(shapes) != 1:
        raise ValueError(
            "report compares the answers of one output. Received a network with "
            f"{len(shapes)}: {shapes}. Remedy: a report of each, of models with one "
            "output, keras.Model(ann.inputs, ann.outputs[i]), converted alike."
        )
    return answers_of(normalize.normal_form(ann))[0]


def _output(outputs):
    """The array of the only output, from any structure."""
    return tree.flatten(outputs)[0]


def _answers(snn, x, answer, source, labels, batch_size, timesteps):
    """The measure at the given numbers of steps, and the outputs at the end."""
    settings = {"batch_size": batch_size, "verbose": 0}
    steps = [] if snn.coding.settles else steps_of(snn, timesteps)
    if labels is None:
        return None, _output(snn.predict(x, **settings))
    over_time = []
    if steps and snn.coding.any_time:
        over_time = _output(snn.predict_over_time(x, **settings))
        reached = [answer.score(over_time[t - 1], labels) for t in steps]
    else:  # each number of steps needs a run of its own
        runs = (snn.with_timesteps(t).predict(x, **settings) for t in steps)
        reached = [answer.score(_output(y), labels) for y in runs]
    outputs = over_time[-1] if len(over_time) else _output(snn.predict(x, **settings))
    accuracy = AccuracyFigures(
        measure=MEASURES[answer],
        timesteps=tuple(map(int, steps)),
        spiking=tuple(reached),
        at_end=answer.score(outputs, labels),
        source=answer.score(source, labels),
    )
    return accuracy, outputs


def _mismatch(ann, snn, x, batch_size):
    """The result of `mismatch`; None if neurons fire at random."""
    nodes = normalize.normal_form(ann).nodes
    if any(getattr(node.operation, "is_random", False) for node in nodes):
        return None
    return mismatch(ann, snn, x, batch_size)


def _plan(ann, snn):
    """The plan by which `ann` became `snn`; None if `ann` was quantized first."""
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
    return PlanFigures(tuple(header), tuple(map(tuple, rows)), made.verdict())
