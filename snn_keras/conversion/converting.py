"""`convert`: from a source network to a spiking network."""

from collections.abc import Mapping

import keras

from snn_keras.coding import Rate
from snn_keras.conversion import frames, normalize
from snn_keras.conversion.bias_correction import correct_biases
from snn_keras.conversion.building import build
from snn_keras.conversion.planning import (
    check_choices,
    check_is_source,
    check_timesteps,
    plan,
)
from snn_keras.conversion.quantizing import has_unquantized, quantize_activations
from snn_keras.conversion.rules import is_quantized, neurons_of
from snn_keras.graph import Graph
from snn_keras.inputs import CALIBRATION_SAMPLES, arrays_of
from snn_keras.layers import SourceActivation
from snn_keras.neurons import IFCell, SpikingCell, by_name
from snn_keras.simulate import SpikingModel
from snn_keras.typing import Inputs

# For float networks, the first whose coding fits: with differential neurons they give
# their answers in the fewest steps (`snn_keras.compare`).
FLOAT_NEURONS = ("differential", "multi_threshold", "bit_serial")


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
    input_frames: bool = False,
    products: str = "numbers",
) -> SpikingModel:
    """Converts a Keras model into a spiking network with the same weights.

    Every quantized activation becomes a layer of spiking neurons with its
    threshold; all other layers stay. The source is not changed.

    Args:
        model: A trained `keras.Model`: a float one, whose ReLUs are quantized on
            `data`, or one with quantized activations (`quantize_activations`).
        timesteps: Time steps of a run, an integer >= 1; or `"settle"`, with
            differential or signed neurons: run until no neuron fires. None: as many as
            the neurons need to be exact; if they never are, the levels of the
            activations. For a float network 8 with neurons whose spikes have sizes or
            are bits, 32 with others.
        neuron: `"auto"` (with a number of `timesteps` the neuron that the activation's
            class names; without, one that is exact: `"bit_serial"`, in as many steps as
            the levels have bits, or `"differential"` where they have different bits,
            run until it settles (which `fit` and NIR do not take: name `timesteps`);
            for a float network `"differential"`; with bias correction
            `"multi_threshold"`), `"if"`,
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
        input_steps: With signed or differential neurons, the number P of steps in
            which input and biases are on; the hidden layers' number of levels by
            default, and 1 with differential neurons.
        fused: With bit-serial neurons, whether to compute all steps in one pass over
            decoded signals; False runs them one by one. The spikes are the same.
        input_frames: Whether every step has an input of its own, as events and video
            have: inputs are then `(batch, timesteps, ...)`, and what stands before the
            first neuron is computed for each. Neurons that code by a rate answer to
            the mean of their frames' currents. `data` are single frames, which the
            source takes.
        products: What products between neurons take where `data` quantizes a float
            network: `"numbers"`, or `"spikes"`; see `quantize_activations`.

    Returns:
        A `snn_keras.SpikingModel`.

    Raises:
        ValueError: if an argument is not valid.
        ConversionError: if layers cannot be converted; the message names all of
            them.
    """
    check_is_source(model)
    check_timesteps(timesteps)
    check_choices(neuron)
    if input_frames:
        frames.check_arguments(timesteps, bias_correction)
    given = timesteps
    if bias_correction and data is None:
        raise ValueError(
            "bias_correction=True measures errors on data, and there are none. "
            "Remedy: convert(..., data=x), a few hundred inputs."
        )
    if data is not None:  # read here, because a generator can be read only once
        data = arrays_of(data, CALIBRATION_SAMPLES)
    source = graph = normalize.normal_form(model)
    if data is not None and has_unquantized(graph):
        default = default_neuron(
            neuron, graph, needs_rate=bias_correction or input_frames
        )
        if default is not None and timesteps is None:
            cells = cells_of(neuron, default)
            timesteps = max(cell.float_timesteps for cell in cells)
        if levels is None:
            levels = levels_of_run(timesteps, neuron, graph, default)
        quantized = quantize_activations(
            graph, levels, data=data, calibration=calibration, products=products
        )
        graph = normalize.normal_form(quantized)
        if default is not None:
            _say(source, given, timesteps, neuron, default)
            neuron = filled(neuron, graph, default)
    elif products != "numbers":
        raise ValueError(
            f"products={products!r} is for float networks, which data quantize. "
            "Remedy: quantize_activations(..., products=...), then convert. Received: "
            + ("no data" if data is None else "a network that is quantized already")
        )
    made = plan(
        graph,
        timesteps,
        neuron,
        input_steps=input_steps,
        fused=fused,
        bias_correction=bias_correction,
        input_frames=input_frames,
    )
    snn = build(made, name=f"{graph.name}_snn")
    if bias_correction:
        correct_biases(model, source, snn, data)
    return snn


