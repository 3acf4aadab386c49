"""The spiking networks of a comparison: one for each run that must be measured."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from snn_keras.conversion import build, normalize, plan
from snn_keras.conversion.converting import default_neuron, filled, levels_of_run
from snn_keras.conversion.planning import Plan
from snn_keras.conversion.quantizing import has_unquantized, quantize_activations
from snn_keras.conversion.rules import neurons_of
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph
from snn_keras.inputs import CALIBRATION_SAMPLES, check_count, check_data
from snn_keras.neurons import SpikingCell, by_name
from snn_keras.simulate import SpikingModel
from snn_keras.typing import Inputs

# The neurons that are compared by default: those that need no training of their own.
UNTRAINED = ("if", "signed", "bit_serial", "multi_threshold", "differential")
STEPS = (1, 2, 4, 8)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A spiking network, whose one run is measured at one or more numbers of steps.

    Attributes:
        name: The neuron's name.
        timesteps: Numbers of steps, in increasing order; a run has the last.
        levels: Levels to which activations are quantized first, or None.
        plan: The `Plan` by which it is built.
    """

    name: str
    timesteps: tuple[int, ...]
    levels: int | None
    plan: Plan

    def build(self) -> SpikingModel:
        """The spiking network."""
        return build(self.plan, name=f"{self.plan.graph.name}_snn")


class Candidates:
    """Plans the spiking networks that a comparison measures.

    Args:
        model: As for `compare`.
        data: As for `compare`.
        neurons: As for `compare`.
        timesteps: As for `compare`.
        calibration: As for `compare`.

    Attributes:
        graph: The source's graph in normal form.
        neurons: `{name: neuron}`, as `convert` takes them.
        data: The calibration inputs as arrays, or None.
        left_out: `{name: why}`, of neurons that do not serve; filled by iteration.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Inputs,
        neurons: Any,
        timesteps: Sequence[int],
        calibration: str,
    ) -> None:
        self.graph = normalize.normal_form(model)
        self.is_float = has_unquantized(self.graph)
        self.is_chosen = neurons is not None
        self.neurons = named(self._default() if neurons is None else neurons)
        given = [timesteps] if np.ndim(timesteps) == 0 else timesteps
        steps = {check_count("timesteps", t) for t in given}
        if not steps:
            raise ValueError(
                "timesteps must hold at least one number of steps. Received: "
                f"timesteps={timesteps!r}"
            )
        self.timesteps = tuple(sorted(steps))
        if self.is_float and data is None:
            raise ValueError(
                f"'{self.graph.name}' has activations that are not quantized, and "
                "their thresholds come from data. Remedy: compare(..., data=x), a few "
                "hundred inputs without labels."
            )
        self.data = None
        if self.is_float:
            self.data = check_data(data, self.graph, CALIBRATION_SAMPLES)
        self.calibration = calibration if self.is_float else None
        self.left_out: dict[str, str] = {}
        self._quantized: dict[int, Graph] = {}

    def __iter__(self) -> Iterator[Candidate]:
        for name, neuron in self.neurons.items():
            try:
                found = list(self._of(name, neuron))
            except ConversionError as error:
                if self.is_chosen:
                    raise
                self.left_out[name] = str(error)
            else:
                yield from found
        if len(self.left_out) == len(self.neurons):
            raise ConversionError(
                f"'{self.graph.name}' cannot be converted with any of the neurons:\n"
                + "\n".join(f"{name}: {why}" for name, why in self.left_out.items())
            )

    def _default(self):
        """The neurons that need no training; before them, the activations' own."""
        if self.is_float:
            return UNTRAINED
        own = {getattr(x.operation, "neuron", "auto") for x in neurons_of(self.graph)}
        first = own.pop() if len(own) == 1 else "auto"
        return [first, *(name for name in UNTRAINED if name != first)]

    def _of(self, name, neuron):
        """The candidates of a neuron: one, if one run gives the answers of all."""
        longest = self._planned(name, neuron, self.timesteps)
        coding = longest.plan.coding
        cells = [step.cell for step in longest.plan.steps if step.cell is not None]
        shorter = coding.with_timesteps(1)
        counts_steps = any(cell.with_coding(shorter) is not cell for cell in cells)
        if coding.any_time and not counts_steps:
            yield longest
            return
        for steps in self.timesteps[:-1]:
            yield self._planned(name, neuron, (steps,))
        yield dataclasses.replace(longest, timesteps=self.timesteps[-1:])

    def _planned(self, name, neuron, timesteps):
        levels, default = None, None
        if self.is_float:
            default = default_neuron(neuron, self.graph)
            levels = levels_of_run(timesteps[-1], neuron, self.graph, default)
        graph = self._at(levels)
        if default is not None:
            neuron = filled(neuron, graph, default)
        return Candidate(name, timesteps, levels, plan(graph, timesteps[-1], neuron))

    def _at(self, levels):
        """The source's graph, quantized to `levels`."""
        if levels is None:
            return self.graph
        if levels not in self._quantized:
            quantized = quantize_activations(
                self.graph, levels, data=self.data, calibration=self.calibration
            )
            self._quantized[levels] = normalize.normal_form(quantized)
        return self._quantized[levels]


def named(neurons: Any) -> dict[str, Any]:
    """Neurons by name.

    Args:
        neurons: A list of names and cells; or a dict of these, and of dicts by layer.

    Raises:
        ValueError: if one of them is none, or two have the same name.
    """
    if isinstance(neurons, (str, SpikingCell)):
        neurons = [neurons]
    if isinstance(neurons, Mapping):
        found = dict(neurons)
    else:
        neurons = list(neurons)
        names = [x if isinstance(x, str) else type(x).__name__ for x in neurons]
        found = dict(zip(names, neurons, strict=True))
        if len(found) < len(names):
            raise ValueError(
                f"neurons: each needs a name of its own. Received: {names}. Remedy: "
                "a dict {name: neuron}."
            )
    known = ("auto", *by_name)
    bad = [
        neuron
        for neuron in found.values()
        if not (isinstance(neuron, (SpikingCell, Mapping)) or neuron in known)
    ]
    if bad or not found:
        raise ValueError(
            f"neurons must be of the names {list(known)}, or cells of "
            f"snn_keras.neurons. Received: {bad or neurons!r}"
        )
    return found
