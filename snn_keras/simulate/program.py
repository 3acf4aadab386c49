"""`Program`: a spiking network, divided into nodes before, in and after time."""

import functools
from collections.abc import Sequence
from typing import Any

from keras import ops, tree

from snn_keras.graph import Graph, Node, Tensor, fill, run_nodes
from snn_keras.inputs import in_structure
from snn_keras.simulate import apart
from snn_keras.simulate.activity import LayerActivity
from snn_keras.simulate.compiling import has_xla_form
from snn_keras.time import Clock, Frames, Neurons, Present, Readout, Spiking, TimeLayer
from snn_keras.time.layer import Coded
from snn_keras.time.per_step import fold, unfold
from snn_keras.typing import Array, Shape

USUAL_BATCH = 32  # assumed if the batch size is unknown when a run is compiled


class Program:
    """The parts of a run of a spiking network, with explicit state.

    The nodes belong to three stages: those that do not depend on a time axis run
    once; those between `Present` and `Readout` run at every step; those after a
    `Readout` run on decoded values.

    The state of a run is `{"layers": {node: its state}, "seen": {layer: the monitor's
    state}}`. A monitor has a state for each layer of neurons:
    `monitor.initial_state(layer, shape)` returns the first one, for neurons of the
    shape `(batch, ...)`, and `monitor.update(layer, state, seen)` returns the next
    one; `seen` is a `LayerActivity`.

    Args:
        graph: The graph of a spiking model.

    Attributes:
        before, during, after: The nodes of each stage.
        readouts: The `Readout` nodes among `during`.
        stage: `{tensor: 0, 1 or 2}`, for before, in and after time.
        coding: The network's `snn_keras.coding.Coding`.
        extra_steps: Steps before a run in which neurons correct their initial state.
        has_frames: Whether inputs have a time axis: a frame for every step.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.before, self.during, self.after = [], [], []
        self.readouts = []
        stage = dict.fromkeys(tree.flatten(graph.inputs), 0)
        stages = (self.before, self.during, self.after)
        for node in graph.nodes:
            begins = isinstance(node.operation, Present)
            at = 1 if begins else max((stage[x] for x in node.inputs), default=0)
            stages[at].append(node)
            if isinstance(node.operation, Readout):
                self.readouts.append(node)
                at = 2
            stage.update(dict.fromkeys(node.outputs, at))
        self.stage = stage
        layers = [node.operation for node in graph.nodes]
        self.coding: Any = next(
            (x.coding for x in layers if isinstance(x, Coded)), None
        )
        extra = (x.cell.extra_steps for x in layers if isinstance(x, Neurons))
        self.extra_steps = max(extra, default=0)
        self.has_frames = any(isinstance(x, Frames) for x in layers)

    # --- Properties of the network ---------------------------------------------------

    @functools.cached_property
    def without_xla(self) -> list:
        """Names of the nodes that XLA cannot compile."""
        nodes = [*self.before, *self.during, *self.after]
        return [node.name for node in nodes if not has_xla_form(node)]

    @functools.cached_property
    def mixing(self) -> list:
        """The nodes after time that make a sample depend on other samples."""
        return apart.mixing(self.after)

    @functools.cached_property
    def has_known_states(self) -> bool:
        """Whether the shapes of all states are known without an input."""
        return all(layer.has_known_state for _, layer in self._timed())

    def check_has_steps(self) -> None:
        """Raises a ValueError unless the network has an output after every step."""
        if not self.during:
            raise ValueError(
                "this network is run in one pass and has no output over time. "
                'Remedy: convert(..., neuron="bit_serial", fused=False).'
            )
        if self.coding.settles:
            raise ValueError(
                "this network runs until it settles, each batch for as long as it "
                "takes. Remedy: snn.with_timesteps(T).predict_over_time(x)."
            )
        stateful = [node for node in self.after if apart.keeps_state(node)]
        if stateful:
            raise ValueError(
                f"{_described(stateful)}, behind the last neurons, keeps a state from "
                "batch to batch, and an output at every step would change it at every "
                "step. Remedy: stateful=False; or predict, which calls it once."
            )
        _ = self.mixing  # computed now, because a compiled run cannot compute it

    def check_no_frames(self, what: str) -> None:
        """Raises a ValueError if every step has an input of its own.

        Args:
            what: What needs an input that stays the same, for the message.
        """
        if self.has_frames:
            raise ValueError(
                f"{what} takes a network with one input a run, and '{self.graph.name}' "
                "takes a frame at every step. Remedy: convert(..., "
                "input_frames=False), of which snn.stream() takes frames, too."
            )

    def check_samples_apart(self, run: str, nodes: Sequence[Node] = ()) -> None:
        """Raises a ValueError if samples cannot be computed independently.

        Args:
            run: The name in messages of what needs it.
            nodes: Nodes to check besides those after time.
        """
        found = [*apart.mixing(nodes, where_unknown=False), *self.mixing]
        if found:
            raise ValueError(
                f"{run} needs each sample's output to depend on that sample alone. "
                f"Received: {_described(found)}, which acts along the batch axis. "
                "Remedy: predict or predict_over_time; or a network without it, and "
                "what it computes on the outputs of that."
            )

    # --- Before time -----------------------------------------------------------------

    def check_inputs(self, inputs: Any, count: int | None = None) -> dict:
        """The value of each tensor that is an input.

        Args:
            inputs: Inputs of the network, or the first sample alone of `count`.
            count: Number of samples, for the message; None: as many as given.

        Raises:
            ValueError: if their structure or shapes are not those of the network.
        """
        flat = tree.flatten(self.graph.inputs)
        inputs = self.graph.cast(in_structure(inputs, self.graph))
        values = dict(zip(flat, tree.flatten(inputs), strict=True))
        for name, expected in zip(self.graph.input_names, flat, strict=True):
            got = tuple(values[expected].shape)
            received = got if count is None else (count, *got[1:])
            check_shape(name, expected.shape, received)
        return values

    def begin(
        self, inputs: Array, monitor: Any = None, training: bool = False
    ) -> tuple[dict, dict]:
        """Runs the nodes before time, and the neurons' extra steps.

        Returns:
            The values of the tensors before time, and the initial state of a run.
        """
        values = self.check_inputs(inputs)
        flat = tree.flatten(self.graph.inputs)
        state = self.initial_state(ops.shape(values[flat[0]])[0], monitor)
        run_nodes(self.before, values, _call(training))
        for node in self.before if monitor is not None else ():
            layer = node.operation
            if isinstance(layer, Neurons):
                (current,) = (values[x] for x in node.inputs)
                seen = LayerActivity.of_one_pass(layer, current)
                _update_monitor(monitor, layer, state["seen"], seen)
        if self.extra_steps and self.during:
            state = self._rehearse(values, state, training)
        return values, state

    def initial_state(self, batch_size: int, monitor: Any = None) -> dict:
        """The state at rest; layers whose state has no known shape add it later."""
        layers = {
            name: layer.get_initial_state(batch_size) for name, layer in self._timed()
        }
        seen = {}
        for node in self.during if monitor is not None else ():
            layer = node.operation
            if isinstance(layer, Neurons) and layer.cell.has_fixed_shape:
                shape = batch_size, *layer.cell.state_shape
                seen[layer.name] = monitor.initial_state(layer, shape)
        return {"layers": _without_none(layers), "seen": _without_none(seen)}

    def _timed(self):
        """The layers that depend on time, by the names of their nodes."""
        return [
            (node.name, node.operation)
            for node in self.during
            if isinstance(node.operation, TimeLayer)
        ]

    def _rehearse(self, values, state, training):
        """Runs the extra steps; returns the initial state of the run."""
        clock = Clock.whole(self.extra_steps)
        values, layers = dict(values), state["layers"]
        corrected = {}

        def call(node, values):
            layer = node.operation
            if isinstance(layer, Spiking) and layer.cell.extra_steps:
                (currents,) = (values[x] for x in node.inputs)
                outputs, start = layer.rehearse(currents, layers.get(node.name))
                corrected[node.name] = start
                return outputs
            return self._advanced(node, values, layers, clock, training)[0]

        run_nodes(self.during, values, call)
        return {**state, "layers": {**layers, **corrected}}

    def present(self, frames: Array) -> tuple[dict, dict]:
        """Runs the nodes before time on inputs that have a time axis.

        Args:
            frames: Inputs `(batch, steps, ...)`, in the structure of the graph's
                inputs.

        Returns:
            The values of the tensors before time, with time folded into the batch,
            and the currents `(batch, steps, ...)` that enter the network.
        """
        flat = tree.flatten(self.graph.inputs)
        frames = in_structure(frames, self.graph)
        own = 2 if self.has_frames else 1  # leading axes of the graph's inputs
        frames = tree.flatten(self.graph.cast(frames, lead=2, own=own))
        for name, x, frame in zip(self.graph.input_names, flat, frames, strict=True):
            expected = (*x.shape[:1], None, *x.shape[own:])
            check_shape(name, expected, tuple(frame.shape))
        steps = ops.shape(frames[0])[1]
        if not self.has_frames:
            frames = list(map(fold, frames))
        values = dict(zip(flat, frames, strict=True))
        run_nodes(self.before, values)
        entering = {
            node.output: values[node.inputs[0]]
            for node in self.during
            if isinstance(node.operation, Present)
        }
        if not self.has_frames:
            entering = {x: unfold(y, steps) for x, y in entering.items()}
        return values, entering

    # --- In time ---------------------------------------------------------------------

    def precompute(self, inputs: Array, steps: int, passes: int) -> dict:
        """Tensors that are computed once for `passes` passes of `steps` steps.

        Returns:
            `{node: {name: tensor}}`; see `TimeLayer.precomputed`.
        """
        samples = batch_size_of(inputs)
        made, found = {}, {}
        for node in self.during:
            if isinstance(node.operation, TimeLayer):
                parts = [
                    Tensor((samples, steps, *x.shape[2:]), x.dtype) for x in node.inputs
                ]
                key = node.operation.name, tuple(x.shape for x in parts)
                if key not in made:  # a layer may be used twice
                    made[key] = node.operation.precomputed(parts, passes)
                found[node.name] = made[key]
        return {name: tensors for name, tensors in found.items() if tensors}

    def advance(
        self,
        values: dict,
        state: dict,
        clock: Clock,
        *,
        monitor: Any = None,
        frames: Array = None,
        precomputed: dict | None = None,
        training: bool = False,
    ) -> tuple[list, dict]:
        """Runs a piece of a run; returns the decoded values and the new state.

        Args:
            values: The values of the tensors before time.
            state: The state before the piece.
            clock: The `Clock` of the piece.
            monitor: A monitor of the layers of neurons, or None.
            frames: The currents that `present` returned, if every step has an input
                of its own.
            precomputed: The tensors that `precompute` returned.
            training: Whether layers are called in training.
        """
        values, precomputed = dict(values), precomputed or {}
        layers, seen = dict(state["layers"]), dict(state["seen"])

        def call(node, values):
            layer, before = node.operation, layers.get(node.name)
            if frames is not None and node.output in frames:
                return layer.gated(frames[node.output], clock)
            outputs, after = self._advanced(
                node, values, layers, clock, training, precomputed.get(node.name, {})
            )
            if after is not None:
                layers[node.name] = after
            if monitor is not None and isinstance(layer, Neurons):
                (currents,) = (values[x] for x in node.inputs)
                potentials = functools.partial(layer.potentials, currents, before)
                shown = LayerActivity(clock.start, currents, outputs, potentials)
                _update_monitor(monitor, layer, seen, shown)
            return outputs

        run_nodes(self.during, values, call)
        decoded = [values[node.output] for node in self.readouts]
        return decoded, {"layers": layers, "seen": seen}

    def _advanced(self, node, values, layers, clock, training, precomputed=None):
        """The outputs of a node in a piece of a run, and its layer's new state."""
        layer = node.operation
        if not isinstance(layer, TimeLayer):
            return node.call(layer, values, training=training), None
        (inputs,) = fill(node.args, values)
        before = layers.get(node.name)
        return layer.advance(inputs, before, clock, training, **(precomputed or {}))

    def decode(self, state: dict, t: Array, last: Array) -> list:
        """The values that the readouts decode from the state after step `t`."""
        sums = state["layers"]
        return [n.operation.decode(sums[n.name][0], t, last) for n in self.readouts]

    # --- After time ------------------------------------------------------------------

    def finish(
        self, values: dict, decoded: list, steps: int = 0, training: bool = False
    ) -> Any:
        """Runs the nodes after time, on the decoded values of the readouts.

        If `steps` > 0, the decoded values and the outputs have a time axis of that
        length, and `values` have it folded into the batch.
        """
        values = dict(values)
        for node, x in zip(self.readouts, decoded, strict=True):
            values[node.output] = fold(x) if steps and not self.mixing else x
        if steps and self.mixing:
            return self._finish_each(values, decoded)
        run_nodes(self.after, values, _call(training))
        outputs = fill(self.graph.outputs, values)
        if not steps:
            return outputs
        return tree.map_structure(lambda y: unfold(y, steps), outputs)

    def _finish_each(self, values, decoded):
        """`finish` step by step, so that no operation mixes steps of a sample."""

        def finish(at_a_step):
            flat = tree.flatten(self.finish(values, at_a_step))
            return [ops.convert_to_tensor(y) for y in flat]

        ends = ops.map(finish, [ops.moveaxis(x, 1, 0) for x in decoded])
        ends = [ops.moveaxis(y, 0, 1) for y in ends]
        return tree.pack_sequence_as(self.graph.outputs, ends)

    def at_every_step(self, values: dict, steps: int) -> dict:
        """Values from before time, repeated for every step, with folded time."""
        if self.mixing:
            return values  # `finish` runs step by step
        read = {x for node in self.after for x in node.inputs}
        read |= set(tree.flatten(self.graph.outputs))
        return {
            x: ops.repeat(values[x], steps, axis=0)
            for x, stage in self.stage.items()
            if stage == 0 and x in values and x in read
        }


