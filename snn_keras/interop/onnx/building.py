"""Builds the Keras model of a file's graph, node by node."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.graph import Names
from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import arranged
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.folding import Folder
from snn_keras.interop.onnx.images import gives_image, read_as_image
from snn_keras.interop.onnx.making import Maker, legal
from snn_keras.interop.onnx.nodes import Node, readers
from snn_keras.interop.onnx.operators import TRANSLATIONS
from snn_keras.interop.onnx.operators.shapes import keras_dtype
from snn_keras.interop.onnx.source import Source
from snn_keras.interop.onnx.values import SAMPLES, Known, View

REMEDY = (
    "Remedy: export the network without them, or with other settings. Where samples "
    "would mix because the batch is not the first axis of the inputs: export it with "
    "the batch open, and no other axis."
)


class Builder:
    """Builds the model of one file.

    Args:
        source: What the file says.
        nodes: Its nodes, in running order.
        constants: Its constants by name.
        folder: Computes the nodes that depend on constants and shapes alone.
    """

    def __init__(
        self,
        source: Source,
        nodes: Sequence[Node],
        constants: Mapping[str, np.ndarray],
        folder: Folder,
    ) -> None:
        self._source = source
        self._nodes = list(nodes)
        self._folder = folder
        self._names = Names()
        self._refused = []
        self._values = {k: Known.constant(v) for k, v in constants.items()}

    def model(self) -> keras.Model:
        """The Keras model.

        Raises:
            ConversionError: if nodes cannot be translated; the message names all.
        """
        read_by = readers(self._nodes)
        inputs = [
            self._input(x, read_as_image(x.name, read_by)) for x in self._source.inputs
        ]
        for node in self._nodes:
            self._translate(node)
        outputs = [self._output(name) for name in self._source.outputs]
        if self._refused:
            raise ConversionError(
                f"'{self._source.name}' has nodes that Keras cannot take over:\n"
                + "\n".join(f"- {line}" for line in self._refused)
                + f"\n{REMEDY}"
            )
        alone = [x[0] if len(x) == 1 else x for x in (inputs, outputs)]
        return keras.Model(*alone, name=legal(self._source.name))

    def _input(self, found, is_image):
        """A Keras input; its samples are first, its channels last."""
        rank = len(found.shape)
        axes = [axis for axis in range(rank) if axis != found.batch]
        is_image = is_image and rank > 2 and found.batch == 0
        if is_image:
            axes = [*axes[1:], axes[0]]
        name = self._names.unique(legal(found.name))
        shape = [found.shape[axis] for axis in axes]
        x = keras.Input(shape, dtype=_dtype(found), name=name)
        places = {axis: (place,) for place, axis in enumerate(axes, 1)}
        places[found.batch] = () if self._source.samples == (1,) else (SAMPLES,)
        view = View(x, tuple(places[axis] for axis in range(rank)), is_image)
        self._values[found.name] = view
        return x

    def _translate(self, node):
        inputs = [self._values[name] if name else None for name in node.inputs]
        try:
            if any(isinstance(x, Exception) for x in inputs):
                raise Skipped  # one behind a refused one is not judged
            found = self._outputs_of(node, inputs)
            self._values |= dict(zip(node.outputs, found, strict=False))
        except Untranslatable as error:
            if not isinstance(error, Skipped):
                self._refused.append(f"{node.describe()}: {error}.")
            self._values |= dict.fromkeys(node.outputs, error)

    def _outputs_of(self, node, inputs):
        if node.op in ("Shape", "Size") and isinstance(inputs[0], View):
            return [self._shape(node, inputs[0])]
        if all(x is None or isinstance(x, Known) for x in inputs):
            return self._folder.folded(node, inputs)
        call = Call(node, inputs, Maker(node.name, self._names), self._source.samples)
        try:
            made = TRANSLATIONS[node.op](call)
        except Untranslatable:
            raise
        except Exception as error:
            raise Untranslatable(f"Keras cannot compute it: {error}") from error
        made = made if isinstance(made, list) else [made]
        return [
            dataclasses.replace(y, is_image=gives_image(node, inputs, y)) for y in made
        ]

    def _shape(self, node, view):
        """The shape of a view, for each number of samples."""
        found = []
        for samples in self._source.samples:
            shape = np.array(view.shape(samples), "int64")
            if node.op == "Size":
                found.append(np.array(np.prod(shape), "int64"))
            else:
                start, end = (node.attributes.get(n) for n in ("start", "end"))
                found.append(shape[start:end])
        return Known(tuple(found))

    def _output(self, name):
        """A Keras output: the samples first, channels last in images."""
        value = self._values[name]
        if isinstance(value, Exception):
            return None
        try:
            if isinstance(value, Known):
                raise Untranslatable("it depends on no input")
            make = Maker(f"{name}_output", self._names)
            return arranged(
                make, value, [value.places[i] for i in axes_of_output(value)]
            )
        except Untranslatable as error:
            self._refused.append(f"output '{name}': {error}.")
            return None


def _dtype(found):
    try:
        return keras_dtype(found.dtype)
    except Untranslatable as error:
        raise ConversionError(
            f"input '{found.name}' cannot be read: {error}. Remedy: export the network "
            "with an input of numbers."
        ) from error


def axes_of_output(view: View) -> list[int]:
    """The axes of a view as a model's output has them, without that of the samples."""
    samples = view.axis_of_samples()
    if samples is None and view.rank and view.places[0] == ():
        samples = 0
    axes = [axis for axis in range(view.rank) if axis != samples]
    if view.is_image and 1 in axes:
        axes = [axis for axis in axes if axis != 1] + [1]
    return axes


class Skipped(Untranslatable):
    """A node reads what a refused one should have given."""