def default_neuron(
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell],
    graph: Graph,
    needs_rate: bool = False,
) -> str | None:
    """The neuron of a float network's activations for which none is named.

    The first of `FLOAT_NEURONS` that works in the coding of those that are named.
    None for a network with quantized activations, whose classes name theirs.

    Args:
        neuron: As for `convert`.
        graph: The source's graph in normal form.
        needs_rate: Whether the neurons must code by a rate.
    """
    if is_quantized(graph):
        return None
    named = cells_of(neuron)
    codings = [Rate(1)] if needs_rate else [cell.coding(1, ()) for cell in named]
    fits = (
        name
        for name in FLOAT_NEURONS
        if all(by_name[name]().works_in(coding) for coding in codings)
    )
    return next(fits, "auto")


def filled(
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell],
    graph: Graph,
    default: str,
) -> str | SpikingCell | Mapping[str, str | SpikingCell]:
    """`neuron`, with `default` for each activation of the graph that it leaves open."""
    if neuron == "auto":
        return default
    if not isinstance(neuron, Mapping):
        return neuron
    found = {node.name: neuron.get(node.name, "auto") for node in neurons_of(graph)}
    found = {name: default if n == "auto" else n for name, n in found.items()}
    return {**neuron, **found}


def _say(graph, given, timesteps, neuron, default):
    """Prints what was chosen for a float network, if anything was."""
    if given is None or neuron == "auto":
        chosen = default if neuron == "auto" else neuron
        print(
            f"{graph.name} is a float network, converted with neuron={chosen!r}, "
            f"timesteps={timesteps!r}; to choose others, give these arguments"
        )


def cells_of(
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell],
    default: str | None = None,
) -> list:
    """The cells among what `neuron` names, in their default form.

    Args:
        neuron: As for `convert`.
        default: The neuron where none is named; None leaves it out.
    """
    chosen = list(neuron.values()) if isinstance(neuron, Mapping) else [neuron]
    if "auto" in chosen or isinstance(neuron, Mapping):
        chosen = [n for n in chosen if n != "auto"]
        chosen += [] if default is None else [default]
    cells = [by_name[n]() if n in by_name else n for n in chosen]
    return [cell if isinstance(cell, SpikingCell) else IFCell() for cell in cells]


def levels_of_run(
    timesteps: int | str | None,
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell],
    graph: Graph,
    default: str | None,
) -> int:
    """The number of levels that neurons can send in `timesteps` steps.

    Where these are None, the levels of the activations that are quantized already.

    Args:
        timesteps: As for `convert`.
        neuron: As for `convert`.
        graph: The source's graph in normal form.
        default: What `default_neuron` returned.

    Raises:
        ValueError: if the run has no fixed number of steps.
    """
    if timesteps is None:
        made = [node.operation for node in neurons_of(graph)]
        return max(x.levels for x in made if isinstance(x, SourceActivation))
    return max(
        cell.levels(cell.coding(1, ()).with_timesteps(timesteps))
        for cell in cells_of(neuron, default)
    )
