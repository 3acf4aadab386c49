"""Types for signatures, which Keras does not define."""

from typing import Any

Array = Any  # a tensor of the backend, or anything that converts to one
Timesteps = Any  # an integer, or "settle" if a run has no fixed number of steps
Inputs = Any  # inputs of any kind that Model.predict accepts
Shape = tuple[int | None, ...]  # None is an unknown length
