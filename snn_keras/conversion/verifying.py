"""Where, and by how much, a spiking network differs from its source."""

import numpy as np
from keras import ops, tree

from snn_keras.conversion import normalize
from snn_keras.conversion.answers import Comparison, answers_of, names_of_outputs
from snn_keras.conversion.probe import DrivenProbe, SourceProbe, SpikingProbe
from snn_keras.conversion.report import Report
from snn_keras.conversion.rules import neurons_of
from snn_keras.conversion.tally import LAYER_ROUNDINGS, Tally, last_place
from snn_keras.errors import ConversionError
from snn_keras.inputs import batches, check_count, check_data
from snn_keras.simulate import SpikingModel
from snn_keras.time import BiasCorrection, Neurons


def verify(ann, snn, x, batch_size=32) -> Report:
    """Compares a spiking network with its source, layer by layer.

    Answers are compared by what each output answers, `snn_keras.answers.Answer`:
    classes, the sides of 1/2 behind a sigmoid, or numbers.

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
    x = check_data(x, graph)
    check_count("batch_size", batch_size)
    count = len(tree.flatten(x)[0])
    probes = Probes(ann, snn, graph, sources)
    tallies = {
        name: _tally(node, snn, graph, sources) for name, node in sources.items()
    }
    answers = zip(names_of_outputs(ann), answers_of(graph), strict=True)
    outputs = [Comparison(*answer) for answer in answers]
    for batch in batches(x, batch_size):
        probes.run(batch, tallies, outputs)
    layers = tuple(tally.mismatch(name) for name, tally in tallies.items())
    agreements, same = zip(*(output.result() for output in outputs), strict=True)
    together = float(np.min(same, axis=0).mean())
    return Report(snn.timesteps, count, layers, agreements, together)


def matched(ann, snn, graph) -> dict:
    """The source's activations by name, each with neurons of that name.

    Raises:
        ConversionError: if the two are not of one conversion.
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
            "functions than ReLU, compare with what quantize_activations makes of it."
        )
    for name, node in sources.items():
        check_pair(node, snn.get_layer(name))
    return {name: sources[name] for name in found}


def check_pair(node, layer):
    """Raises a ConversionError unless `layer` can have come from `node`."""
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
    """The source, the spiking network, and the source driven by the spiking signals.

    What the third's activations receive, and its outputs, are what the spiking
    network's would be if nothing but its neurons differed: what is off from there
    enters in between.

    Args:
        ann, snn: The two networks.
        graph: The source's, in normal form.
        sources: Its activations, nodes by name.
    """

    def __init__(self, ann, snn, graph, sources):
        self.source = SourceProbe(ann, graph, list(sources))
        self.driven = DrivenProbe(ann, graph, list(sources))
        self.spiking = SpikingProbe(snn)
        for probe in (self.source, self.driven):
            probe.jit_compile = snn.jit_compile  # compilers round each in its own way
        self.is_activated = {
            name: self.source.is_activated(node) for name, node in sources.items()
        }

    def run(self, batch, tallies, outputs):
        """Runs a batch through all three, and adds what is seen."""
        expected, activations = self.source.predict_on_batch(batch)
        received, signals = self.spiking.predict_on_batch(batch)
        sent = {name: decoded for name, (_, decoded) in signals.items()}
        driven, wanted = self.driven.predict_on_batch((batch, sent))
        # What comes of rounding, however much the layers on the way make of it.
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


def own_error(received, driven, nudged, unit) -> float:
    """The largest difference of an output that is more than rounding."""
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
    """Names of the nodes between an activation and those before it."""
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
