"""Whole runs of a spiking network, from rest."""

import functools
import math
from typing import Any

import numpy as np
from keras import ops, tree

from snn_keras.backend import backend
from snn_keras.coding import Coding
from snn_keras.graph import fill
from snn_keras.simulate.activity import LayerActivity
from snn_keras.simulate.program import Program, batch_size_of
from snn_keras.time import Clock, TemporalDifference
from snn_keras.time.spiking import Neurons as NeuronLayer
from snn_keras.typing import Array, Shape

# A run that has not settled so many steps after its input went off ends.
SETTLE_LIMIT = 10_000

# A chunk has at most this many steps, and this much memory for the largest operation.
# The measurements behind both are in docs/performance.md.
CHUNK_STEPS = 8
CHUNK_BYTES = 128 * 2**20
USUAL_SIZE = 64  # assumed if an axis's length is unknown when a run is compiled


def run(
    program: Program,
    inputs: Any,
    chunk_steps: int | None,
    over_time: bool = False,
    monitor: Any = None,
    training: bool = False,
) -> tuple[Any, dict]:
    """Runs all steps from rest.

    Args:
        program: The network's `Program`.
        inputs: Input tensors, in the structure of the graph's inputs.
        chunk_steps: Steps per chunk; None lets `steps_of_chunks` choose.
        over_time: Whether to return the output after every step.
        monitor: A monitor of the layers of neurons, or None; see `Program`.
        training: Whether layers are called in training; all steps then run in one
            pass.

    Returns:
        Outputs `(batch, ...)`, or `(batch, timesteps, ...)` over time; and the state
        after the last step.
    """
    values, state = program.begin(inputs, monitor, training)
    if not program.during:
        return fill(program.graph.outputs, values), state
    if program.coding.settles:
        if training:
            raise ValueError(
                "a network that runs until it settles cannot be trained: its run "
                "has no fixed number of steps. Remedy: "
                "snn.with_timesteps(T).fit(...)."
            )
        decoded, _, state = _until_silent(program, inputs, values, state, monitor)
        return program.finish(values, decoded), state
    total = program.coding.timesteps
    if training:
        clock = Clock.whole(total)
        decoded, state = program.advance(values, state, clock, training=True)
        return program.finish(values, decoded, training=True), state
    decoded, state = _in_chunks(
        program, inputs, values, state, chunk_steps, over_time, monitor
    )
    if over_time:
        values = program.at_every_step(values, total)
        return program.finish(values, decoded, total), state
    return program.finish(values, decoded), state


def run_until_silent(program: Program, inputs: Any) -> tuple[Any, Array]:
    """Runs until the input is off and no neuron fires.

    Returns:
        Outputs `(batch, ...)`, and for each sample the last step at which one of its
        neurons fired, `(batch,)`.
    """
    values, state = program.begin(inputs)
    decoded, last, _ = _until_silent(program, inputs, values, state, None)
    return program.finish(values, decoded), last


def last_step(coding: Coding) -> int:
    """The step at which a run that has not settled ends."""
    return (coding.input_steps or 0) + SETTLE_LIMIT


def _in_chunks(program, inputs, values, state, chunk_steps, over_time, monitor):
    """Runs all steps in chunks; returns the decoded values and the state."""
    total = program.coding.timesteps
    steps = chunk_steps or steps_of_chunks(program, inputs)
    steps = total if program.coding.charges_first else min(steps, total)
    chunks, rest = divmod(total, steps)
    settings = {
        "monitor": monitor,
        "precomputed": program.precompute(inputs, steps, chunks),
    }

    def piece(start, length, state):
        clock = Clock(start, length, total, reads_all=over_time)
        return program.advance(values, state, clock, **settings)

    if chunks > 1:
        decoded, state = _loop(program, piece, chunks, steps, state, over_time)
    else:
        decoded, state = piece(0, steps, state)
    if rest:
        more, state = piece(total - rest, rest, state)
        decoded = [
            ops.concatenate(x, axis=1) if over_time else x[1]
            for x in zip(decoded, more, strict=True)
        ]
    return decoded, state


