"""How inputs reach sums: only those that are not 0."""

import contextlib
from collections.abc import Iterator

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c import kernels, text
from snn_keras.export.c.function import Function, Tensor


def of_inputs(x: Tensor, channels: int) -> integer.Interval:
    """Bounds of the channels of a tensor, `(channels, 1)`."""
    interval = integer.of_channels(x.interval, channels)
    return integer.Interval(interval.low[:, None], interval.high[:, None])


def sums_dtype(
    interval: integer.Interval,
    weights: np.ndarray,
    axes: tuple[int, ...],
    least: str = "int16",
) -> str:
    """The narrowest type, from `least` on, of sums of products in any order.

    Args:
        interval: Bounds of the numbers that the weights multiply, which broadcast
            against them.
        weights: Integers.
        axes: Axes along which products are summed.
        least: The dtype of the narrowest sums.
    """
    low, high = products(interval, weights)
    return text.dtype_of(low.sum(axes), high.sum(axes), np.iinfo(least).min)


def products(
    interval: integer.Interval, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the products, 0 included."""
    ends = [b * weights.astype(np.int64) for b in (interval.low, interval.high)]
    return np.minimum(np.minimum(*ends), 0), np.maximum(np.maximum(*ends), 0)


class Events:
    """Adds, for the events of input rows, rows of weights to the sums of one place.

    Events are the numbers that are not 0. They are listed once for each input row. To
    list numbers most of which are events takes little time beside adding their rows.

    Args:
        function: The `Function`.
        x: The `Tensor`.
        width: The number of places of an input row.
        weights: The weights, `(..., in, out)`.
        groups: The number of groups of channels, with sums of their own.
        kept: The number of input rows that one output reaches.
    """

    def __init__(
        self,
        function: Function,
        x: Tensor,
        width: int,
        weights: np.ndarray,
        groups: int = 1,
        kept: int = 1,
    ) -> None:
        self.function = function
        self.x = x
        self.width = width
        self.groups = groups
        self.kept = kept
        *_, taken, made = weights.shape
        self.taken, self.made = taken // groups, made // groups
        interval = of_inputs(x, taken)
        self.sums = sums_dtype(interval, weights, tuple(range(weights.ndim - 1)))
        self.count = made
        self.largest = max(int(np.max(np.abs(e))) for e in products(interval, weights))
        self.row = width * taken
        self.starts = groups * (width + 1)
        self.places = "uint16" if self.row < 2**16 else "int32"
        self.values = self._values()
        function.scratch("sums", self.sums, made)
        function.scratch("places", self.places, kept * self.row)
        function.scratch("starts", self.places, kept * self.starts)
        if self.values:
            function.scratch("values", self.values, kept * self.row)
        density = function.density(function.stage.source)
        function.notes.append(f"{density:.0%} of inputs are not 0")

    def _values(self):
        """The dtype of listed values; none for spikes, whose values are 1."""
        if np.min(self.x.interval.low) >= 0 and np.max(self.x.interval.high) <= 1:
            return ""
        return "int16" if text.size_of(self.x.dtype) <= 2 else self.x.dtype

    @contextlib.contextmanager
    def rows(self, count: int, last: str, height: int) -> Iterator[None]:
        """The block for each `row` of the output.

        Args:
            count: The number of rows of the output.
            last: The C expression of the last input row that an output row reaches.
            height: The number of rows of the input.
        """
        code = self.function.code
        head = f"for (int row = 0, listed = 0; row < {count}; ++row)"
        more = f"for (; listed < {height} && listed <= {last}; ++listed)"
        with code.block(head):
            with code.block(more), loop_groups(code, self.groups):
                self._list_row()
            yield

    def clear(self) -> None:
        """Sets the sums to 0."""
        self.function.code(f"memset(sums, 0, {self.count} * sizeof *sums);")

    def add(self, weights: str, row: str, columns: tuple[str, str], first: str) -> None:
        """Writes the call that adds the events of some places of an input row.

        Args:
            weights: The C expression of the address of the first place's weights.
            row: The C expression of the input row.
            columns: The C expressions of the first place, and of that behind the last.
            first: The C expression of the place whose weights are the first.
        """
        code, (begin, end) = self.function.code, columns
        starts = self._list("starts", row)
        code(f"const {self.places}_t *const begins = {starts};")
        code(f"const int begun = begins[{begin}], events = begins[{end}] - begun;")
        add = kernels.Add(
            self.values, self.places, self.sums, self.made, self._together()
        )
        self.function.kernels.add(add)
        sums = "sums" + self._of_group(self.made)
        listed = [f"{self._list(name, row)} + begun" for name in self._lists()]
        given = sums, weights, f"{first} * {self.taken}", *listed, "events"
        code(f"{add.name}({', '.join(given)});")

    def _together(self):
        """How many products 16 bits surely hold, where sums need more."""
        if self.sums == "int16" or not self.function.simd:
            return 1
        return next((n for n in (8, 4, 2) if n * self.largest < 2**15), 1)

    def _list_row(self):
        listing = kernels.List(self.x.dtype, self.values, self.places)
        self.function.kernels.add(listing)
        x = f"x + listed * {self.row}{self._of_group(self.taken)}"
        sizes = self.width, self.taken, self.taken * self.groups
        to = [self._list(name, "listed") for name in ("starts", *self._lists())]
        self.function.code(f"{listing.name}({', '.join(map(str, (x, *sizes, *to)))});")

    def _lists(self):
        return ("places", "values") if self.values else ("places",)

    def _list(self, name, row):
        """The address of a list of an input row."""
        length = self.starts if name == "starts" else self.row
        slot = f" + {row} % {self.kept} * {length}" if self.kept > 1 else ""
        return f"{name}{slot}{self._of_group(length // self.groups)}"

    def _of_group(self, length):
        return f" + group * {length}" if self.groups > 1 else ""


def loop_groups(code: text.Code, groups: int) -> contextlib.AbstractContextManager:
    """The block for each group."""
    return code.loop("group", groups) if groups > 1 else contextlib.nullcontext()
