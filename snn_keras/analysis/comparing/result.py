"""The result of `compare`: a table, a plot, and the choice among its rows."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from snn_keras.figures import Figures
from snn_keras.neurons import SpikingCell
from snn_keras.text import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COSTS = (
    *("energy", "timesteps", "spikes", "bits", "additions"),
    *("state_bytes", "seconds"),
)


@dataclasses.dataclass(frozen=True)
class Row(Figures):
    """A spiking network and what it does in a run: means over samples.

    Attributes:
        neuron: The neuron, as the comparison names it.
        timesteps: Steps of the run.
        agreement: Share of answers that are the source's, in [0, 1]; for numbers, of
            those within 0.1 standard deviations of the source's.
        spikes: Number of spikes of a run.
        bits: Bits sent for them.
        additions: Number of additions.
        energy: Energy of operations and memory in picojoules, as
            `snn_keras.analysis.energy` counts it.
        opponent: Energy of the fairest quantized opponent, as of
            `snn_keras.analysis.Energy`, for the levels of this row.
        state_bytes: Size of the states of all neurons for one sample, in bytes.
        seconds: Time for one sample, in `predict`. Where one run gives the answers of
            several numbers of steps, its time in proportion to the steps.
        accuracy: Share of right answers; None without labels, and for numbers.
        error: For numbers with labels, the root mean square error; else None.
        levels: Levels to which the activations of a float network were quantized;
            None for a network that is quantized already.
    """

    neuron: str
    timesteps: int
    agreement: float
    spikes: float
    bits: float
    additions: float
    energy: float
    opponent: float
    state_bytes: int
    seconds: float
    accuracy: float | None = None
    error: float | None = None
    levels: int | None = None

    @property
    def ratio(self) -> float:
        """Energy divided by that of the fairest quantized opponent."""
        return self.energy / self.opponent

    @property
    def quality(self) -> float:
        """The accuracy where it is known, else the agreement."""
        return self.agreement if self.accuracy is None else self.accuracy


@dataclasses.dataclass(frozen=True)
class SourceRow(Figures):
    """The source network in a comparison: means over samples.

    Attributes:
        accuracy, error, seconds: As of `Row`.
        additions: Number of additions, one for each weight that is met.
        energy: Energy of operations and memory in picojoules, in float32.
    """

    additions: float
    energy: float
    seconds: float
    accuracy: float | None = None
    error: float | None = None

    @property
    def quality(self) -> float:
        """The accuracy where it is known, else 1: it agrees with itself."""
        return 1.0 if self.accuracy is None else self.accuracy


@dataclasses.dataclass(frozen=True)
class Comparison(Figures):
    """The result of `compare`. Print it, `plot()` it, or use `as_dict()`.

    Attributes:
        name: The source's name.
        samples: Number of samples whose answers are compared.
        counted: Number of samples of which spikes and operations are counted.
        source: `SourceRow`.
        rows: A `Row` for each neuron and number of steps.
        neurons: `{name: neuron}`, as `convert` takes them.
        calibration: How thresholds of plain ReLUs were set; None for a network that
            is quantized already.
        left_out: `{neuron: why it does not serve}`.
    """

    name: str
    samples: int
    counted: int
    source: SourceRow
    rows: tuple[Row, ...]
    neurons: Mapping[str, Any]
    calibration: str | None = None
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def unbeaten(self, cost: str = "energy") -> list[Row]:
        """The rows that no other beats: none is as good at a lower cost, or better.

        Args:
            cost: `"energy"`, `"timesteps"`, `"spikes"`, `"bits"`, `"additions"`,
                `"state_bytes"` or `"seconds"`.

        Returns:
            These rows, the cheapest first.

        Raises:
            ValueError: if there is no such cost.
        """
        _check_cost(cost)
        found: list[Row] = []
        for row in sorted(self.rows, key=lambda row: (row[cost], -row.quality)):
            last = found[-1] if found else None
            is_equal = last and (row[cost], row.quality) == (last[cost], last.quality)
            if last is None or is_equal or row.quality > last.quality:
                found.append(row)
        return found

    def best_row(self, within: float = 0.5, cost: str = "energy") -> Row:
        """The row of the lowest cost among those nearly as good as the source.

        Args:
            within: How many percentage points of accuracy it may lose; without
                labels, and for numbers, on how many percent of answers it may differ.
                At least 0.
            cost: As for `unbeaten`.

        Raises:
            ValueError: if no row is so good, or an argument is not valid.
        """
        if isinstance(within, bool) or not within >= 0:
            raise ValueError(
                f"within must be a number of points >= 0. Received: within={within!r}"
            )
        wanted = self.source.quality - within / 100
        found = [row for row in self.unbeaten(cost) if row.quality >= wanted - 1e-12]
        if not found:
            best = max(self.rows, key=lambda row: row.quality)
            lost = 100 * (self.source.quality - best.quality)
            raise ValueError(
                f"no network is within {within:g} points of the source. The best, "
                f"{best.neuron} in {best.timesteps} steps, is {lost:.2f} points below. "
                f"Remedy: within={math.ceil(100 * lost) / 100:.2f} or more; or compare "
                "with more steps."
            )
        return found[0]

    def best(self, within: float = 0.5, cost: str = "energy") -> dict[str, Any]:
        """The arguments for `snn_keras.convert` that make the network of `best_row`.

        `snn_keras.convert(model, data=data, **comparison.best())`, with the model and
        the data that were compared; a network that is quantized needs no data.

        Args:
            within: As for `best_row`.
            cost: As for `unbeaten`.

        Raises:
            ValueError: as `best_row`.
        """
        row = self.best_row(within, cost)
        chosen = {"timesteps": row.timesteps, "neuron": self.neurons[row.neuron]}
        if row.levels is not None:
            chosen |= {"levels": row.levels, "calibration": self.calibration}
        return chosen

    def plot(self) -> "Figure":
        """Draws the answers against steps and against energy, side by side.

        Returns:
            A Matplotlib figure, which `savefig` writes.
        """
        from snn_keras.analysis.comparing.plot import plot_comparison

        return plot_comparison(self)

    @property
    def measure(self) -> str:
        """What `quality` is: `"accuracy"` or `"same answer"`."""
        return "same answer" if self.source.accuracy is None else "accuracy"

    def __str__(self):
        best = self.unbeaten()
        source = ("source", "", *self._answers(self.source, 1.0), "", "")
        source += (*_costs(self.source), "", "", f"{1e3 * self.source.seconds:.3g}", "")
        header = ["neuron", "T", "same answer", "spikes", "bits", "additions"]
        header += ["energy, nJ", "of quantized", "state, KiB", "ms", "unbeaten"]
        if self.source.accuracy is not None:
            header.insert(2, "accuracy")
        elif self.source.error is not None:
            header.insert(2, "error")
        lines = [
            f"{self.name}: answers of {self.samples:,} samples, spikes and operations "
            f"of {self.counted:,}; means for one sample",
            table(
                [header, source, *(self._row(row, row in best) for row in self.rows)]
            ),
        ]
        lines.append(
            '"of quantized": energy over that of the same network without spikes, in '
            "whole numbers of as few bits"
        )
        lines += [f"left out: {name}: {why}" for name, why in self.left_out.items()]
        return "\n".join(lines)

    def _row(self, row, is_unbeaten):
        return (
            row.neuron,
            str(row.timesteps),
            *self._answers(row, row.agreement),
            f"{row.spikes:,.0f}",
            f"{row.bits:,.0f}",
            *_costs(row),
            f"{row.ratio:.2f}",
            f"{row.state_bytes / 1024:,.1f}",
            f"{1e3 * row.seconds:.3g}",
            "*" if is_unbeaten else "",
        )

    @staticmethod
    def _answers(row, agreement):
        known = () if row.accuracy is None else (f"{row.accuracy:.2%}",)
        if row.error is not None:
            known = (f"{row.error:.4g}",)
        return (*known, f"{agreement:.2%}")

    def as_dict(self) -> dict:
        """The attributes by name, as nested plain values, ready for JSON."""
        neurons = {name: described(neuron) for name, neuron in self.neurons.items()}
        return {**super().as_dict(), "neurons": neurons}


def described(neuron: str | SpikingCell | Mapping) -> Any:
    """A neuron as `convert` takes it, as plain values."""
    if isinstance(neuron, Mapping):
        return {layer: described(each) for layer, each in neuron.items()}
    if isinstance(neuron, str):
        return neuron
    config = keras.saving.serialize_keras_object(neuron)
    config["config"] = {k: v for k, v in config["config"].items() if k != "name"}
    return {k: config[k] for k in ("class_name", "registered_name", "config")}


def _costs(row):
    return f"{row.additions:,.0f}", f"{row.energy / 1e3:,.1f}"


def _check_cost(cost):
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {list(COSTS)}. Received: cost={cost!r}")
