"""`to_nir`: writes spiking networks as NIR files."""

import dataclasses
import os
from typing import Any

import keras
import numpy as np
from keras import layers

from snn_keras import files, linear
from snn_keras.export.calls import NotExported, Rules, call_of
from snn_keras.export.nir.package import package
from snn_keras.export.nir.padding import symmetric
from snn_keras.graph import Names
from snn_keras.linear.windows import Convolution
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Array

MAX_POOLING = (
    layers.MaxPooling2D,
    "average pooling in its place, which "
    "snn_keras.quantize_activations(..., replace_max_pooling=True) puts there",
)
LAYERS = (
    *("Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization"),
    *("Conv2D", "Dense", "DepthwiseConv2D", "Flatten", "GlobalAveragePooling2D"),
    *("Identity", "Normalization", "Rescaling", "SeparableConv2D", "Softmax"),
    *("Subtract", "ZeroPadding2D"),
)
rule = Rules("NIR form", LAYERS, [MAX_POOLING])


@dataclasses.dataclass(frozen=True, eq=False)
class NodeSum:
    """A tensor of the network: factor x (sum of the nodes' outputs) + offset.

    Attributes:
        nodes: Names of the NIR nodes whose outputs are added up.
        shape: Its shape in Keras, without batch and time.
        factor, offset: A number, or one for each channel, in the order of `order`.
        order: For features that were flattened channels-first, the index of each among
            features that are flattened channels-last; else None.
        padding: Padding with zeros that is still to be applied, `(before, after)` for
            each axis.
        own: Whether its only node has weights, and only this tensor reads it.
    """

    nodes: tuple
    shape: tuple
    factor: np.ndarray = 1.0
    offset: np.ndarray = 0.0
    order: np.ndarray | None = None
    padding: tuple = ()
    own: bool = False

    def with_(self, **changes) -> "NodeSum":
        """A copy with other attributes."""
        return dataclasses.replace(self, **changes)


def to_nir(
    snn: SpikingModel,
    path: str | os.PathLike,
    *,
    unit_thresholds: bool = False,
    overwrite: bool = False,
) -> list:
    """Writes a spiking network as a NIR file.

    Args:
        snn: A `SpikingModel` of integrate-and-fire neurons.
        path: The path of the file.
        unit_thresholds: Whether to fold thresholds into the weights before them, so
            that every neuron has a threshold of 1.
        overwrite: Whether to replace an existing file.

    Returns:
        A list of sentences: what a reader that ignores our metadata misses.

    Raises:
        ConversionError: if layers have no NIR form; the message names all of them.
        ValueError, FileExistsError, FileNotFoundError: for other invalid arguments.
    """
    path = files.check_target(path, overwrite)
    nir = package()
    if not hasattr(snn, "program") or not snn.program.during:
        raise ValueError(
            "expected a SpikingModel that runs over time. Remedy: "
            f'snn_keras.convert(model, timesteps, neuron="if"). Received: {snn!r}'
        )
    snn.program.check_no_frames("to_nir")
    writer = Writer(snn, unit_thresholds)
    graph = writer.graph()
    with files.written_whole(path) as partial:
        nir.write(str(partial), graph)
    return writer.losses


