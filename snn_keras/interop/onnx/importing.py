"""`from_onnx`: reads an ONNX file as a Keras model."""

import os
from collections.abc import Mapping, Sequence

import keras

from snn_keras.errors import ConversionError
from snn_keras.interop.onnx.building import Builder
from snn_keras.interop.onnx.constants import own_constants, with_computed
from snn_keras.interop.onnx.folding import Folder
from snn_keras.interop.onnx.nodes import Node, needed
from snn_keras.interop.onnx.reading import AGAIN, model_of, opset_of
from snn_keras.interop.onnx.rewriting import rewritten
from snn_keras.interop.onnx.source import source_of
from snn_keras.untrusted import reading


def from_onnx(
    path_or_bytes: str | os.PathLike | bytes,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
) -> keras.Model:
    """Reads an ONNX file as a functional Keras model that computes the same.

    Images and sequences have their channels last: where ONNX has (batch, channels,
    height, width), the model has (batch, height, width, channels), in its inputs if a
    convolution, a pool or a normalization reads them, and in its outputs if they come
    from one without a change of axes. All other inputs and outputs keep the order of
    the file. The batch is first and open, also where the file has one of fixed length.

    Constants, and what is computed of them and of shapes, are computed here. Operators
    become layers of Keras where there is one, else functions of `keras.ops`. Floats of
    any width are read as `keras.config.floatx()`.

    Args:
        path_or_bytes: The path of an ONNX file of opset 13 or newer, or its content.
        input_shape: The lengths of the inputs without that of the batch, in the order
            of the file, if it leaves some open; a dict by name for several inputs.

    Returns:
        A functional `keras.Model`; its layers are named after the nodes. Several inputs
        or outputs are lists in the order of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ConversionError: if the file is damaged, or has operators or settings that are
            not read; the message names all of them.
        ValueError: if the onnx package is not installed, or an argument does not fit.
    """
    proto, name = model_of(path_or_bytes)
    opset = opset_of(proto)
    source = source_of(proto.graph, name, input_shape)
    with reading(f"'{name}'", "an ONNX file", AGAIN, ConversionError):
        nodes = needed([Node.of(x) for x in proto.graph.node], source.outputs)
        constants = own_constants(proto)
        folder = Folder(opset, sum(x.size for x in constants.values()))
        nodes, constants = with_computed(constants, nodes, folder)
        nodes, constants = rewritten(nodes, constants, source.outputs, folder)
        return Builder(source, nodes, constants, folder).model()
