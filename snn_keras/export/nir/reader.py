"""`from_nir`: reads NIR files as spiking networks."""

import os
import pathlib
from typing import Any

import keras
import numpy as np
from keras import layers

from snn_keras import files, neurons, time
from snn_keras.coding import Rate
from snn_keras.export.nir.package import package
from snn_keras.simulate import SpikingModel
from snn_keras.typing import Array
from snn_keras.untrusted import check_hdf5, reading, room_of

AGAIN = "export it again, or copy it again."


@keras.saving.register_keras_serializable("snn_keras")
class UnitIFCell(neurons.IFCell):
    """An `IFCell` whose spikes are 1, like those of NIR's neurons."""

    def call(self, inputs: Array, states: list, training: bool = False) -> tuple:
        sent, states = super().call(inputs, states, training)
        return keras.ops.cast(sent != 0, self.compute_dtype), states


def from_nir(path: str | os.PathLike, timesteps: int | None = None) -> SpikingModel:
    """Reads a NIR file as a spiking network.

    Args:
        path: The file: IF neurons with `Conv1d`, `Conv2d`, `Affine`, `Linear`,
            `Scale`, `AvgPool2d`, `SumPool2d` and `Flatten`.
        timesteps: Time steps of a run; by default the number in the file.

    Returns:
        A `SpikingModel` with channels-last inputs. Neurons are reset by subtraction;
        their initial potential is 0 unless the file specifies it.

    Raises:
        ValueError: if it cannot be read, or contains nodes without a counterpart here.
        FileNotFoundError: if the file does not exist.
    """
    path = pathlib.Path(path)
    nir = package()
    files.check_file(path, "the path of a NIR file.")
    with reading(path, "a NIR file", AGAIN):
        check_hdf5(path, room_of(path))
        graph = nir.read(str(path))
        timesteps = timesteps or graph.metadata.get("timesteps")
    if timesteps is None:
        raise ValueError(
            f"{path} does not say for how many steps it runs. Remedy: "
            "from_nir(path, timesteps=T)."
        )
    with reading(path, "a NIR file", AGAIN):
        return _Reader(graph, int(timesteps), path.stem).model()


