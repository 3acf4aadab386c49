"""The types of what Keras does not name, in signatures."""

from typing import Any

Array = Any  # a tensor of the backend, or what converts to one
Timesteps = Any  # an integer, or "settle" where a run has no fixed number
Inputs = Any  # inputs in any form that Model.predict takes
Shape = tuple[int | None, ...]  # a size of None is open