class Writer:
    """Goes through the graph of a spiking network and creates the nodes of NIR."""

    def __init__(self, snn: SpikingModel, unit_thresholds: bool) -> None:
        self.snn = snn
        self.unit_thresholds = unit_thresholds
        self.losses = [
            "reset: NIR has no subtraction of the threshold; a reader that sets the "
            "potential to v_reset loses what exceeds the threshold",
            f"output: the mean over {snn.timesteps} steps is left to the reader",
        ]
        self._names = Names()
        self._nodes = {}  # name -> (kind, settings)
        self._edges = []
        self._readers = []

    def graph(self) -> Any:
        """The `nir.NIRGraph`."""
        program = self.snn.program
        nodes = program.graph.nodes
        rule.check(program.graph, self.snn.name)
        sums = {}
        tensors = keras.tree.flatten(program.graph.inputs)
        for name, x in zip(program.graph.input_names, tensors, strict=True):
            shape = tuple(x.shape[1:])
            node = self.add("Input", name, (), input_type=first(shape))
            sums[x] = NodeSum((node,), shape)
        self._readers = [x for node in nodes for x in node.inputs]
        timed = set(program.during)
        for node in nodes:
            call = call_of(node, sums, timed, is_last=not self._count(node))
            made = rule.apply(self, call)
            if self._count(node) > 1:
                made = made.with_(own=False)
            sums[node.output] = made
        for i, x in enumerate(keras.tree.flatten(program.graph.outputs)):
            name = f"output_{i}" if i else "output"
            with rule.naming(f"'{name}'"):
                made = self.single(self.padded(sums[x], name), name)
            made = self.in_order(made, name)
            self.add("Output", name, made, output_type=first(made.shape))
        return self._made()

    def _count(self, node):
        return self._readers.count(node.output)

    def _made(self):
        nir = package()
        nodes = {}
        for name, (kind, settings) in self._nodes.items():
            arrays = {
                k: v.astype("float32") if _is_float(v) else v
                for k, v in settings.items()
            }
            nodes[name] = getattr(nir, kind)(**arrays)
        metadata = {
            "made_by": "snn_keras",
            "timesteps": self.snn.timesteps,
            "reset": "subtract",
            "output": "mean",
        }
        return nir.NIRGraph(nodes=nodes, edges=self._edges, metadata=metadata)

    # --- Building blocks of rules ----------------------------------------------------

    def add(self, kind: str, name: str, x: NodeSum | tuple[()], **settings) -> str:
        """Adds a node that reads `x`; returns its name."""
        name = self._names.unique(name)
        self._nodes[name] = kind, settings
        sources = x.nodes if isinstance(x, NodeSum) else x
        self._edges += [(source, name) for source in sources]
        return name

    def single(self, x: NodeSum, name: str) -> NodeSum:
        """`x` with factor 1 and offset 0, by changing weights or by another node."""
        if np.all(np.asarray(x.factor) == 1) and not np.any(x.offset):
            return x
        if x.own:
            _, settings = self._nodes[x.nodes[0]]
            weight = settings["weight"]
            channels = weight.shape[0]
            factor = np.broadcast_to(x.factor, channels)
            settings["weight"] = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
            settings["bias"] = settings["bias"] * factor + x.offset
            return x.with_(factor=1.0, offset=0.0)
        return self.scaled(x, x.factor, x.offset, f"{name}_scale")

    def in_order(self, x: NodeSum, name: str) -> NodeSum:
        """`x` with its features in the order of Keras."""
        if x.order is None:
            return x
        weight = np.eye(len(x.order))[np.argsort(x.order)]
        none = np.zeros(len(x.order))
        node = self.add("Affine", f"{name}_order", x, weight=weight, bias=none)
        return x.with_(nodes=(node,), order=None, own=False)

    def padded(self, x: NodeSum, name: str) -> NodeSum:
        """`x` with its padding applied, for operations that have no padding."""
        if not x.padding:
            return x
        sides = zip(x.shape[:2], x.padding, strict=True)
        shape = (*(n + sum(pair) for n, pair in sides), x.shape[-1])
        x = self.single(x, name)
        return self.one_tap(f"{name}_zeros", x, shape, np.eye(x.shape[-1]))

    def scaled(
        self, x: NodeSum, factor: np.ndarray, offset: np.ndarray, name: str
    ) -> NodeSum:
        """`factor * x + offset` by a new node, which ignores the factor of `x`."""
        channels = x.shape[-1]
        factor = np.broadcast_to(np.float64(factor), channels)
        offset = np.broadcast_to(np.float64(offset), channels)
        # Some readers do not know `Scale`; all know convolutions and `Affine`.
        if len(x.shape) == 3:
            alone = x.with_(factor=1.0, offset=0.0, padding=())
            (node,) = self.one_tap(
                name, alone, x.shape, np.diag(factor), bias=offset
            ).nodes
        elif len(x.shape) == 1:
            node = self.add(
                "Affine", name, x, weight=np.diag(factor), bias=np.array(offset)
            )
        elif not np.any(offset):
            full = np.broadcast_to(factor, x.shape)
            node = self.add("Scale", name, x, scale=channels_first(full))
        else:
            raise NotExported(
                "constants added to sequences have none. Remedy: images of height 1."
            )
        return x.with_(nodes=(node,), factor=1.0, offset=0.0, own=False)

    def convolved(
        self, name: str, x: NodeSum, shape: tuple[int, ...], form: Convolution
    ) -> NodeSum:
        """A `linear.Convolution` of images, which also applies the padding of `x`."""
        pairs = zip(x.padding or ((0, 0), (0, 0)), form.padding, strict=True)
        padding = [(a + c, b + d) for (a, b), (c, d) in pairs]
        # The shape inference of NIR supports only one group.
        weight = form.ungrouped.transpose(3, 2, 0, 1)
        weight, both = symmetric(weight, padding, form.dilation)
        return self.weighted(
            "Conv2d",
            name,
            x.with_(padding=()),
            shape,
            weight,
            form.bias,
            input_shape=tuple(x.shape[:2]),
            stride=form.strides,
            padding=both,
            dilation=form.dilation,
            groups=1,
        )

    def one_tap(
        self,
        name: str,
        x: NodeSum,
        shape: tuple[int, ...],
        matrix: np.ndarray,
        **settings,
    ) -> NodeSum:
        """A product of each pixel's channels with a matrix `(in, out)`."""
        form = linear.Convolution(matrix[None, None], **settings)
        return self.convolved(name, x, shape, form)

    def weighted(
        self,
        kind: str,
        name: str,
        x: NodeSum,
        shape: tuple[int, ...],
        weight: np.ndarray,
        bias: np.ndarray,
        **settings,
    ) -> NodeSum:
        """A node with weights `(out, in, ...)`, multiplied by the factor of `x`."""
        if np.any(x.offset):
            x = self.single(x, name)
        factor = np.broadcast_to(x.factor, x.shape[-1])
        factor = factor.reshape(1, -1, *(1,) * (weight.ndim - 2))
        bias = np.broadcast_to(np.float64(bias), len(weight))
        node = self.add(
            kind, name, x, weight=weight * factor, bias=np.array(bias), **settings
        )
        return NodeSum((node,), shape, own=True)


def _is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def first(shape: tuple[int, ...]) -> np.ndarray:
    """A channels-last shape as channels-first."""
    return np.array((shape[-1], *shape[:-1]))


def channels_first(x: Array) -> np.ndarray:
    return np.moveaxis(np.asarray(x), -1, 0)