class _Reader:
    """Builds a spiking network from a NIR graph."""

    def __init__(self, graph: Any, timesteps: int, name: str) -> None:
        self.graph = graph
        self._coding = Rate(timesteps)
        self.name = name
        self._values = {}
        self._inputs = []

    def model(self) -> SpikingModel:
        """The `SpikingModel`."""
        outputs = []
        for name in self._order():
            node = self.graph.nodes[name]
            kind = type(node).__name__
            if kind == "Input":
                channels, *sizes = (int(n) for n in node.input_type["input"])
                x = keras.Input((*sizes, channels), name=name)
                self._inputs.append(x)
                self._values[name] = time.Present(self._coding)(x)
                continue
            read = [self._values[a] for a, b in self.graph.edges if b == name]
            x = read[0]
            if len(read) > 1:
                x = time.PerStep(layers.Add(), name=f"{name}_sum")(read)
            if kind == "Output":
                outputs.append(time.Readout(self._coding, name=name)(x))
            else:
                self._values[name] = self._layer(name, kind, node, x)
        alone = [x[0] if len(x) == 1 else x for x in (self._inputs, outputs)]
        return SpikingModel(*alone, name=self.name)

    def _order(self):
        """Names of the nodes, in running order."""
        waiting, done = dict.fromkeys(self.graph.nodes), []
        while waiting:
            ready = [
                name
                for name in waiting
                if all(a not in waiting for a, b in self.graph.edges if b == name)
            ]
            if not ready:
                raise ValueError(
                    f"'{self.name}' has loops, which have no counterpart here: "
                    f"{sorted(waiting)}."
                )
            for name in ready:
                del waiting[name]
            done += ready
        return done

    def _layer(self, name, kind, node, x):
        make = getattr(self, f"_{kind.lower()}", None)
        if make is None:
            raise ValueError(
                f"node '{name}' ({kind}) has no counterpart here. Read are IF, Conv1d, "
                "Conv2d, Affine, Linear, Scale, AvgPool2d, SumPool2d and Flatten."
            )
        return make(name, node, x)

    def _if(self, name, node, x):
        threshold = self._of_channels(name, "v_threshold", node.v_threshold)
        start = np.asarray(node.metadata.get("v_initial", 0.0 * node.v_threshold))
        share = self._of_channels(name, "v_initial", start) / threshold
        if np.any(node.r != 1) or np.ptp(share):
            raise ValueError(
                f"node '{name}' (IF) must have r = 1, and start from one share of its "
                "thresholds."
            )
        cell = UnitIFCell(threshold.tolist(), initial=float(np.ravel(share)[0]))
        return time.Spiking(cell, name=name)(x)

    def _of_channels(self, name, what, values):
        values = np.asarray(values, "float64")
        rows = values.reshape(len(values), -1)
        if np.ptp(rows, 1).any():
            raise ValueError(
                f"node '{name}': {what} must be the same in all of a channel."
            )
        return rows[:, 0]

    def _weighted(self, name, layer, weights, x):
        step = time.PerStep(layer, name=name)
        y = step(x)
        layer.set_weights(weights)
        return y

    def _affine(self, name, node, x):
        layer = layers.Dense(len(node.weight), name=f"{name}_weights")
        return self._weighted(name, layer, [node.weight.T, node.bias], x)

    def _linear(self, name, node, x):
        layer = layers.Dense(len(node.weight), use_bias=False, name=f"{name}_weights")
        return self._weighted(name, layer, [node.weight.T], x)

    def _conv2d(self, name, node, x):
        padding = node.padding
        if isinstance(padding, str):
            padding = padding if padding == "same" else (0, 0)
        if not isinstance(padding, str):
            sides = [(int(p), int(p)) for p in padding]
            if np.any(sides):
                pad = layers.ZeroPadding2D(sides, name=f"{name}_zeros")
                x = time.PerStep(pad, name=f"{name}_padding")(x)
            padding = "valid"
        layer = layers.Conv2D(
            len(node.weight),
            node.weight.shape[2:],
            strides=[int(n) for n in np.broadcast_to(node.stride, 2)],
            dilation_rate=[int(n) for n in np.broadcast_to(node.dilation, 2)],
            padding=padding,
            groups=int(node.groups),
            name=f"{name}_weights",
        )
        kernel = node.weight.transpose(2, 3, 1, 0)
        return self._weighted(name, layer, [kernel, node.bias], x)

    def _scale(self, name, node, x):
        scale = np.moveaxis(np.asarray(node.scale), 0, -1)
        rows = scale.reshape(-1, scale.shape[-1])
        if np.ptp(rows, 0).any():
            raise ValueError(f"node '{name}' (Scale) differs within a channel.")
        layer = layers.Rescaling(rows[0].tolist(), name=f"{name}_factor")
        return time.PerStep(layer, name=name)(x)

    def _avgpool2d(self, name, node, x, total=False):
        if np.any(node.padding):
            raise ValueError(f"node '{name}' pads its pool: no counterpart here.")
        window = [int(n) for n in node.kernel_size]
        layer = layers.AveragePooling2D(
            window, strides=[int(n) for n in node.stride], name=f"{name}_mean"
        )
        y = time.PerStep(layer, name=name)(x)
        if total:
            count = layers.Rescaling(float(np.prod(window)), name=f"{name}_count")
            y = time.PerStep(count, name=f"{name}_sum")(y)
        return y

    def _sumpool2d(self, name, node, x):
        return self._avgpool2d(name, node, x, total=True)

    def _flatten(self, name, node, x):
        rank = len(x.shape) - 2
        if rank > 1:
            order = (rank, *range(1, rank))
            permute = layers.Permute(order, name=f"{name}_order")
            x = time.PerStep(permute, name=f"{name}_channels_first")(x)
        return time.PerStep(layers.Flatten(name=f"{name}_flat"), name=name)(x)
