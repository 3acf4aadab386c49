"""A spiking network cut in three: before, in and after time."""

import functools
import math

import keras
import numpy as np
from keras import ops, tree

from snn_keras import _backend
from snn_keras.graph import Graph, Tensor, fill, run_nodes
from snn_keras.inputs import in_structure
from snn_keras.neurons import (
    AffinePerStep,
    PerStep,
    Present,
    Readout,
    Spiking,
    SpikingCell,
    TemporalDifference,
)
from snn_keras.neurons.window import Window, monitor_key, prepared_key
from snn_keras.simulate import apart

# Steps after which a run that does not settle is given up.
SETTLE_LIMIT = 10_000

# Chunks: at most so many steps, and so much memory for the largest operation.
# Figures behind both: docs/performance.md.
CHUNK_STEPS = 8
CHUNK_BYTES = 128 * 2**20
# Operations of which it is known that XLA has them.
_COMPILED = {
    *("Add", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
    *("BatchNormalization", "BiasCorrection", "Concatenate", "Conv1D", "Conv2D"),
    *("Conv2DTranspose", "Conv3D", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout"),
    *("Flatten", "FusedSpiking", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
    *("GlobalMaxPooling2D", "Identity", "InputLayer", "MaxPooling1D", "MaxPooling2D"),
    *(
        "Multiply",
        "Normalization",
        "Permute",
        "Present",
        "ReLU",
        "Readout",
        "Rescaling",
    ),
    *("Reshape", "SeparableConv2D", "Softmax", "Spiking", "Subtract", "ZeroPadding2D"),
}
# Layers that know how long a run is, or how long its input is on.
_TIMED = (Present, AffinePerStep, TemporalDifference, Readout)
USUAL_BATCH = 32  # where the batch size is not known when a run is compiled
USUAL_SIZE = 64  # where the length of another axis is not


class Program:
    """Runs a spiking network's graph over time, in chunks, with explicit state.

    The nodes fall into three stages: those that depend on no time axis run once;
    those between `Present` and `Readout` run at every step; those behind a
    `Readout` run on decoded values.

    Args:
        graph: The graph of a spiking model.
    """

    def __init__(self, graph: Graph):
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
        layers = [n.operation for n in graph.nodes]
        cells = [layer.cell for layer in layers if isinstance(layer, Spiking)]
        self.needs_whole_run = any(cell.needs_whole_run for cell in cells)
        self.extra_steps = max((cell.extra_steps for cell in cells), default=0)

    @property
    def timesteps(self):
        """Steps of a whole run, or "settle"."""
        return next(self._settings("timesteps"))

    @property
    def input_steps(self):
        """Steps for which the input is on, or None for all."""
        return next(self._settings("input_steps"), None)

    def _settings(self, name):
        """What our own layers and cells hold under `name`."""
        for node in [*self.during, *self.before]:
            layer = node.operation
            holder = layer.cell if isinstance(layer, Spiking) else layer
            if isinstance(holder, (*_TIMED, SpikingCell)) and name in vars(holder):
                yield getattr(holder, name)

    @functools.cached_property
    def without_xla(self) -> list:
        """Names of the nodes that XLA cannot compile."""
        nodes = [*self.before, *self.during, *self.after]
        return [node.name for node in nodes if not has_xla_form(node)]

    def check_has_steps(self):
        """Raises a ValueError unless outputs over time exist."""
        if not self.during:
            raise ValueError(
                "this network is run in one pass and has no output over time. "
                'Remedy: convert(..., neuron="bit_serial", fused=False).'
            )
        if self.timesteps == "settle":
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
        _ = self.mixing  # found out now, for a compiled run cannot

    @functools.cached_property
    def mixing(self) -> list:
        """The nodes behind time by which a sample depends on its company."""
        return apart.mixing(self.after)

    def check_samples_apart(self, run, nodes=()):
        """Raises a ValueError where samples cannot leave or enter a batch alone.

        Args:
            run: What needs it, as messages call it.
            nodes: More nodes than those behind time.
        """
        found = [*apart.mixing(nodes, where_unknown=False), *self.mixing]
        if found:
            raise ValueError(
                f"{run} needs each sample's output to depend on that sample alone. "
                f"Received: {_described(found)}, which acts along the batch axis. "
                "Remedy: predict or predict_over_time; or a network without it, and "
                "what it computes on the outputs of that."
            )

    def run(self, inputs, chunk_steps, over_time=False, monitor=None, training=False):
        """Runs all steps from rest.

        Args:
            inputs: Input tensors, in the structure of the graph's inputs.
            chunk_steps: Steps a chunk, or None for what `steps_of_chunks` chooses.
            over_time: Whether to give the output after every step.
            monitor: Watches the spiking layers; see `snn_keras.neurons.window`.
            training: Whether layers are called in training; all steps then run in
                one pass.

        Returns:
            Outputs `(batch, ...)`, or `(batch, timesteps, ...)` over time; and
            the state after the last step.
        """
        total = self.timesteps
        values, state = self.begin(inputs, monitor, training)
        if not self.during:
            return fill(self.graph.outputs, values), state
        if training:
            if total == "settle":
                raise ValueError(
                    "a network that runs until it settles cannot be trained: its run "
                    "has no fixed number of steps. Remedy: "
                    "snn.with_timesteps(T).fit(...)."
                )
            decoded, state = self.advance(values, 0, total, state, training=True)
            return self.finish(values, decoded, training=True), state
        if total == "settle":
            decoded, _, state = self._settle(inputs, values, state, monitor)
            return self.finish(values, decoded), state
        steps = chunk_steps or self.steps_of_chunks(inputs)
        steps = total if self.needs_whole_run else min(steps, total)
        chunks, rest = divmod(total, steps)
        run = self._loop if chunks > 1 else self._once
        prepared = self.prepare(inputs, steps, chunks)
        settings = {"over_time": over_time, "monitor": monitor, "prepared": prepared}
        decoded, state = run(values, chunks, steps, state, **settings)
        if rest:
            more, state = self.advance(values, total - rest, rest, state, **settings)
            decoded = [
                ops.concatenate(x, axis=1) if over_time else x[1]
                for x in zip(decoded, more, strict=True)
            ]
        if over_time:
            return self.finish(
                self._at_every_step(values, total), decoded, total
            ), state
        return self.finish(values, decoded), state

    def steps_of_chunks(self, inputs) -> int:
        """Steps that a pass had best make: as many as pay, within `CHUNK_BYTES`.

        More steps a pass fill the cores where the batch is small, and save reading
        and writing the potentials; a pass needs memory for all of its steps.
        """
        samples = _batch_size(inputs)
        fit = CHUNK_BYTES // (samples * self.bytes_of_step)
        most = max(1, min(CHUNK_STEPS, fit))
        chunks = -(-self.timesteps // most)
        return -(-self.timesteps // chunks)  # all of one length, where it divides

    @functools.cached_property
    def bytes_of_step(self) -> int:
        """Memory that the largest operation takes for a step of one sample."""

        def size(x):
            sizes = (n or USUAL_SIZE for n in x.shape[2:])
            return math.prod(sizes) * np.dtype(x.dtype).itemsize

        sizes = (
            sum(size(x) for x in [*node.inputs, *node.outputs] if len(x.shape) > 1)
            for node in self.during
        )
        return max(sizes, default=1)

    def prepare(self, inputs, steps, passes) -> dict:
        """What layers compute once for a run of `passes` passes of `steps` steps."""
        samples = _batch_size(inputs)
        prepared = {}
        for node in self.during:
            layer = node.operation
            if hasattr(layer, "prepare"):
                parts = [
                    Tensor((samples, steps, *x.shape[2:]), x.dtype) for x in node.inputs
                ]
                key = prepared_key(layer, parts)
                if key not in prepared:
                    prepared[key] = layer.prepare(parts, passes)
        return prepared

    def settle(self, inputs):
        """Runs until no neuron fires any more.

        Returns:
            Outputs `(batch, ...)`, and the last step `(batch,)` at which any
            neuron of a sample fired.
        """
        values, state = self.begin(inputs)
        decoded, last, _ = self._settle(inputs, values, state, None)
        return self.finish(values, decoded), last

    def begin(self, inputs, monitor=None, training=False):
        """Runs what comes before time, and the extra steps of the neurons.

        Returns:
            The values of its tensors, and the state in which a run starts.
        """
        flat = tree.flatten(self.graph.inputs)
        inputs = self.graph.cast(in_structure(inputs, self.graph))
        values = dict(zip(flat, tree.flatten(inputs), strict=True))
        for name, expected in zip(self.graph.input_names, flat, strict=True):
            check_shape(name, expected.shape, tuple(values[expected].shape))
        state = self.initial_state(ops.shape(values[flat[0]])[0], monitor)
        with Window(0, None, None, state, monitor=monitor) as window:
            run_nodes(self.before, values, _call(training))
        state = {**state, **window.new_states}
        if self.extra_steps and self.during:
            state = self._prepare(values, state, training)
        return values, state

    def present(self, frames):
        """Runs what comes before time, on inputs that have a time axis.

        Args:
            frames: Inputs `(batch, steps, ...)`, in the structure of the graph's.

        Returns:
            The values of its tensors, time folded into the batch, and the
            currents `(batch, steps, ...)` that enter the network.
        """
        flat = tree.flatten(self.graph.inputs)
        frames = in_structure(frames, self.graph)
        frames = tree.flatten(self.graph.cast(frames, lead=2))
        for name, x, frame in zip(self.graph.input_names, flat, frames, strict=True):
            received = tuple(frame.shape)
            check_shape(name, (*x.shape[:1], None, *x.shape[1:]), received)
        steps = ops.shape(frames[0])[1]
        values = dict(zip(flat, map(_fold, frames), strict=True))
        run_nodes(self.before, values)
        return values, {
            node.output: _unfold(values[node.inputs[0]], steps)
            for node in self.during
            if isinstance(node.operation, Present)
        }

    def initial_state(self, batch_size, monitor=None) -> dict:
        """The state at rest of every layer that has one, by name.

        Layers whose shape depends on the input make theirs at the first pass.
        """
        layers = [n.operation for n in self.during]
        stateful = [x for x in layers if hasattr(x, "get_initial_state")]
        state = {x.name: x.get_initial_state(batch_size) for x in stateful}
        if monitor is not None:
            for node in [*self.before, *self.during]:
                layer = node.operation
                if isinstance(layer, Spiking) and layer.cell.has_fixed_shape:
                    shape = batch_size, *layer.cell.state_shape
                    watched = monitor.initial_state(layer, shape)
                    state[monitor_key(layer.name)] = watched
        return {name: value for name, value in state.items() if value is not None}

    @functools.cached_property
    def has_fixed_shapes(self) -> bool:
        """Whether all states are known before there is an input."""
        stateful = [
            n.operation
            for n in self.during
            if hasattr(n.operation, "get_initial_state")
        ]
        return all(layer.get_initial_state(1) is not None for layer in stateful)

    def advance(
        self,
        values,
        start,
        steps,
        state,
        over_time=False,
        monitor=None,
        frames=None,
        prepared=None,
        training=False,
        may_end=False,
    ):
        """Runs `steps` steps; returns what the readouts decode, and the state.

        With `frames`, as `present` gives them, every step has an input of its own;
        `prepared` is what `prepare` gives; `may_end` as for a `Window`.
        """
        values = dict(values)
        total = self.timesteps

        def call(node, values):
            if frames is not None and node.output in frames:
                return node.operation.gate(frames[node.output])
            return node.call(node.operation, values, training=training)

        window = Window(
            start,
            steps,
            total,
            state,
            over_time,
            monitor,
            prepared=prepared,
            may_end=may_end,
        )
        with window:
            run_nodes(self.during, values, call)
        decoded = [values[n.output] for n in self.readouts]
        return decoded, {**state, **window.new_states}

    def finish(self, values, decoded, steps=0, training=False):
        """Runs what comes after time, on decoded values of the readouts.

        With `steps` > 0 these hold a time axis of that length, and so do the
        outputs; `values` then have it folded into the batch.
        """
        values = dict(values)
        for node, x in zip(self.readouts, decoded, strict=True):
            values[node.output] = _fold(x) if steps and not self.mixing else x
        if steps and self.mixing:
            return self._finish_each(values, decoded)
        run_nodes(self.after, values, _call(training))
        outputs = fill(self.graph.outputs, values)
        if not steps:
            return outputs
        return tree.map_structure(lambda y: _unfold(y, steps), outputs)

    def _finish_each(self, values, decoded):
        """The same step by step, each with the samples of the batch alone."""

        def finish(at_a_step):
            flat = tree.flatten(self.finish(values, at_a_step))
            return [ops.convert_to_tensor(y) for y in flat]

        ends = ops.map(finish, [ops.moveaxis(x, 1, 0) for x in decoded])
        ends = [ops.moveaxis(y, 0, 1) for y in ends]
        return tree.pack_sequence_as(self.graph.outputs, ends)

    def _at_every_step(self, values, steps):
        """Values from before time, repeated for every step."""
        if self.mixing:
            return values  # each step is finished by itself
        return {
            x: ops.repeat(values[x], steps, axis=0)
            for x, stage in self.stage.items()
            if stage == 0 and x in values
        }

    def _prepare(self, values, state, training):
        """Runs the extra steps; returns the state that the run starts from."""
        steps = self.extra_steps
        values = dict(values)
        with Window(0, steps, steps, state, preparing=True) as window:
            run_nodes(self.during, values, _call(training))
        corrected = {
            n.name: window.new_states[n.name]
            for n in self.during
            if isinstance(n.operation, Spiking) and n.operation.cell.extra_steps
        }
        return {**state, **corrected}

    def _settle(self, inputs, values, state, monitor):
        """Runs single steps until the input is off and all neurons are silent.

        Temporal differences that withhold something send it in a step more.
        """
        prepared = self.prepare(inputs, 1, self.input_steps)
        flat = tree.flatten(self.graph.inputs)
        batch_size = ops.shape(values[flat[0]])[0]
        withholds = any(
            isinstance(n.operation, TemporalDifference) for n in self.during
        )

        def goes_on(start, active, complete, *_):
            due = ops.logical_or(active, ops.logical_not(complete))
            due = ops.logical_or(due, start < self.input_steps)
            return ops.logical_and(due, start < SETTLE_LIMIT)

        def body(start, active, complete, last, state):
            activity = _Activity(monitor)
            silent = ops.logical_not(active)
            rests = ops.logical_and(silent, start >= self.input_steps)
            settings = {"monitor": activity, "prepared": prepared, "may_end": rests}
            _, state = self.advance(values, start, 1, state, **settings)
            fired = activity.fired()
            last = ops.where(fired, start + 1, last)
            complete = ops.logical_or(complete, rests)
            return start + 1, ops.any(fired), complete, last, state

        start = ops.convert_to_tensor(0, "int32")
        last = ops.zeros((batch_size,), "int32")
        active = ops.convert_to_tensor(True)
        carry = start, active, ops.convert_to_tensor(not withholds), last, state
        if not self.has_fixed_shapes:  # the first pass makes the states
            carry = body(*carry)
        *_, last, state = ops.while_loop(goes_on, body, carry)
        decoded = [n.operation.decode(state[n.name], 1, 1) for n in self.readouts]
        return decoded, last, state

    def _once(self, values, chunks, steps, state, **settings):
        return self.advance(values, 0, steps, state, **settings)

    def _loop(self, values, chunks, steps, state, over_time, **settings):
        """Runs `chunks` chunks of `steps` steps in one compiled loop."""

        def body(carry, _):
            start, state = carry
            decoded, state = self.advance(
                values, start, steps, state, over_time, **settings
            )
            kept = decoded if over_time else []
            return (start + steps, state), kept

        dtypes = [n.operation.compute_dtype for n in self.readouts if over_time]
        start, first = 0, None
        if not self.has_fixed_shapes:  # the first pass makes the states
            (start, state), first = body((0, state), None)
        (_, state), parts = _backend.scan(
            body,
            (ops.convert_to_tensor(start, "int32"), state),
            length=chunks if first is None else chunks - 1,
            dtypes=dtypes,
        )
        if over_time:
            joined = [_join(part) for part in parts]
            if first is not None:
                joined = [
                    ops.concatenate(x, axis=1) for x in zip(first, joined, strict=True)
                ]
            return joined, state
        decoded = [
            n.operation.decode(state[n.name], chunks * steps, self.timesteps)
            for n in self.readouts
        ]
        return decoded, state


def _described(nodes):
    """Names and types, as messages give them."""
    return ", ".join(node.describe() for node in nodes)


def has_xla_form(node) -> bool:
    """Whether XLA can compile a node; those that are always there are not tried."""
    layer = node.operation
    operation = layer.operation if isinstance(layer, PerStep) else layer
    if any(x.dtype == "string" for x in node.inputs):
        return False  # it has no texts
    if type(operation).__name__ in _COMPILED:
        return True
    sizes = [tuple(n or 2 for n in x.shape) for x in node.inputs]
    inputs = [
        keras.KerasTensor(shape, x.dtype)
        for shape, x in zip(sizes, node.inputs, strict=True)
    ]

    def call(*values):
        pairs = dict(zip(node.inputs, values, strict=True))
        return tree.flatten(node.call(layer, pairs, training=False))

    return _backend.has_xla_form(call, inputs)


class _Activity:
    """Monitor: which samples' neurons fired, beside what `monitor` watches."""

    def __init__(self, monitor):
        self.monitor = monitor
        self.samples = []

    def initial_state(self, layer, shape):
        return (
            None if self.monitor is None else self.monitor.initial_state(layer, shape)
        )

    def update(self, layer, state, seen):
        axes = tuple(range(1, len(seen.outputs.shape)))
        spikes = ops.logical_and(seen.outputs != 0, seen.outputs == seen.outputs)
        self.samples.append(ops.any(spikes, axis=axes))
        if self.monitor is None:
            return state
        return self.monitor.update(layer, state, seen)

    def fired(self):
        """Whether any neuron of each sample fired, `(batch,)`."""
        return functools.reduce(ops.logical_or, self.samples)


def _call(training):
    """How nodes are called, in training or in inference."""
    return lambda node, values: node.call(node.operation, values, training=training)


def _batch_size(inputs):
    """Samples of a batch, or how many there usually are where that is not known."""
    return tree.flatten(inputs)[0].shape[0] or USUAL_BATCH


def check_shape(name, expected, received):
    """Raises a ValueError unless an input has the shape the network expects."""
    pairs = zip(expected[1:], received[1:], strict=False)
    if len(expected) != len(received) or any(
        None not in pair and pair[0] != pair[1] for pair in pairs
    ):
        raise ValueError(
            f"Input '{name}' of the spiking network has the wrong shape: expected "
            f"shape {expected}, received {received}."
        )


def _join(x):
    """[chunks, B, steps, ...] -> [B, chunks * steps, ...]"""
    x = ops.moveaxis(x, 0, 1)
    batch, chunks, steps, *rest = ops.shape(x)
    return ops.reshape(x, (batch, chunks * steps, *rest))


def _fold(x):
    """[B, T, ...] -> [B * T, ...]"""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def _unfold(y, steps):
    """[B * T, ...] -> [B, T, ...]"""
    return ops.reshape(y, (-1, steps, *ops.shape(y)[1:]))
