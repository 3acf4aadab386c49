"""Random source networks on dyadic numbers, in Keras and for the reference.

Every network is made twice from one seed: as a functional Keras model, with
nested models and shared layers, and as the flat list of nodes that
`tests.reference` simulates. Weights, steps and inputs are small multiples of
1/8 or 1/16, so that float32 sums are exact in any order.
"""

import dataclasses

import keras
import numpy as np
import pytest

from snn_keras.layers import QCFS, LSQReLU
from tests.reference import Node

MAX_SIZE = 300  # features of a tensor, so that float32 stays exact and fast


@dataclasses.dataclass
class Edge:
    """A tensor of the network: its node's name and its KerasTensor."""

    name: str
    tensor: keras.KerasTensor
    depth: int = 0  # linear maps since the last activation

    @property
    def shape(self):
        return tuple(self.tensor.shape[1:])


@dataclasses.dataclass
class Network:
    """A Keras model, the same for the reference, and inputs for both."""

    model: keras.Model
    nodes: list
    outputs: list
    inputs: dict

    @property
    def keras_inputs(self):
        """The inputs in the structure of the model's."""
        return _alone(list(self.inputs.values()))


def dyadic(rng, shape, scale=8, high=8):
    """Multiples of 1/scale in [-high/scale, high/scale]."""
    return (rng.integers(-high, high + 1, shape) / scale).astype("float32")


def seeds(total, quick):
    """Seeds of random networks; all but the first `quick` are slow tests."""
    slow = [pytest.param(i, marks=pytest.mark.slow) for i in range(quick, total)]
    return [*range(quick), *slow]


