"""C source text: types, names, constants and indented lines."""

import contextlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from snn_keras.export.integer import Interval
from snn_keras.typing import Array

WIDTH = 88  # characters in a line of numbers
TYPES = ("int8", "uint8", "int16", "int32", "int64")


def dtype_of(*values: Array) -> str:
    """The narrowest integer type that holds all `values`, such as "int16"."""
    low = min(int(np.min(x)) for x in values)
    high = max(int(np.max(x)) for x in values)
    for name in TYPES:
        limits = np.iinfo(name)
        if limits.min <= low and high <= limits.max:
            return name
    raise OverflowError(f"64 bits do not hold {low} and {high}")


def dtype_between(interval: Interval) -> str:
    """The narrowest integer type of all values of an interval."""
    return dtype_of(interval.low, interval.high)


def size_of(dtype: str) -> int:
    """Bytes of a number."""
    return np.dtype(dtype).itemsize


def number(value: int, dtype: str = "int32") -> str:
    """A C literal; negative ones are in parentheses."""
    value = int(value)
    if value == -(2**31):
        return "INT32_MIN"
    text = f"INT64_C({value})" if dtype == "int64" else str(value)
    return f"({text})" if value < 0 else text


def identifier(name: str) -> str:
    """A name as part of a C identifier."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def comment(text: str) -> str:
    """A C comment; what would end it is taken apart."""
    return f"/* {text.replace('*/', '* /').replace('/*', '/ *')} */"


def shape_text(shape: Sequence[int]) -> str:
    """A shape as in "14 x 14 x 64"."""
    return " x ".join(map(str, shape))


def constant(name: str, values: np.ndarray, dtype: str) -> str:
    """The definition of a constant array, in lines of numbers."""
    flat = np.asarray(values).ravel()
    lines, line = [], " "
    for text in (f"{int(v)}," for v in flat):
        if len(line) + 1 + len(text) > WIDTH:
            lines.append(line)
            line = " "
        line += f" {text}"
    body = "\n".join([*lines, line.rstrip(",")])
    return f"static const {dtype}_t {name}[{flat.size}] = {{\n{body}\n}};"


class Code:
    """Lines of C with their indentation."""

    def __init__(self, depth: int = 0) -> None:
        self._lines = []
        self._depth = depth

    def __call__(self, *lines) -> None:
        """Adds lines."""
        self._lines += ["  " * self._depth + line if line else "" for line in lines]

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A block in braces."""
        self(f"{head} {{" if head else "{")
        self._depth += 1
        yield
        self._depth -= 1
        self("}")

    def loop(self, index: str, count: int | str) -> contextlib.AbstractContextManager:
        """A loop of `index` from 0 to below `count`."""
        return self.block(f"for (int {index} = 0; {index} < {count}; ++{index})")

    def __str__(self) -> str:
        return "\n".join(self._lines)
