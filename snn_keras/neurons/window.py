"""The stretch of time that one pass through a spiking network covers.

Layers with a memory ask for the current window: it says at which step the pass
starts and how many steps it makes, hands each layer the state it left behind and
takes the new one. Without a window a pass is a whole run from rest.

The state is explicit, so a pass under a window is a pure function and may run
inside a compiled loop.
"""

import contextvars
import dataclasses
from collections.abc import Callable
from typing import Any

from keras import ops, tree

_MONITOR = "/monitor"

_current = contextvars.ContextVar("snn_keras_window", default=None)


class Window:
    """Steps `start + 1 ... start + steps` of a run.

    Args:
        start: Steps already run; an integer or a scalar integer tensor.
        steps: Steps of this pass, an integer.
        total: Steps of the whole run, an integer.
        states: State of each layer by its name, as `new_states` of the window
            before holds them; empty at the start of a run.
        over_time: Whether readouts give the decoded value after every step
            instead of after the last.
        monitor: Watches the spiking layers, or None. It has a state for each
            layer, `monitor.initial_state(layer, shape)` for neurons of a shape
            `(batch, ...)`, that `monitor.update(layer, state, seen)` carries on; `seen`
            is a `Seen`. Of layers where both give None it keeps nothing.
        preparing: Whether these are extra steps before the run, in which cells
            correct their state.
        prepared: What layers prepared for the whole run; see `prepared`.
        may_end: In a run of no fixed length, whether it may end with this pass; a
            scalar boolean tensor.
    """

    def __init__(
        self,
        start,
        steps,
        total,
        states=None,
        over_time=False,
        monitor=None,
        preparing=False,
        prepared=None,
        may_end=False,
    ):
        self.start = start
        self.steps = steps
        self.total = total
        self.states = states or {}
        self.new_states = {}
        self.over_time = over_time
        self.monitor = monitor
        self.preparing = preparing
        self.prepared = prepared or {}
        self.may_end = may_end

    def __enter__(self):
        self._token = _current.set(self)
        return self

    def __exit__(self, *_):
        _current.reset(self._token)


def current() -> Window | None:
    """The window of the pass being made, or None."""
    return _current.get()


def state_of(layer, initial):
    """The state `layer` left behind, or `initial()` where it starts from rest."""
    window = current()
    if window is None or layer.name not in window.states:
        return initial()
    return window.states[layer.name]


def keep_state(layer, state) -> None:
    """Leaves `state` for the next window."""
    window = current()
    if window is not None:
        window.new_states[layer.name] = state


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a layer of neurons did in a pass.

    Attributes:
        start: Steps already run, an integer or a scalar integer tensor.
        currents: What it received, `(batch, steps, ...)`.
        outputs: What it sent, `(batch, steps, ...)`.
        potentials: A function that computes the potentials after each step,
            `(batch, steps, ...)`: who does not call it does not pay for it.
    """

    start: Any
    currents: Any
    outputs: Any
    potentials: Callable


def is_watched() -> bool:
    """Whether the window has a monitor."""
    window = current()
    return window is not None and window.monitor is not None


def observe(layer, currents, outputs, potentials) -> None:
    """Shows the window's monitor, if any, what `layer` did; see `Seen`."""
    if is_watched():
        window, key = current(), monitor_key(layer.name)
        seen = Seen(window.start, currents, outputs, potentials)
        state = window.states.get(key)
        if state is None:
            shape = ops.shape(currents)
            state = window.monitor.initial_state(layer, (shape[0], *shape[2:]))
        state = window.monitor.update(layer, state, seen)
        if state is not None:
            window.new_states[key] = state


def prepared_key(layer, inputs):
    """Where what `layer` prepared for inputs `(batch, time, ...)` is kept."""
    return layer.name, tuple(tuple(x.shape[2:]) for x in tree.flatten(inputs))


def prepared(layer, inputs) -> dict:
    """What `layer` prepared for the run; empty without one."""
    window = current()
    return (
        {} if window is None else window.prepared.get(prepared_key(layer, inputs), {})
    )


def monitor_key(name) -> str:
    """Where the state of a layer's monitor is kept among the states."""
    return f"{name}{_MONITOR}"


def monitored_layer(key) -> str | None:
    """The layer whose monitor's state is kept under `key`; None for other states."""
    return key.removesuffix(_MONITOR) if key.endswith(_MONITOR) else None


def may_end(steps):
    """After which steps of the pass the run may end, `(steps,)` booleans."""
    window = current()
    if window is None:
        return ops.arange(steps, dtype="int32") == steps - 1
    if not isinstance(window.total, int):
        return ops.broadcast_to(window.may_end, (steps,))
    return window.start + 1 + ops.arange(steps, dtype="int32") == window.total


def at_step(values, step):
    """The entry of an array at `step`, which may be a tensor; the last beyond."""
    values = ops.convert_to_tensor(values)
    return ops.take(values, ops.minimum(step, values.shape[0] - 1), axis=0)


def input_is_on(input_steps, steps, rank, dtype):
    """1 while the input is on, 0 after `input_steps` steps of the run.

    Returns:
        A tensor `(1, steps, 1, ...)` that fits a tensor of `rank` + 1 axes.
    """
    window = current()
    start = 0 if window is None else window.start
    on = ops.cast(start + ops.arange(steps, dtype="int32") < input_steps, dtype)
    return ops.reshape(on, (1, steps) + (1,) * (rank - 1))
