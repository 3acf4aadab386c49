"""Where, and by how much, a spiking network differs from its source."""

import dataclasses

import numpy as np
from keras import tree

from snn_keras.convert import normalize
from snn_keras.convert.data import batches, check_data
from snn_keras.convert.probe import SourceProbe, SpikingProbe
from snn_keras.convert.rules import becomes_neuron
from snn_keras.errors import ConversionError
from snn_keras.neurons import Spiking
from snn_keras.simulate import SpikingModel
from snn_keras.text import table


@dataclasses.dataclass(frozen=True)
class LayerMismatch:
    """How one layer's decoded spikes differ from the source's activation.

    All in units of the quantization step, over samples and neurons.

    Attributes:
        name: The activation's name.
        mean, std: Of the decoded signal minus the source's activation.
        off: Share of neurons by rounded mismatch, `{-1: 0.02, 0: 0.97, ...}`.
        own_mean, own_std: Of the part that the layer itself adds: the decoded
            signal minus the source's activation function of the mean current
            that the layer received.
        clipped: Share of neurons whose mean current lies above the threshold.
    """

    name: str
    mean: float
    std: float
    off: dict
    own_mean: float
    own_std: float
    clipped: float

    @property
    def own_rms(self) -> float:
        """Root mean square of the error that the layer itself adds."""
        return float(np.hypot(self.own_mean, self.own_std))


@dataclasses.dataclass(frozen=True)
class Report:
    """What `verify` found; print it, or take `to_dict()`.

    Attributes:
        timesteps: Steps of the run.
        samples: Samples compared.
        layers: A `LayerMismatch` for each layer of neurons, in running order.
        agreement: Share of samples for which source and spiking network have
            the same largest output.
        output_error: Largest absolute difference of an output.
    """

    timesteps: int
    samples: int
    layers: tuple
    agreement: float
    output_error: float

    @property
    def exact(self) -> bool:
        """Whether every layer decodes to the source's activation exactly."""
        return all(layer.off.get(0) == 1.0 and layer.std == 0 for layer in self.layers)

    @property
    def entry(self) -> str | None:
        """The layer that itself adds the largest error; None if there is none."""
        worst = max(self.layers, key=lambda layer: layer.own_rms)
        return worst.name if worst.own_rms > 0 else None

    def to_dict(self) -> dict:
        """The report as plain values, ready for JSON."""
        return {**dataclasses.asdict(self), "exact": self.exact, "entry": self.entry}

    def __str__(self):
        rows = [
            ("layer", "mean", "std", "off by 0", "1", "2", "more", "own", "clipped")
        ]
        for layer in self.layers:
            off = [
                sum(share for k, share in layer.off.items() if abs(k) == size)
                for size in (0, 1, 2)
            ]
            rows.append(
                (
                    layer.name,
                    f"{layer.mean:+.3f}",
                    f"{layer.std:.3f}",
                    *(f"{share:.1%}" for share in [*off, 1.0 - sum(off)]),
                    f"{layer.own_rms:.3f}",
                    f"{layer.clipped:.1%}",
                )
            )
        lines = [
            f"decoded spikes minus source activation, in quantization steps; "
            f"T = {self.timesteps}, {self.samples} samples",
            table(rows),
            f"same answer on {self.agreement:.2%} of samples; largest output "
            f"difference {self.output_error:.3g}",
        ]
        if self.entry is not None:
            worst = next(x for x in self.layers if x.name == self.entry)
            lines.append(
                f"most error enters at '{worst.name}': {worst.own_rms:.3f} steps rms "
                "of its own"
            )
        else:
            lines.append("no layer adds an error of its own")
        return "\n".join(lines)


def verify(ann, snn, x, batch_size=32) -> Report:
    """Compares a spiking network with its source, layer by layer.

    Args:
        ann: The source model that `snn` was converted from.
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
            f"{list(sources)}."
        )
    for name, node in sources.items():
        check_pair(node, snn.get_layer(name))
    x = check_data(x, graph)
    count = len(tree.flatten(x)[0])
    source, spiking = SourceProbe(ann, graph, found), SpikingProbe(snn)
    tallies = {name: _Tally(sources[name].operation) for name in found}
    agree, error = 0, 0.0
    for batch in batches(x, batch_size):
        expected, activations = source.predict_on_batch(batch)
        received, decoded = spiking.predict_on_batch(batch)
        for name, tally in tallies.items():
            tally.add(activations[name], *decoded[name])
        first, second = tree.flatten(expected)[0], tree.flatten(received)[0]
        agree += int(np.sum(_answer(first) == _answer(second)))
        error = max(error, float(np.abs(first - second).max()))
    layers = tuple(tally.mismatch(name) for name, tally in tallies.items())
    return Report(snn.timesteps, count, layers, agree / count, error)


def check_pair(node, layer):
    """Raises a ConversionError unless `layer` can have come from `node`."""
    if not hasattr(node.operation, "step_value"):
        raise ConversionError(
            f"verify: {node.describe()} is not quantized. Remedy: compare with the "
            "model that quantize_activations returned."
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

    def __init__(self, activation):
        self.step = activation.step_value().astype("float64")
        self.levels = activation.levels
        self.axis = activation.axis
        self.off = {}
        self.clipped = 0
        self.sums = np.zeros(5)

    def add(self, activation, current, decoded):
        step = self.step
        if self.axis is not None:
            shape = [1] * activation.ndim
            shape[self.axis] = -1
            step = step.reshape(shape)
        levels = np.clip(np.floor(current / step + 0.5), 0, self.levels)
        error = (decoded - activation) / step
        own = decoded / step - levels
        self.sums += (error.size, *_moments(error), *_moments(own))
        self.clipped += int(np.sum(current > step * self.levels))
        sizes, counts = np.unique(np.round(error).astype(int), return_counts=True)
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
            self.off[size] = self.off.get(size, 0) + count

    def mismatch(self, name):
        count, *sums = self.sums
        mean, square, own_mean, own_square = np.asarray(sums) / count
        return LayerMismatch(
            name,
            mean=float(mean),
            std=_deviation(mean, square),
            off={k: n / count for k, n in sorted(self.off.items())},
            own_mean=float(own_mean),
            own_std=_deviation(own_mean, own_square),
            clipped=self.clipped / count,
        )


def _moments(x):
    return np.sum(x), np.sum(np.square(x))


def _deviation(mean, square):
    return float(np.sqrt(max(square - mean**2, 0.0)))
