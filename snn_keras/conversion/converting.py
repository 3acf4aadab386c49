"""`convert`: from a source network to a spiking network."""

from collections.abc import Mapping

import keras

from snn_keras.conversion import normalize
from snn_keras.conversion.bias_correction import correct_biases
from snn_keras.conversion.building import build
from snn_keras.conversion.planning import check_timesteps, plan
from snn_keras.conversion.quantizing import has_unquantized, quantize_activations
from snn_keras.conversion.rules import is_quantized, neurons_of
from snn_keras.graph import Graph
from snn_keras.inputs import CALIBRATION_SAMPLES, arrays_of
from snn_keras.layers import SourceActivation
from snn_keras.neurons import IFCell, SpikingCell, by_name
from snn_keras.simulate import SpikingModel
from snn_keras.typing import Inputs


def convert(
    model: keras.Model,
    timesteps: int | str | None = None,
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell] = "auto",
    data: Inputs = None,
    *,
    levels: int | None = None,
    calibration: str = "mse",
    bias_correction: bool = False,
    input_steps: int | None = None,
    fused: bool = True,
) -> SpikingModel:
    """Converts a Keras model into a spiking network with the same weights.

    Every quantized activation becomes a layer of spiking neurons with its
    threshold; all other layers stay. The source is not changed.

    Args:
        model: A functional or Sequential `keras.Model` with quantized
            activations (`snn_keras.layers.LSQReLU`, `QCFS`).
        timesteps: Time steps of a run, an integer >= 1; or `"settle"`, with
            differential or signed neurons: run until no neuron fires. None: as many as
            the neurons need to be exact; if they never are, the levels of the
            activations. For a float network 8 with neurons whose spikes have sizes or
            are bits, 32 with others.
        neuron: `"auto"` (the neuron that the activation's class names; for a float
            network `"differential"`; with bias correction `"multi_threshold"`), `"if"`,
            `"signed"`, `"bit_serial"`, `"differential"`, `"multi_threshold"`, a cell
            of `snn_keras.neurons` whose threshold is set layer by layer, or a dict of
            these by the activations' names.
        data: Calibration inputs, as `model.predict` takes them; of a dataset or a
            generator, which may be endless, the first 4,096 samples are used. A model
            with plain ReLUs needs them: its activations are quantized first. A model
            that is quantized already is not quantized again.
        levels: Levels to quantize plain ReLUs to: `timesteps` by default, for
            bit-serial neurons all that `timesteps` bits hold, and for neurons whose
            spikes have sizes all that these hold, 255.
        calibration: How `data` sets the thresholds of plain ReLUs: `"mse"`,
            `"max"`, `"percentile"` or `"lsq"`; see `quantize_activations`.
        bias_correction: Whether to correct each channel's bias and initial
            potential by the channel's mean error on `data`, for this number of
            `timesteps`. The network runs on `data` 21 times.
        input_steps: With signed neurons, the number P of steps in which input and
            biases are on; the hidden layers' number of levels by default.
        fused: With bit-serial neurons, whether to compute all steps in one pass over
            decoded signals; False runs them one by one. The spikes are the same.

    Returns:
        A `snn_keras.SpikingModel`.

    Raises:
        ValueError: if an argument is not valid.
        ConversionError: if layers cannot be converted; the message names all of
            them.
    """
    check_timesteps(timesteps)
    if bias_correction and data is None:
        raise ValueError(
            "bias_correction=True measures errors on data, and there are none. "
            "Remedy: convert(..., data=x), a few hundred inputs."
        )
    if data is not None:  # read here, because a generator can be read only once
        data = arrays_of(data, CALIBRATION_SAMPLES)
    source = graph = normalize.normal_form(model)
    if data is not None and has_unquantized(graph):
        if not is_quantized(graph):
            timesteps, neuron = for_float_network(
                graph, timesteps, neuron, needs_rate=bias_correction
            )
        if levels is None:
            levels = levels_of_run(timesteps, neuron, graph)
        graph = normalize.normal_form(
            quantize_activations(graph, levels, data=data, calibration=calibration)
        )
    made = plan(
        graph,
        timesteps,
        neuron,
        input_steps=input_steps,
        fused=fused,
        bias_correction=bias_correction,
    )
    snn = build(made, name=f"{graph.name}_snn")
    if bias_correction:
        correct_biases(model, source, snn, data)
    return snn


def for_float_network(
    graph: Graph,
    timesteps: int | str | None,
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell],
    needs_rate: bool,
) -> tuple[int | str, str | SpikingCell | Mapping[str, str | SpikingCell]]:
    """The steps and the neurons of a float network; prints what was chosen for it."""
    given = timesteps, neuron
    if neuron == "auto":
        neuron = "multi_threshold" if needs_rate else "differential"
    if timesteps is None:
        timesteps = max(cell.float_timesteps for cell in cells_of(neuron))
    if given != (timesteps, neuron):
        print(
            f"{graph.name}: neuron={neuron!r}, timesteps={timesteps!r}, chosen for a "
            "float network; these arguments choose others"
        )
    return timesteps, neuron


def cells_of(neuron: str | SpikingCell | Mapping[str, str | SpikingCell]) -> list:
    """The cells among what `neuron` names, in their default form."""
    chosen = list(neuron.values()) if isinstance(neuron, dict) else [neuron]
    cells = [by_name[n]() if n in by_name else n for n in chosen]
    return [cell if isinstance(cell, SpikingCell) else IFCell() for cell in cells]


def levels_of_run(
    timesteps: int | str | None,
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell],
    graph: Graph,
) -> int:
    """The number of levels that neurons can send in `timesteps` steps.

    Where these are None, the levels of the activations that are quantized already.

    Raises:
        ValueError: if the run has no fixed number of steps.
    """
    if timesteps is None:
        made = [node.operation for node in neurons_of(graph)]
        return max(x.levels for x in made if isinstance(x, SourceActivation))
    return max(
        cell.levels(cell.coding(1, ()).with_timesteps(timesteps))
        for cell in cells_of(neuron)
    )
