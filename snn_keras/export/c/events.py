"""How inputs reach sums: number by number, or only those that are not 0."""

import contextlib
from collections.abc import Iterator

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c import text
from snn_keras.export.c.function import Function, Tensor

PIECE = 4096  # numbers that are searched for events at once
# The share of numbers that are not 0 up to which looking for them is faster.
SPARSE = 0.6
SPARSE_DEPTHWISE = 0.1  # one weight for each number leaves little to save


def is_sparse(function: Function, most: float) -> bool:
    """Whether the source of a stage is sparse; adds a note for the comment."""
    density = function.density(function.stage.source).events
    sparse = density <= most
    way = "event by event" if sparse else "number by number"
    function.notes.append(f"{density:.0%} of inputs are not 0: {way}")
    return sparse


def sums_dtype(
    interval: integer.Interval, weights: np.ndarray, axes: tuple[int, ...]
) -> str:
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


def halved(function: Function, x: Tensor, weights: np.ndarray, axes: tuple) -> bool:
    """Whether two sums of 16 bits, for two halves of numbers, are faster than one.

    Half of a number is its lowest 4 bits, the other half all others. Most small numbers
    have one half alone, and sums of 16 bits take half the time.
    """
    if not function.simd or np.min(x.interval.low) < 0:
        return False
    low = integer.Interval(np.int64(0), np.int64(15))
    high = integer.Interval(np.int64(0), np.max(x.interval.high) >> 4)
    dtypes = {sums_dtype(half, weights, axes) for half in (low, high)}
    density = function.density(function.stage.source)
    return dtypes == {"int16"} and density.halves < 1.8 * density.events


class Events:
    """Adds the events of slices of a tensor to sums.

    Args:
        function: The `Function`.
        x: The `Tensor`.
        interval: Bounds of its numbers, which broadcast against the weights.
        weights: The weights.
        axes: The axes of the weights along which products are summed.
        count: The length of the slices.
        length: The number of sums.
        may_halve: Whether the caller adds to both halves.
    """

    def __init__(
        self,
        function: Function,
        x: Tensor,
        interval: integer.Interval,
        weights: np.ndarray,
        axes: tuple[int, ...],
        count: int,
        length: int,
        may_halve: bool = True,
    ) -> None:
        self.function = function
        self.x = x
        self.count = count
        self.length = length
        self.sums = sums_dtype(interval, weights, axes)
        is_wide = may_halve and self.sums == "int32"
        self.is_halved = is_wide and halved(function, x, weights, axes)
        if self.is_halved:
            self.sums = "int16"
            function.notes.append("numbers in two halves, with sums of 16 bits each")
        function.scratch("sums", self.sums, length)
        low, high = np.min(x.interval.low), np.max(x.interval.high)
        self.are_spikes = bool(low >= 0 and high <= 1)
        self._lists("")
        function.kernels.add(("find", "", x.dtype))
        if self.is_halved:
            function.scratch("high_sums", self.sums, length)
            self._lists("high_")
            function.kernels.add(("halve", "", x.dtype))

    def _lists(self, half):
        piece = min(self.count, PIECE)
        self.function.scratch(f"{half}places", "uint16", piece + 1)
        self.function.scratch(f"{half}values", self.x.dtype, piece + 1)

    def clear(self) -> None:
        """Sets the sums to 0."""
        for half in ("", "high_") if self.is_halved else ("",):
            self.function.code(f"memset({half}sums, 0, {self.length} * sizeof *sums);")

    def sum(self, place: str) -> str:
        """The C expression of a sum."""
        high = f" + 16 * high_sums[{place}]" if self.is_halved else ""
        return f"sums[{place}]{high}"

    @contextlib.contextmanager
    def listed(self, start: str, stride: int) -> Iterator[str]:
        """Lists the events of the slice at `start`, in pieces if it is long.

        Yields:
            What to add to the address of the weights, whose rows are `stride` apart.
        """
        code = self.function.code
        if self.count <= PIECE:
            self._list(f"x + {start}, {self.count}")
            yield ""
            return
        with code.block(f"for (int part = 0; part < {self.count}; part += {PIECE})"):
            left = f"{self.count} - part"
            code(f"const int left = {left} < {PIECE} ? {left} : {PIECE};")
            self._list(f"x + {start} + part, left")
            yield f" + part * {stride}"

    def _list(self, numbers):
        code, dtype = self.function.code, self.x.dtype
        const = "" if self.is_halved else "const "
        code(f"{const}int events = find_{dtype}({numbers}, places, values);")
        if self.is_halved:
            lists = "places, values, &events, high_places, high_values"
            code(f"const int high_events = halve_{dtype}({lists});")

    def add(self, place: str, n: int, weights: str, stride: int) -> None:
        """Adds the listed events to `n` sums from a place on.

        Args:
            place: The C expression of the first sum's place.
            n: The length of a row of weights.
            weights: The C expression of the weights of the first number.
            stride: How far apart are the rows of two numbers.
        """
        for half in ("", "high_") if self.is_halved else ("",):
            given = f"{half}sums + {place}, {n}, {weights}, {stride}, {half}places"
            kind, x, values = "events", self.x.dtype, f", {half}values"
            if self.are_spikes:
                kind, x, values = "spikes", "", ""
            self.function.kernels.add((kind, self.sums, x))
            name = "_".join(filter(None, ("add", kind, self.sums, x)))
            self.function.code(f"{name}({given}{values}, {half}events);")
