"""Where, and by how much, a spiking network differs from its source."""

import numpy as np
from keras import ops, tree

from snn_keras.convert import normalize
from snn_keras.convert.probe import SourceProbe, SpikingProbe
from snn_keras.convert.report import LayerMismatch, Report
from snn_keras.convert.rules import becomes_neuron
from snn_keras.errors import ConversionError
from snn_keras.inputs import batches, check_data
from snn_keras.layers import NoisySpike
from snn_keras.neurons import Spiking, Timing
from snn_keras.simulate import SpikingModel

ROUNDING = 1e-4  # steps: what float32 may add to half a step


def verify(ann, snn, x, batch_size=32) -> Report:
    """Compares a spiking network with its source, layer by layer.

    Args:
        ann: The source model that `snn` was converted from; or, for a network
            of ReLUs that `convert` quantized, the float model.
        snn: The `SpikingModel`.
        x: Inputs, as `ann.predict` takes them.
        batch_size: Samples compared at a time.

    Returns:
        A `Report`.

    Raises:
        ConversionError: if the two do not have the same layers of neurons.
        ValueError: if `x` is empty, not finite, or does not fit the model.
    """
    graph = normalize.read(ann)
    sources = {n.name: n for n in graph.nodes if becomes_neuron(n.operation)}
    if not isinstance(snn, SpikingModel):
        raise ConversionError(
            f"verify needs a spiking model as second argument. Received: {snn!r}"
        )
    found = [layer.name for layer in snn.layers if isinstance(layer, Spiking)]
    if set(found) != set(sources):
        raise ConversionError(
            "verify needs a spiking model and the source it was converted from. "
            f"Neurons of '{snn.name}': {found}; activations of '{ann.name}': "
            f"{list(sources)}. Remedy: for a float network with other activation "
            "functions than ReLU, compare with what quantize_activations makes of it."
        )
    for name, node in sources.items():
        check_pair(node, snn.get_layer(name))
    x = check_data(x, graph)
    count = len(tree.flatten(x)[0])
    source, spiking = SourceProbe(ann, graph, found), SpikingProbe(snn)
    source.jit_compile = snn.jit_compile  # compilers round each in its own way
    timing = Timing(snn.timesteps, snn.program.input_steps)
    tallies = {
        name: _Tally(sources[name].operation, snn.get_layer(name).cell, timing)
        for name in found
    }
    agree, error = 0, 0.0
    for batch in batches(x, batch_size):
        expected, activations = source.predict_on_batch(batch)
        received, decoded = spiking.predict_on_batch(batch)
        for name, tally in tallies.items():
            tally.add(activations[name], *decoded[name])
        pairs = list(zip(tree.flatten(expected), tree.flatten(received), strict=True))
        same = [_answer(first) == _answer(second) for first, second in pairs]
        agree += int(np.sum(np.all(same, axis=0)))
        off = [np.abs(first - second).max() for first, second in pairs]
        error = float(np.max([error, *off]))  # NaN, where there is one
    layers = tuple(tally.mismatch(name) for name, tally in tallies.items())
    return Report(snn.timesteps, count, layers, agree / count, error)


def check_pair(node, layer):
    """Raises a ConversionError unless `layer` can have come from `node`."""
    if isinstance(node.operation, NoisySpike):
        raise ConversionError(
            f"verify: {node.describe()} sends 0 or 1 at random, there is no activation "
            "to compare with."
        )
    shape, expected = layer.cell.state_shape, tuple(node.output.shape[1:])
    if shape != expected:
        raise ConversionError(
            f"verify: {node.describe()} has shape {expected}, and the neurons of the "
            f"spiking model {shape}: they are not of one conversion."
        )


def _answer(y):
    return np.argmax(y.reshape(len(y), -1), axis=-1)


class _Tally:
    """Sums up the mismatch of one layer, batch by batch."""

    def __init__(self, activation, cell, timing):
        self.step, count = cell.grid(timing)
        self.unit, self.largest = self.step, self.step * count
        self.ratio = 1.0
        if normalize.is_relu(activation):
            top = np.inf if activation.max_value is None else activation.max_value
            self.function = lambda current: np.clip(current, 0.0, top)
        else:
            wanted = cell.adapted_to(activation, timing).threshold
            ratios = np.atleast_1d(cell.theta_value() / wanted)
            self.ratio = ratios[np.argmax(np.abs(np.log(ratios)))]
            self.step = activation.step_value().astype("float64")
            self.step = _along(self.step, activation.axis, cell)
            self.function = lambda current: (
                self.step
                * np.clip(np.floor(current / self.step + 0.5), 0, activation.levels)
            )
            if not activation.is_staircase:
                self.function = lambda current: ops.convert_to_numpy(
                    activation(ops.convert_to_tensor(current))
                )
        self.off = {}
        self.sums = np.zeros(12)

    def add(self, activation, current, decoded):
        error = (decoded - activation) / self.step
        expected = self.function(current)
        own = (decoded - expected) / self.step
        saturated = current > self.largest
        silent = (decoded == 0) & (expected > 0)
        # As near to its current as its steps allow: it only rounds.
        away = np.abs(decoded - np.maximum(current, 0.0))
        rounded = away <= self.unit * (0.5 + ROUNDING)
        square = np.square(own)
        scale = np.broadcast_to(self.largest, current.shape)
        scale = np.where(np.isfinite(scale), scale, 1.0)
        reach = np.percentile(current / scale, 99)
        self.sums += (
            error.size,
            *_moments(error),
            np.sum(np.square(activation / self.step)),
            *_moments(own),
            np.sum(saturated),
            np.sum(square, where=saturated),
            np.sum(silent),
            np.sum(square, where=silent),
            np.sum(square, where=rounded),
            reach * error.size,
        )
        sizes, counts = np.unique(np.round(error).astype(int), return_counts=True)
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
            self.off[size] = self.off.get(size, 0) + count

    def mismatch(self, name):
        count, *sums = self.sums.tolist()
        mean, square, signal, own_mean, own_square, *shares = np.asarray(sums) / count
        saturated, by_saturation, silent, by_silence, by_rounding, reach = shares
        return LayerMismatch(
            name,
            mean=float(mean),
            std=_deviation(mean, square),
            relative=float(np.sqrt(square / signal)) if signal else float(square > 0),
            off={k: n / count for k, n in sorted(self.off.items())},
            own_mean=float(own_mean),
            own_std=_deviation(own_mean, own_square),
            saturated=float(saturated),
            reach=float(reach),
            silent=float(silent),
            by_saturation=_share(by_saturation, own_square),
            by_silence=_share(by_silence, own_square),
            by_rounding=_share(by_rounding, own_square),
            threshold_ratio=float(self.ratio),
        )


def _along(step, axis, cell):
    """A step for each entry of `axis`, in the shape that fits `(batch, ...)`."""
    if axis is None:
        return step
    rank = len(cell.state_shape) + 1
    return step.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def _share(part, whole):
    return float(part / whole) if whole else 0.0


def _moments(x):
    return np.sum(x), np.sum(np.square(x))


def _deviation(mean, square):
    return float(np.sqrt(max(square - mean**2, 0.0)))
