"""What a file says of its inputs and outputs, checked."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.interop.onnx.package import package

# The numbers of samples for which constants are known if the batch is open: two, to
# tell apart what depends on it.
OPEN = (2, 3)


@dataclasses.dataclass(frozen=True)
class SourceInput:
    """An input of a file.

    Attributes:
        name: Its name.
        shape: Its lengths; None if open.
        dtype: Its type.
        batch: The axis of the batch: the first, unless that has a fixed length above 1
            and another is the only open one.
    """

    name: str
    shape: tuple
    dtype: np.dtype
    batch: int = 0


@dataclasses.dataclass(frozen=True)
class Source:
    """What a file says besides its nodes.

    Attributes:
        name: The name of its graph.
        inputs: Its inputs, without constants.
        outputs: The names of its outputs.
        samples: The numbers of samples for which constants are known.
    """

    name: str
    inputs: tuple
    outputs: tuple
    samples: tuple


def source_of(proto: Any, name: str, input_shape: Any = None) -> Source:
    """What a file says of its inputs and outputs.

    Args:
        proto: A `GraphProto`.
        name: The name for the model.
        input_shape: Lengths without the batch, as the user gave them: a tuple, or a
            dict by the inputs' names.

    Raises:
        ConversionError: if an axis other than that of the batch is open.
        ValueError: if `input_shape` does not fit.
    """
    constants = {tensor.name for tensor in proto.initializer}
    given = [x for x in proto.input if x.name not in constants]
    if not given or not proto.output:
        raise ConversionError(
            f"'{name}' has {len(given)} inputs and {len(proto.output)} outputs. "
            "Remedy: export a network that has both."
        )
    shapes = _by_name([x.name for x in given], input_shape)
    inputs = tuple(_input(x, shapes.get(x.name)) for x in given)
    _check_open(name, inputs)
    outputs = tuple(x.name for x in proto.output)
    return Source(name, inputs, outputs, _samples(name, inputs))


def _by_name(names: Sequence[str], input_shape: Any) -> Mapping:
    if input_shape is None:
        return {}
    if not isinstance(input_shape, Mapping):
        if len(names) > 1:
            raise ValueError(
                f"input_shape = {input_shape} is for one of the {len(names)} inputs "
                f"{names}. Remedy: a dict by these names."
            )
        input_shape = {names[0]: input_shape}
    unknown = sorted(set(input_shape) - set(names))
    if unknown:
        raise ValueError(
            f"input_shape names {unknown}. Remedy: the inputs' names, {names}."
        )
    return input_shape


def _input(proto, given):
    """An input, its open axes closed by what the user gave."""
    kind = proto.type.tensor_type
    if not proto.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise ConversionError(
            f"input '{proto.name}' is no tensor with a shape. Remedy: export the "
            "network with the shapes of its inputs."
        )
    dims = kind.shape.dim
    shape = [d.dim_value if d.HasField("dim_value") else None for d in dims]
    if not shape:
        raise ConversionError(
            f"input '{proto.name}' is a number, and has no batch. Remedy: an input "
            "with a first axis for the batch."
        )
    if given is not None:
        fits = len(given) == len(shape) - 1 and all(
            n in (None, m) for n, m in zip(shape[1:], given, strict=True)
        )
        if not fits:
            raise ValueError(
                f"input_shape = {tuple(given)} does not fit input '{proto.name}' of "
                f"shape {tuple(shape)}. Remedy: its lengths without the first, in the "
                "file's order."
            )
        shape[1:] = [int(n) for n in given]
    batch = 0
    if given is None and shape[0] not in (None, 1) and shape.count(None) == 1:
        batch = shape.index(None)
    return SourceInput(proto.name, tuple(shape), _dtype(proto.name, kind), batch)


def _dtype(name, kind):
    try:
        return package().helper.tensor_dtype_to_np_dtype(kind.elem_type)
    except KeyError:
        raise ConversionError(
            f"input '{name}' is of type {kind.elem_type}, which ONNX does not have. "
            "Remedy: export the network again."
        ) from None


def _check_open(name, inputs):
    open_ = [
        f"'{x.name}' of shape {x.shape}"
        for x in inputs
        if None in (*x.shape[: x.batch], *x.shape[x.batch + 1 :])
    ]
    if open_:
        raise ConversionError(
            f"'{name}' has inputs with open axes besides that of the batch: "
            f"{', '.join(open_)} (None is open). Remedy: from_onnx(file, "
            "input_shape=lengths), the lengths without that of the batch, in the "
            "file's order; a dict by name for several inputs."
        )


def _samples(name, inputs):
    counts = {x.shape[x.batch] for x in inputs}
    if len(counts) > 1:
        raise ConversionError(
            f"'{name}' has inputs with batches of {sorted(counts, key=str)} samples. "
            "Remedy: export the network with an open batch in all inputs."
        )
    (count,) = counts
    return OPEN if count is None else (count,)
