"""Models that also return the activations of a source or a spiking network."""

from collections.abc import Iterable, Mapping

import keras
from keras import ops

from snn_keras.conversion import normalize
from snn_keras.graph import Graph, Node
from snn_keras.simulate import Monitored
from snn_keras.simulate.activity import LayerActivity
from snn_keras.simulate.model import SpikingModel
from snn_keras.time.spiking import Neurons as NeuronLayer
from snn_keras.typing import Array, Shape


class SourceProbe(keras.Model):
    """A source network that returns its activations, too.

    Args:
        model: The source model.
        graph: Its graph in normal form.
        names: Names of the activations to return.

    `predict_on_batch` returns the model's output and `{name: activation}`.
    """

    def __init__(self, model: keras.Model, graph: Graph, names: Iterable[str]) -> None:
        super().__init__(name=f"{model.name}_activations")
        self.model = model
        self.graph = graph
        self.names = names
        self.built = True

    def call(self, inputs: Array) -> tuple:
        outputs, kept, _ = self.run(inputs)
        return outputs, kept

    def run(self, inputs: Array, given: Mapping[str, Array] | None = None) -> tuple:
        """Runs the network, using the given activations in place of its own.

        Args:
            inputs: The network's inputs.
            given: `{name: activation}`, or None to compute them.

        Returns:
            The outputs, the activations by name, and the inputs of the activation
            nodes by name. Such an input is activated already if the layer before
            applies the activation; see `is_activated`.
        """
        kept, received, activated = {}, {}, set()

        def call(node, values):
            # A layer that was split in two nodes applies its activation itself. A ReLU
            # is applied again: it may have got a ceiling, and applying it twice is
            # harmless.
            is_done = activated.intersection(node.inputs)
            if given and node.name in self.names:
                output = ops.cast(given[node.name], node.output.dtype)
            elif is_done and not normalize.is_relu(node.operation):
                output = values[node.inputs[0]]
            else:
                output = node.call(node.operation, values, training=False)
            if normalize.own_activation(node.operation) is not None:
                activated.update(node.outputs)
            if node.name in self.names:
                kept[node.name] = output
                received[node.name] = values[node.inputs[0]]
            return output

        outputs = self.graph.run(self.graph.cast(inputs), call)
        return outputs, kept, received

    def is_activated(self, node: Node) -> bool:
        """Whether the layer before the activation `node` applies it already."""
        return any(
            normalize.own_activation(before.operation) is not None
            and not set(before.outputs).isdisjoint(node.inputs)
            for before in self.graph.nodes
        )


class DrivenProbe(SourceProbe):
    """A source network that runs with given activations.

    Takes `(inputs, {name: activation})`. `predict_on_batch` returns the model's output
    and `{name: input of the activation}`.
    """

    def call(self, inputs: Array) -> tuple:
        outputs, _, received = self.run(*inputs)
        return outputs, received


class SpikingProbe(Monitored):
    """A spiking network that also returns its neurons' decoded currents and outputs.

    Args:
        model: The `SpikingModel`.

    `predict_on_batch` returns the model's output and `{name: (current, output)}`,
    each `(batch, ...)`.
    """

    def __init__(self, model: SpikingModel) -> None:
        super().__init__(model, Totals())

    def predict_on_batch(self, x: Array) -> tuple:
        outputs, totals = super().predict_on_batch(x)
        coding = self.model.coding
        divisor = coding.divisor(coding.timesteps)
        # Divided here, because compiled code divides only approximately.
        return outputs, {
            name: tuple(total / divisor for total in pair)
            for name, pair in totals.items()
        }


class Totals:
    """Monitor: the sum over time of each layer's currents and outputs."""

    def initial_state(self, layer: NeuronLayer, shape: Shape) -> list:
        zeros = ops.zeros(shape, layer.cell.state_dtype)
        return [zeros, zeros]

    def update(self, layer: NeuronLayer, state: list, seen: LayerActivity) -> list:
        return [
            total + ops.sum(ops.cast(x, total.dtype), axis=1)
            for total, x in zip(state, (seen.currents, seen.outputs), strict=True)
        ]