class Maker:
    """Grows a random network, in both forms at once.

    Args:
        seed: Fixes the network and its inputs.
        levels: Choices for the number of levels of an activation.
        kinds: Names of the `add_*` methods to draw from; all by default.
    """

    def __init__(self, seed, levels=(1, 2, 3, 4, 7), kinds=None):
        self.rng = np.random.default_rng(seed)
        self.levels = levels
        self.kinds = kinds or KINDS
        self.nodes, self.edges, self.inputs = [], [], {}
        self.keras_inputs = []

    def make(self, operations=8, batch=3):
        """A network of about so many operations."""
        rank = int(self.rng.choice([1, 2, 2, 2, 3]))
        for i in range(int(self.rng.integers(1, 3))):
            shape = (4,) * rank + (int(self.rng.integers(1, 4)),)
            name = f"input_{i}"
            tensor = keras.Input(shape, name=name)
            self.keras_inputs.append(tensor)
            self.edges.append(Edge(name, tensor))
            self.nodes.append(Node(name, "input"))
            self.inputs[name] = dyadic(self.rng, (batch, *shape), 16, 32)
        self.add_conv(self.edges[-1])
        self.add_activation(self.edges[-1])
        while len(self.nodes) < operations:
            kind = str(self.rng.choice(self.kinds))
            getattr(self, f"add_{kind}")(self.pick())
        self.add_activation(self.edges[-1])
        outputs = [self.head(self.edges[-1])]
        if self.rng.random() < 0.3:
            outputs.append(self.head(self.pick()))
        model = keras.Model(
            _alone(self.keras_inputs), _alone([x.tensor for x in outputs])
        )
        return Network(model, self.nodes, [x.name for x in outputs], self.inputs)

    def pick(self):
        """A recent tensor; after two linear maps in a row, first an activation."""
        edge = self.edges[-1 - int(self.rng.integers(0, min(3, len(self.edges))))]
        if edge.depth >= 2:
            self.add_activation(edge)
            edge = self.edges[-1]
        return edge

    def head(self, edge):
        """Global average pooling and a dense layer, or flatten and dense."""
        if len(edge.shape) > 1:
            if self.rng.random() < 0.5 and _power_of_two(edge.shape[:-1]):
                edge = self._layer(
                    "GlobalAveragePooling", edge, "global_avg_pool", {}, {}
                )
            else:
                layer = keras.layers.Flatten(name=self._name("flatten"))
                edge = self._node(layer, [edge], "flatten", {})
        return self.add_dense(edge)

    # --- operations ------------------------------------------------------------------

    def add_activation(self, edge):
        levels = int(self.rng.choice(self.levels))
        per_channel = self.rng.random() < 0.2
        size = (edge.shape[-1],) if per_channel else ()
        step = self.rng.integers(2, 13, size) / 8
        axis = -1 if per_channel else None
        name = self._name("act")
        if self.rng.random() < 0.3 and levels in (1, 2, 4):
            layer = QCFS(levels, initial_threshold=step * levels, axis=axis, name=name)
        else:
            layer = LSQReLU(levels, initial_step=step, axis=axis, name=name)
        out = self._node(layer, [edge], "activation", {"step": step, "levels": levels})
        out.depth = 0
        return out

    def add_conv(self, edge):
        rank = len(edge.shape) - 1
        if rank == 0:
            return self.add_dense(edge)
        groups = 2 if edge.shape[-1] % 2 == 0 and self.rng.random() < 0.3 else 1
        filters = groups * int(self.rng.integers(1, 3))
        window = self._window(edge, (1, 2, 3))
        strides, dilation = self._strides(edge, window, rank)
        padding = str(self.rng.choice(["same", "valid"]))
        kernel = dyadic(self.rng, (*window, edge.shape[-1] // groups, filters), 8, 4)
        arguments = {"strides": strides, "padding": padding, "dilation": dilation}
        return self._weighted(
            getattr(keras.layers, f"Conv{rank}D")(
                filters,
                window,
                strides,
                padding,
                dilation_rate=dilation,
                groups=groups,
                use_bias=self.rng.random() < 0.7,
                name=self._name("conv"),
            ),
            edge,
            "conv",
            kernel,
            filters,
            {**arguments, "groups": groups},
        )

    def add_depthwise(self, edge):
        rank = len(edge.shape) - 1
        if rank not in (1, 2):
            return self.add_conv(edge)
        multiplier = int(self.rng.integers(1, 3))
        window = (int(self.rng.integers(1, min(3, min(edge.shape[:-1])) + 1)),) * rank
        padding = str(self.rng.choice(["same", "valid"]))
        channels = edge.shape[-1]
        kernel = dyadic(self.rng, (*window, channels, multiplier), 8, 4)
        return self._weighted(
            getattr(keras.layers, f"DepthwiseConv{rank}D")(
                window,
                padding=padding,
                depth_multiplier=multiplier,
                use_bias=self.rng.random() < 0.7,
                name=self._name("depthwise"),
            ),
            edge,
            "depthwise",
            kernel,
            channels * multiplier,
            {"strides": (1,) * rank, "padding": padding, "dilation": (1,) * rank},
        )

    def add_conv_transpose(self, edge):
        rank = len(edge.shape) - 1
        if rank not in (1, 2) or max(edge.shape[:-1]) > 4:
            return self.add_conv(edge)
        filters = int(self.rng.integers(1, 3))
        window = (int(self.rng.integers(1, 4)),) * rank
        strides = (int(self.rng.integers(1, 3)),) * rank
        padding = str(self.rng.choice(["same", "valid"]))
        kernel = dyadic(self.rng, (*window, filters, edge.shape[-1]), 8, 4)
        return self._weighted(
            getattr(keras.layers, f"Conv{rank}DTranspose")(
                filters,
                window,
                strides,
                padding,
                use_bias=self.rng.random() < 0.7,
                name=self._name("transposed"),
            ),
            edge,
            "conv_transpose",
            kernel,
            filters,
            {"strides": strides, "padding": padding},
        )

    def add_dense(self, edge):
        units = int(self.rng.integers(2, 5))
        kernel = dyadic(self.rng, (edge.shape[-1], units), 8, 4)
        layer = keras.layers.Dense(
            units, use_bias=self.rng.random() < 0.7, name=self._name("dense")
        )
        return self._weighted(layer, edge, "dense", kernel, units, {})

    def add_batch_norm(self, edge):
        layer, params = self._batch_norm(edge.shape[-1])
        out = self._node(layer, [edge], "batch_norm", params)
        self._set_batch_norm(layer, params)
        return out

    def add_avg_pool(self, edge):
        return self._pool(edge, "AveragePooling", "avg_pool")

    def add_max_pool(self, edge):
        return self._pool(edge, "MaxPooling", "max_pool")

    def add_zero_pad(self, edge):
        rank = len(edge.shape) - 1
        if not rank >= 1 or max(edge.shape[:-1], default=9) > 5:
            return self.add_activation(edge)
        padding = [tuple(map(int, self.rng.integers(0, 2, 2))) for _ in range(rank)]
        argument = padding[0] if rank == 1 else padding
        return self._layer(
            "ZeroPadding", edge, "zero_pad", {"padding": padding}, {"padding": argument}
        )

    def add_crop(self, edge):
        rank = len(edge.shape) - 1
        if rank == 0 or min(edge.shape[:-1]) < 3:
            return self.add_activation(edge)
        cropping = [tuple(map(int, self.rng.integers(0, 2, 2))) for _ in range(rank)]
        argument = cropping[0] if rank == 1 else cropping
        return self._layer(
            "Cropping", edge, "crop", {"cropping": cropping}, {"cropping": argument}
        )

    def add_upsample(self, edge):
        rank = len(edge.shape) - 1
        if rank == 0 or max(edge.shape[:-1]) > 2:
            return self.add_avg_pool(edge)
        size = (2,) * rank
        argument = 2 if rank == 1 else size
        return self._layer(
            "UpSampling", edge, "upsample", {"size": size}, {"size": argument}
        )

    def add_reshape(self, edge):
        shape = (edge.shape[0] * edge.shape[-1], *edge.shape[1:-1])
        shape = shape if len(shape) > 1 else (1, *shape)
        layer = keras.layers.Reshape(shape, name=self._name("reshape"))
        return self._node(layer, [edge], "reshape", {"target_shape": shape})

    def add_permute(self, edge):
        dims = tuple(int(i) + 1 for i in self.rng.permutation(len(edge.shape)))
        layer = keras.layers.Permute(dims, name=self._name("permute"))
        return self._node(layer, [edge], "permute", {"dims": dims})

    def add_merge(self, edge):
        """Add, subtract, average, concatenate: as layers and as operators."""
        other = self._fitting(edge)
        kind = str(self.rng.choice(["add", "subtract", "average", "concat"]))
        as_operator = self.rng.random() < 0.5
        if kind == "concat":
            layer = keras.layers.Concatenate(name=self._name("concat"))
            return self._node(layer, [edge, other], "concat", {"axis": -1})
        if kind == "average" or not as_operator:
            layer = getattr(keras.layers, kind.title())(name=self._name(kind))
            return self._node(layer, [edge, other], kind, {})
        tensor = (
            edge.tensor + other.tensor if kind == "add" else edge.tensor - other.tensor
        )
        return self._edge(self._name(kind), tensor, [edge, other], kind, {})

    def add_scale(self, edge):
        kind = int(self.rng.integers(0, 5))
        factor = float(self.rng.choice([0.5, 2.0, -1.0]))
        x = edge.tensor
        name, tensor, node, params = [
            ("scale", x * factor, "scale", {"factor": factor}),
            ("scale", x / 2.0, "scale", {"factor": 0.5}),
            ("shift", x + 0.25, "shift", {"offset": 0.25}),
            ("negate", -x, "negate", {}),
            (
                "rescale",
                keras.layers.Rescaling(factor, 0.5, name=self._name("rescaling"))(x),
                "batch_norm",
                {"gamma": factor, "beta": 0.5, "mean": 0, "variance": 1, "epsilon": 0},
            ),
        ][kind]
        return self._edge(self._name(name), tensor, [edge], node, params)

    def add_mean(self, edge):
        if len(edge.shape) < 2 or not _power_of_two(edge.shape[:1]):
            return self.add_activation(edge)
        tensor = keras.ops.mean(edge.tensor, axis=1, keepdims=True)
        params = {"axes": (1,), "keepdims": True}
        return self._edge(self._name("mean"), tensor, [edge], "mean", params)

    def add_shared(self, edge):
        """One dense layer and one activation, called on two tensors."""
        other = self._fitting(edge)
        units = edge.shape[-1]
        kernel = dyadic(self.rng, (units, units), 8, 4)
        bias = dyadic(self.rng, (units,))
        dense = keras.layers.Dense(units, name=self._name("shared"))
        step = int(self.rng.integers(2, 13)) / 8
        levels = int(self.rng.choice(self.levels))
        act = LSQReLU(levels, initial_step=step, name=self._name("shared_act"))
        results = []
        for i, x in enumerate((edge, other)):
            suffix = f"_{i}" if i else ""
            params = {"kernel": kernel, "bias": bias}
            hidden = self._edge(
                dense.name + suffix, dense(x.tensor), [x], "dense", params
            )
            params = {"step": step, "levels": levels}
            results.append(
                self._edge(
                    act.name + suffix,
                    act(hidden.tensor),
                    [hidden],
                    "activation",
                    params,
                )
            )
            results[-1].depth = 0
        dense.set_weights([kernel, bias])
        layer = keras.layers.Add(name=self._name("add"))
        return self._node(layer, results, "add", {})

    def add_nested(self, edge):
        """A nested functional or Sequential model: dense, batch norm, activation."""
        units = int(self.rng.integers(1, 4))
        kernel = dyadic(self.rng, (edge.shape[-1], units), 8, 4)
        dense = keras.layers.Dense(units, use_bias=False, name=self._name("inner"))
        norm, params = self._batch_norm(units)
        step = int(self.rng.integers(2, 13)) / 8
        levels = int(self.rng.choice(self.levels))
        act = LSQReLU(levels, initial_step=step, name=self._name("inner_act"))
        start = keras.Input(edge.shape)
        if self.rng.random() < 0.5:
            model = keras.Sequential([start, dense, norm, act])
        else:
            model = keras.Model(start, act(norm(dense(start))))
        dense.set_weights([kernel])
        self._set_batch_norm(norm, params)
        activation = {"step": step, "levels": levels}
        self.nodes += [
            Node(dense.name, "dense", (edge.name,), {"kernel": kernel, "bias": None}),
            Node(norm.name, "batch_norm", (dense.name,), params),
            Node(act.name, "activation", (norm.name,), activation),
        ]
        self.edges.append(Edge(act.name, model(edge.tensor)))
        return self.edges[-1]

    def add_function(self, edge):
        """A product of signals, or a function that does not commute with decoding.

        Of activations, for a product of finer numbers would not fit float32; and an
        activation follows.
        """
        edges = [self._activated(edge), self._activated(self.edges[-1])]
        if edges[0].shape != edges[1].shape:
            edges = [edges[0]] * 2
        kind = str(self.rng.choice(["product", "square", "at_least"]))
        x, params = edges[0].tensor, {}
        if kind == "product":
            if self.rng.random() < 0.5:
                tensor = x * edges[1].tensor
            else:
                tensor = keras.layers.Multiply()([x, edges[1].tensor])
        elif kind == "square":
            edges, tensor = edges[:1], keras.ops.square(x)
        else:
            edges, tensor, params = edges[:1], keras.ops.maximum(x, 0.5), {"bound": 0.5}
        made = self._edge(self._name(kind), tensor, edges, kind, params)
        return self.add_activation(made)

    def _activated(self, edge):
        return edge if edge.depth == 0 else self.add_activation(edge)

    # --- helpers ---------------------------------------------------------------------

    def _fitting(self, edge):
        """Another tensor of the same shape, or one made to fit by a dense layer."""
        for other in reversed(self.edges):
            if other.shape == edge.shape and other.depth < 2 and other is not edge:
                return other
        return edge

    def _window(self, edge, sizes):
        return tuple(
            int(self.rng.choice([s for s in sizes if s <= n])) for n in edge.shape[:-1]
        )

    def _strides(self, edge, window, rank):
        choice = self.rng.random()
        fits = all(
            2 * (w - 1) + 1 <= n for w, n in zip(window, edge.shape, strict=False)
        )
        if choice < 0.2 and min(edge.shape[:-1]) > 1:
            return (2,) * rank, (1,) * rank
        if choice < 0.4 and fits:
            return (1,) * rank, (2,) * rank
        return (1,) * rank, (1,) * rank

    def _batch_norm(self, channels):
        """Batch normalization whose scale is a power of two."""
        epsilon = 2.0**-10
        params = {
            "gamma": self.rng.choice([-1.0, 0.5, 1.0, 2.0], channels),
            "beta": dyadic(self.rng, channels),
            "mean": dyadic(self.rng, channels),
            "variance": self.rng.choice([0.25, 1.0, 4.0], channels) - epsilon,
            "epsilon": epsilon,
        }
        layer = keras.layers.BatchNormalization(
            epsilon=epsilon, name=self._name("norm")
        )
        return layer, params

    @staticmethod
    def _set_batch_norm(layer, params):
        names = ("gamma", "beta", "mean", "variance")
        layer.set_weights([params[k].astype("float32") for k in names])

    def _pool(self, edge, kind, node_kind):
        rank = len(edge.shape) - 1
        if rank == 0 or min(edge.shape[:-1]) < 2:
            return self.add_activation(edge)
        params = {"window": (2,) * rank, "strides": (2,) * rank, "padding": "valid"}
        if self.rng.random() < 0.5:
            params |= {"strides": (1,) * rank, "padding": "same"}
        arguments = {"pool_size": 2, **params}
        del arguments["window"]
        return self._layer(kind, edge, node_kind, params, arguments)

    def _layer(self, kind, edge, node_kind, params, arguments):
        rank = len(edge.shape) - 1
        layer = getattr(keras.layers, f"{kind}{rank}D")(
            **arguments, name=self._name(node_kind)
        )
        return self._node(layer, [edge], node_kind, params)

    def _weighted(self, layer, edge, kind, kernel, units, params):
        bias = dyadic(self.rng, (units,)) if layer.use_bias else None
        out = self._node(
            layer, [edge], kind, {"kernel": kernel, "bias": bias, **params}
        )
        layer.set_weights([kernel] if bias is None else [kernel, bias])
        return out

    def _node(self, layer, edges, kind, params):
        tensors = [x.tensor for x in edges]
        tensor = layer(tensors if len(tensors) > 1 else tensors[0])
        return self._edge(layer.name, tensor, edges, kind, params)

    def _edge(self, name, tensor, edges, kind, params):
        self.nodes.append(Node(name, kind, tuple(x.name for x in edges), params))
        depth = max(x.depth for x in edges) + 1
        self.edges.append(Edge(name, tensor, depth))
        return self.edges[-1]

    def _name(self, kind):
        return f"{kind}_{len(self.nodes)}_{len(self.edges)}"


def _alone(items):
    return items[0] if len(items) == 1 else items


def _power_of_two(sizes):
    return all(n & (n - 1) == 0 for n in sizes)


KINDS = (
    *("conv",) * 3,
    *("activation",) * 2,
    *("merge",) * 3,
    *("batch_norm",) * 2,
    "avg_pool",
    "conv_transpose",
    "crop",
    "dense",
    "depthwise",
    *("max_pool",) * 2,
    "mean",
    "nested",
    "permute",
    "reshape",
    "scale",
    "shared",
    "upsample",
    "zero_pad",
)
# With functions that a temporal difference makes exact in total.
ALL_KINDS = (*KINDS, *("function",) * 3)


def chain(levels):
    """Two layers of neurons of dyadic weights in a row, and inputs `(7, 6)`."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((6,))
    x = LSQReLU(levels, initial_step=0.5, name="act1")(keras.layers.Dense(5)(inputs))
    x = keras.layers.Dense(4, name="second")(x)
    x = LSQReLU(levels, initial_step=0.5, name="act2")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(x))
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.set_weights([dyadic(rng, w.shape, 8, 8) for w in layer.get_weights()])
    return model, dyadic(rng, (7, 6), 16, 64)
