"""How inputs reach sums: number by number, or only those that are not 0."""

import contextlib
from collections.abc import Iterator

import numpy as np

from snn_keras.export.c import text
from snn_keras.export.c.function import Function, Tensor
from snn_keras.export.integer import Interval

PIECE = 4096  # numbers that are searched for events at once
# The share of numbers that are not 0 up to which looking for them is faster.
SPARSE = 0.6
SPARSE_DEPTHWISE = 0.1  # one weight for each number leaves little to save


def is_sparse(function: Function, most: float) -> bool:
    """Whether the source of a stage is sparse; adds a note for the comment."""
    density = function.density(function.stage.source)
    sparse = density <= most
    way = "event by event" if sparse else "number by number"
    function.notes.append(f"{density:.0%} of inputs are not 0: {way}")
    return sparse


def sums_dtype(interval: Interval, weights: np.ndarray, axes: tuple[int, ...]) -> str:
    """The narrowest type, from 16 bits on, of sums of products in any order.

    Args:
        interval: Bounds of the numbers that the weights multiply, which broadcast
            against them.
        weights: Integers.
        axes: Axes along which products are summed.
    """
    weights = weights.astype(np.int64)
    ends = [bound * weights for bound in (interval.low, interval.high)]
    low = np.minimum(np.minimum(*ends), 0).sum(axes)
    high = np.maximum(np.maximum(*ends), 0).sum(axes)
    return text.dtype_of(low, high, -(2**8))  # a byte holds no product


class Events:
    """Adds the events of slices of a tensor to sums.

    Args:
        function: The `Function`.
        x: The `Tensor`.
        sums: The dtype of the sums.
        count: The length of the slices.
    """

    def __init__(self, function: Function, x: Tensor, sums: str, count: int) -> None:
        self.function = function
        self.x = x
        self.sums = sums
        self.count = count
        piece = min(count, PIECE)
        low, high = np.min(x.interval.low), np.max(x.interval.high)
        self.are_spikes = bool(low >= 0 and high <= 1)
        function.scratch("places", "uint16", piece + 1)
        function.scratch("values", x.dtype, piece + 1)
        function.kernels.add(("find", "", x.dtype))

    @contextlib.contextmanager
    def listed(self, start: str, stride: int) -> Iterator[str]:
        """Lists the events of the slice at `start`, in pieces if it is long.

        Yields:
            What to add to the address of the weights, whose rows are `stride` apart.
        """
        code, find = self.function.code, f"find_{self.x.dtype}"
        if self.count <= PIECE:
            slices = f"x + {start}, {self.count}"
            code(f"const int events = {find}({slices}, places, values);")
            yield ""
            return
        with code.block(f"for (int part = 0; part < {self.count}; part += {PIECE})"):
            left = f"{self.count} - part"
            code(
                f"const int left = {left} < {PIECE} ? {left} : {PIECE};",
                f"const int events = {find}(x + {start} + part, left, places, values);",
            )
            yield f" + part * {stride}"

    def add(self, sums: str, n: int, weights: str, stride: int) -> str:
        """The call that adds rows of weights of the listed events to `n` sums."""
        if self.are_spikes:
            self.function.kernels.add(("spikes", self.sums, ""))
            head = f"add_spikes_{self.sums}({sums}, {n}, {weights}, {stride}"
            return f"{head}, places, events);"
        self.function.kernels.add(("events", self.sums, self.x.dtype))
        head = f"add_events_{self.sums}_{self.x.dtype}({sums}, {n}, {weights}"
        return f"{head}, {stride}, places, values, events);"
