"""`verify`: where, and by how much, a spiking network differs from its source."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops, tree

from snn_keras.conversion import normalize
from snn_keras.conversion.answers import OutputTally, answers_of, names_of_outputs
from snn_keras.conversion.probe import DrivenProbe, SourceProbe, SpikingProbe
from snn_keras.conversion.report import Report
from snn_keras.conversion.rules import neurons_of
from snn_keras.conversion.tally import LAYER_ROUNDINGS, Tally, last_place
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Node
from snn_keras.inputs import batches, check_count, check_data
from snn_keras.simulate import SpikingModel
from snn_keras.time import BiasCorrection, Neurons
from snn_keras.time.spiking import Neurons as NeuronLayer
from snn_keras.typing import Array, Inputs


def verify(
    ann: keras.Model, snn: SpikingModel, x: Inputs, batch_size: int = 32
) -> Report:
    """Compares a spiking network with its source, layer by layer.

    Outputs are compared by their kind of answer, `snn_keras.answers.Answer`: classes,
    sides of 1/2 after a sigmoid, or numbers.

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
        ValueError: if `x` is empty, not finite, endless, or does not fit the model.
    """
    graph = normalize.normal_form(ann)
    sources = matched(ann, snn, graph)
    snn.program.check_no_frames("verify")
    x = check_data(x, graph)
    check_count("batch_size", batch_size)
    count = len(tree.flatten(x)[0])
    probes = Probes(ann, snn, graph, sources)
    tallies = {
        name: _tally(node, snn, graph, sources) for name, node in sources.items()
    }
    answers = zip(names_of_outputs(ann), answers_of(graph), strict=True)
    outputs = [OutputTally(*answer) for answer in answers]
    for batch in batches(x, batch_size):
        probes.run(batch, tallies, outputs)
    layers = tuple(tally.mismatch(name) for name, tally in tallies.items())
    agreements, same = zip(*(output.result() for output in outputs), strict=True)
    together = float(np.min(same, axis=0).mean())
    return Report(snn.timesteps, count, layers, agreements, together)


def matched(ann: keras.Model, snn: SpikingModel, graph: Graph) -> dict:
    """The source's activations by name, in the order of the layers of neurons.

    Raises:
        ConversionError: if `snn` was not converted from `ann`.
    """
    sources = {node.name: node for node in neurons_of(graph)}
    if not isinstance(snn, SpikingModel):
        raise ConversionError(
            f"verify needs a spiking model as second argument. Received: {snn!r}"
        )
    found = [layer.name for layer in snn.layers if isinstance(layer, Neurons)]
    if set(found) != set(sources):
        raise ConversionError(
            "verify needs a spiking model and the source it was converted from. "
            f"Neurons of '{snn.name}': {found}; activations of '{ann.name}': "
            f"{list(sources)}. Remedy: for a float network with other activation "
            "functions than ReLU, compare with the result of quantize_activations."
        )
    for name, node in sources.items():
        check_pair(node, snn.get_layer(name))
    return {name: sources[name] for name in found}


def check_pair(node: Node, layer: NeuronLayer) -> None:
    """Raises a ConversionError unless `layer` may have been built from `node`."""
    if getattr(node.operation, "is_random", False):
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


class Probes:
    """Runs the source, the spiking network, and the source driven by its signals.

    The driven source uses the spiking network's decoded signals as its activations.
    Its currents and outputs are those of the spiking network if only the neurons
    differ from the source; any other difference enters between the neurons.

    Args:
        ann, snn: The two networks.
        graph: The source's graph in normal form.
        sources: The nodes of its activations, by name.
    """

    def __init__(
        self,
        ann: keras.Model,
        snn: SpikingModel,
        graph: Graph,
        sources: Mapping[str, Node],
    ) -> None:
        self.source = SourceProbe(ann, graph, list(sources))
        self.driven = DrivenProbe(ann, graph, list(sources))
        self.spiking = SpikingProbe(snn)
        for probe in (self.source, self.driven):
            probe.jit_compile = snn.jit_compile  # compilers round differently
        self.is_activated = {
            name: self.source.is_activated(node) for name, node in sources.items()
        }

    def run(
        self, batch: Array, tallies: Mapping[str, Tally], outputs: Sequence[OutputTally]
    ) -> None:
        """Runs a batch through all three, and adds the results."""
        expected, activations = self.source.predict_on_batch(batch)
        received, signals = self.spiking.predict_on_batch(batch)
        sent = {name: decoded for name, (_, decoded) in signals.items()}
        driven, wanted = self.driven.predict_on_batch((batch, sent))
        # Rounding errors of the signals, however much the layers amplify them.
        unit = LAYER_ROUNDINGS * max(map(last_place, activations.values()))
        nudged = {name: decoded * (1 + unit) for name, decoded in sent.items()}
        nudged, also = self.driven.predict_on_batch((batch, nudged))
        for name, tally in tallies.items():
            current, decoded = signals[name]
            tally.add(activations[name], current, decoded)
            is_activated = self.is_activated[name]
            tally.add_received(wanted[name], also[name], current, is_activated)
        ends = (tree.flatten(y) for y in (expected, received, driven, nudged))
        for output, first, second, third, fourth in zip(outputs, *ends, strict=True):
            output.add(first, second, own_error(second, third, fourth, unit))


def own_error(
    received: np.ndarray, driven: np.ndarray, nudged: np.ndarray, unit: float
) -> float:
    """The largest difference of an output beyond rounding, or 0."""
    received, driven, nudged = (
        np.asarray(y, "float64") for y in (received, driven, nudged)
    )
    noise = unit * np.max(np.abs(driven)) + np.abs(nudged - driven)
    off = np.abs(received - driven)
    return float(np.max(np.where(off > noise, off, 0.0)))


def _tally(node, snn, graph, sources):
    layer = snn.get_layer(node.name)
    between = _between(node, graph, sources)
    return Tally(node, layer.cell, snn.coding, between, _correction(snn, node.name))


def _between(node, graph, sources):
    """Names of the nodes between an activation and the activations before it."""
    wanted, found = set(node.inputs), []
    for before in reversed(graph.nodes):
        if wanted.intersection(before.outputs) and before.name not in sources:
            wanted.update(before.inputs)
            found.append(before.name)
    return found[::-1]


def _correction(snn, name):
    """The mean current that bias correction adds to the neurons of that name."""
    for layer in snn.layers:
        if isinstance(layer, BiasCorrection) and layer.neurons == name:
            bias, initial = map(ops.convert_to_numpy, (layer.bias, layer.initial))
            return bias + initial / snn.timesteps
    return 0.0