def _loop(program, piece, chunks, steps, state, over_time):
    """Runs `chunks` chunks of `steps` steps in one compiled loop."""

    def body(carry, _):
        start, state = carry
        decoded, state = piece(start, steps, state)
        return (start + steps, state), decoded if over_time else []

    dtypes = [n.operation.compute_dtype for n in program.readouts if over_time]
    start, first = 0, None
    if not program.has_known_states:  # the first pass creates the states
        (start, state), first = body((0, state), None)
    (_, state), parts = backend.scan(
        body,
        (ops.convert_to_tensor(start, "int32"), state),
        length=chunks if first is None else chunks - 1,
        dtypes=dtypes,
    )
    if not over_time:
        last = program.coding.timesteps
        return program.decode(state, chunks * steps, last), state
    joined = [_join(part) for part in parts]
    if first is not None:
        joined = [ops.concatenate(x, axis=1) for x in zip(first, joined, strict=True)]
    return joined, state


def _until_silent(program, inputs, values, state, monitor):
    """Runs single steps until the input is off and all neurons are silent.

    One more step lets temporal differences send values that were not finite before.
    """
    on = program.coding.input_steps
    precomputed = program.precompute(inputs, 1, on)
    withholds = any(isinstance(n.operation, TemporalDifference) for n in program.during)

    def goes_on(start, active, complete, *_):
        due = ops.logical_or(active, ops.logical_not(complete))
        due = ops.logical_or(due, start < on)
        return ops.logical_and(due, start < last_step(program.coding))

    def body(start, active, complete, last, state):
        activity = _Activity(monitor)
        rests = ops.logical_and(ops.logical_not(active), start >= on)
        clock = Clock(start, 1, None, may_rest=rests)
        _, state = program.advance(
            values, state, clock, monitor=activity, precomputed=precomputed
        )
        fired = activity.fired()
        last = ops.where(fired, start + 1, last)
        complete = ops.logical_or(complete, rests)
        return start + 1, ops.any(fired), complete, last, state

    start = ops.convert_to_tensor(0, "int32")
    first = values[tree.flatten(program.graph.inputs)[0]]
    last = ops.zeros((ops.shape(first)[0],), "int32")
    active = ops.convert_to_tensor(True)
    carry = start, active, ops.convert_to_tensor(not withholds), last, state
    if not program.has_known_states:  # the first pass creates the states
        carry = body(*carry)
    *_, last, state = ops.while_loop(goes_on, body, carry)
    return program.decode(state, 1, None), last, state


def steps_of_chunks(program: Program, inputs: Array) -> int:
    """The number of steps per pass: up to `CHUNK_STEPS`, within `CHUNK_BYTES`.

    More steps per pass keep the cores busy if the batch is small, and read and write
    the potentials less often, but need memory for all steps of the pass.
    """
    total = program.coding.timesteps
    fit = CHUNK_BYTES // (batch_size_of(inputs) * bytes_of_step(program))
    chunks = -(-total // max(1, min(CHUNK_STEPS, fit)))
    return -(-total // chunks)  # chunks of equal length, if that divides `total`


def bytes_of_step(program: Program) -> int:
    """Memory, in bytes, of the largest operation for one step of one sample."""

    def size(x):
        sizes = (n or USUAL_SIZE for n in x.shape[2:])
        return math.prod(sizes) * np.dtype(x.dtype).itemsize

    sizes = (
        sum(size(x) for x in [*node.inputs, *node.outputs] if len(x.shape) > 1)
        for node in program.during
    )
    return max(sizes, default=1)


class _Activity:
    """Monitor that finds the samples with a spike, and passes on to `monitor`."""

    def __init__(self, monitor: Any) -> None:
        self.monitor = monitor
        self.samples = []

    def initial_state(self, layer: NeuronLayer, shape: Shape) -> Any:
        if self.monitor is None:
            return None
        return self.monitor.initial_state(layer, shape)

    def update(self, layer: NeuronLayer, state: Any, seen: LayerActivity) -> Any:
        axes = tuple(range(1, len(seen.outputs.shape)))
        spikes = ops.logical_and(seen.outputs != 0, seen.outputs == seen.outputs)
        self.samples.append(ops.any(spikes, axis=axes))
        if self.monitor is None:
            return state
        return self.monitor.update(layer, state, seen)

    def fired(self) -> Array:
        """Whether any neuron of each sample fired, `(batch,)`."""
        return functools.reduce(ops.logical_or, self.samples)


def _join(x):
    """[chunks, B, steps, ...] -> [B, chunks * steps, ...]"""
    x = ops.moveaxis(x, 0, 1)
    batch, chunks, steps, *rest = ops.shape(x)
    return ops.reshape(x, (batch, chunks * steps, *rest))
