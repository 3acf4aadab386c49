"""Groups of integer operations that one C function computes."""

import dataclasses
from collections.abc import Mapping, Sequence

from snn_keras.export import integer
from snn_keras.export.integer import IntegerNetwork, Operation

# What changes every entry by itself, so that it can follow an operation in its loop.
ELEMENTWISE = (
    *(integer.Scale, integer.Shift, integer.Gate, integer.Add),
    *(integer.Fire, integer.Integrate),
)
SUMS = (integer.Dense, integer.Convolve, integer.Sum)  # they make sums, row by row


@dataclasses.dataclass
class Stage:
    """Operations that are computed together, each but the last read by the next alone.

    Attributes:
        operations: An operation of any kind; then elementwise ones.
        is_static: Whether it is computed at the first step of a run alone.
    """

    operations: list[Operation]
    is_static: bool = False

    @property
    def head(self) -> Operation | None:
        """The operation that makes the sums; None if all are elementwise."""
        first = self.operations[0]
        return None if isinstance(first, ELEMENTWISE) else first

    @property
    def chain(self) -> list[Operation]:
        """The elementwise operations, in order."""
        return self.operations[0 if self.head is None else 1 :]

    @property
    def last(self) -> Operation:
        """The operation whose output it stores."""
        return self.operations[-1]

    @property
    def source(self) -> str:
        """The name of the tensor with which it begins."""
        return self.operations[0].inputs[0]

    def reads(self) -> list[str]:
        """Names of all tensors that it reads and does not make."""
        made = {x.name for x in self.operations}
        names = [name for x in self.operations for name in x.inputs]
        return [name for name in dict.fromkeys(names) if name not in made]


def stages_of(
    network: IntegerNetwork, static: set[str] | frozenset[str]
) -> list[Stage]:
    """The stages of a network, in running order; reshapes are in none.

    Args:
        network: The `IntegerNetwork`.
        static: Names of the operations that are computed at the first step alone.
    """
    readers: dict[str, int] = {}
    for operation in network.operations:
        for name in operation.inputs:
            readers[name] = readers.get(name, 0) + 1
    for out in network.outputs:
        readers[out.name] = readers.get(out.name, 0) + 1
    ends: dict[str, Stage] = {}  # by the name of their last operation
    for operation in network.operations:
        if type(operation) is integer.Reshape:
            continue
        before = _continued(operation, ends, readers, static)
        if before is None:
            stage = Stage([operation], operation.name in static)
        else:
            stage = ends.pop(before)
            stage.operations.append(operation)
        ends[operation.name] = stage
    return list(ends.values())


def _continued(
    operation: Operation,
    ends: Mapping[str, Stage],
    readers: Mapping[str, int],
    static: set[str] | frozenset[str],
) -> str | None:
    """The end of a stage that the operation can follow in its loop."""
    if not isinstance(operation, ELEMENTWISE):
        return None
    for name in reversed(operation.inputs):
        if name not in ends or readers[name] > 1:
            continue
        last = ends[name].last
        if isinstance(last, integer.Fire) or not isinstance(last, ELEMENTWISE + SUMS):
            continue
        same_time = (name in static) == (operation.name in static)
        if same_time and tuple(last.shape) == tuple(operation.shape):
            return name
    return None


def aliases_of(network: IntegerNetwork) -> dict[str, str]:
    """The tensor whose memory each reshaped tensor is."""
    found: dict[str, str] = {}
    for operation in network.operations:
        if type(operation) is integer.Reshape:
            (name,) = operation.inputs
            found[operation.name] = found.get(name, name)
    return found


def lengths(shape: Sequence[int]) -> tuple[int, int]:
    """`(places, channels)`: the product of all axes but the last, and the last."""
    places = 1
    for n in shape[:-1]:
        places *= n
    return places, shape[-1] if shape else 1