def batch_size_of(inputs: Any) -> int:
    """The batch size, or `USUAL_BATCH` if that is unknown."""
    return tree.flatten(inputs)[0].shape[0] or USUAL_BATCH


def check_shape(name: str, expected: Shape, received: Shape) -> None:
    """Raises a ValueError unless an input has the shape the network expects."""
    pairs = zip(expected[1:], received[1:], strict=False)
    if len(expected) != len(received) or any(
        None not in pair and pair[0] != pair[1] for pair in pairs
    ):
        raise ValueError(
            f"Input '{name}' of the spiking network has the wrong shape: expected "
            f"shape {expected}, received {received}. The first axis counts samples: "
            "one sample x is x[None]."
        )


def _update_monitor(monitor, layer, states, seen):
    """Updates the monitor's state of a layer."""
    state = states.get(layer.name)
    if state is None:
        shape = ops.shape(seen.currents)
        state = monitor.initial_state(layer, (shape[0], *shape[2:]))
    state = monitor.update(layer, state, seen)
    if state is not None:
        states[layer.name] = state


def _without_none(states):
    return {name: state for name, state in states.items() if state is not None}


def _described(nodes):
    """Names and types of nodes, for messages."""
    return ", ".join(node.describe() for node in nodes)


def _call(training):
    """The function that calls nodes in training or in inference."""
    return lambda node, values: node.call(node.operation, values, training=training)
