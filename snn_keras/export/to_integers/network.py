"""`quantize_weights`: converts a spiking network into an integer network."""

import numpy as np
from keras import tree

from snn_keras.export import integer
from snn_keras.export.calls import static_shape
from snn_keras.export.inputs import by_name
from snn_keras.export.to_integers.units import lowest_bit
from snn_keras.export.to_integers.writer import IntegerWriter
from snn_keras.graph import Graph
from snn_keras.inputs import CALIBRATION_SAMPLES, check_data
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

ROUNDS = 32  # most rounds of coarsening; a round may reveal further overflows


def quantize_weights(
    snn: SpikingModel, data: Inputs, input_dtype: str = "int8"
) -> integer.IntegerNetwork:
    """Converts a spiking network into an integer network.

    Weights become int8, with a unit for each channel. Thresholds, potentials and
    biases become int32 in the same unit, which is chosen so that thresholds are whole
    numbers if possible, and 16-bit sums cannot overflow. Thresholds of the layer before
    are folded into weights, batch normalization into units, and average pooling into
    sums. Multiples of a power of two, within 8 bits, are not rounded.

    Args:
        snn: A `SpikingModel` of integrate-and-fire neurons, signed ones, or
            bit-serial ones with `fused=True`, with a fixed number of time steps.
        data: Inputs as `predict` takes them; their range sets the input's scale. A
            thousand typical samples are enough. Of a dataset or a generator, which
            may be endless, the first 4,096 samples are read.
        input_dtype: The dtype of the input, `"int8"`, `"uint8"` or `"int16"`.

    Returns:
        An `IntegerNetwork`.

    Raises:
        ConversionError: if layers have no integer form; the message names all of them.
        ValueError: for other invalid arguments.
    """
    if not hasattr(snn, "program"):
        raise ValueError(
            "expected a SpikingModel. Remedy: snn_keras.convert(model, timesteps). "
            f"Received: {snn!r} of type {type(snn).__name__}."
        )
    snn.program.check_no_frames("an export")
    if snn.program.during and snn.timesteps == "settle":
        raise ValueError(
            "an exported network runs for a fixed number of steps. Remedy: "
            "snn.with_timesteps(T); snn.settling_steps(x) tells how many it takes."
        )
    if input_dtype not in ("int8", "uint8", "int16"):
        raise ValueError(
            'input_dtype must be "int8", "uint8" or "int16". Received: '
            f"input_dtype={input_dtype!r}"
        )
    inputs = input_specs(snn.program.graph, data, input_dtype)
    floors = ()
    for _ in range(ROUNDS):
        writer = IntegerWriter(snn.program, inputs, floors)
        operations, outputs = writer.write()
        floors = writer.floors(operations)
        if floors is None:
            break
    return integer.IntegerNetwork(
        snn.name,
        inputs,
        operations,
        outputs,
        writer.steps,
        writer.notes,
        writer.left_out,
    )


def input_specs(graph: Graph, data: Inputs, dtype: str) -> list[integer.Input]:
    """An `integer.Input` for every input of a graph."""
    names = graph.input_names
    data = check_data(by_name(data, names, CALIBRATION_SAMPLES), graph)
    named = zip(names, tree.flatten(graph.inputs), tree.flatten(data), strict=True)
    return [input_spec(name, static_shape(name, x), v, dtype) for name, x, v in named]


def input_spec(
    name: str, shape: tuple[int, ...], values: np.ndarray, dtype: str
) -> integer.Input:
    """An `integer.Input` for the range of `values`, without rounding if possible."""
    values = np.asarray(values, "float64")
    limits = np.iinfo(dtype)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    span = limits.max - limits.min
    bit = float(np.min(lowest_bit(values)))
    if np.isinf(bit):
        bit = 1.0
    scale = bit if (high - low) / bit <= span else (high - low) / span
    lowest, highest = np.floor(low / scale + 0.5), np.floor(high / scale + 0.5)
    # The zero point is 0 if the numbers fit.
    fits = limits.min <= lowest and highest <= limits.max
    zero_point = 0 if fits else int(limits.min - lowest)
    return integer.Input(name, shape, dtype, scale, zero_point)
