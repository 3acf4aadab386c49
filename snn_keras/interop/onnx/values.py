"""What a tensor of a file is while it is read: known in advance, or a view."""

import dataclasses
import math

import keras
import numpy as np

from snn_keras.interop.errors import Untranslatable

# The place of the samples: the first axis of every Keras tensor.
SAMPLES = 0


@dataclasses.dataclass(frozen=True)
class Known:
    """A tensor whose values do not depend on the inputs.

    Shapes depend on the number of samples, and so may all that is computed of them.
    Such tensors are known for several numbers of samples, of which what does not change
    with it is told apart.

    Attributes:
        arrays: The value for each number of samples in `Samples.counts`.
    """

    arrays: tuple

    @classmethod
    def constant(cls, array: np.ndarray) -> "Known":
        """A tensor that is the same for any number of samples."""
        return cls((array,))

    def at(self, index: int) -> np.ndarray:
        """The value for one of the numbers of samples."""
        return self.arrays[min(index, len(self.arrays) - 1)]

    @property
    def fixed(self) -> np.ndarray:
        """The value, if it is the same for any number of samples."""
        first = self.arrays[0]
        if not all(np.array_equal(first, other) for other in self.arrays[1:]):
            raise Untranslatable("what it reads depends on the number of samples")
        return first

    @property
    def of_a_sample(self) -> np.ndarray:
        """The value with length 1 along the axes of the samples.

        Raises:
            Untranslatable: if samples differ.
        """
        first = self.arrays[0]
        if any(other.ndim != first.ndim for other in self.arrays[1:]):
            return self.fixed
        for other in self.arrays[1:]:
            for axis in range(first.ndim):
                if first.shape[axis] != other.shape[axis]:
                    first = only_slice(first, axis)
        return Known(
            (first, *(x for x in self.arrays[1:] if x.shape == first.shape))
        ).fixed


def only_slice(array: np.ndarray, axis: int) -> np.ndarray:
    """The slice of length 1 of an array whose slices along an axis are equal."""
    slice_ = array.take([0], axis)
    if not np.array_equal(np.broadcast_to(slice_, array.shape), array):
        raise Untranslatable("it has a constant that differs between the samples")
    return slice_


@dataclasses.dataclass(frozen=True)
class View:
    """A tensor of the file as a Keras tensor with axes in another order.

    An axis is one of the file's tensor; a place is an axis of the Keras tensor. Places
    of length 1 may belong to no axis, and so may the place of the samples if the file
    is for a single sample.

    Attributes:
        tensor: The Keras tensor; its first place has the samples.
        places: For each axis the places that make it up, the outermost first. An axis
            without places has length 1.
        is_image: Whether its second axis has channels.
    """

    tensor: keras.KerasTensor
    places: tuple
    is_image: bool = False

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.places)

    def lengths(self, axis: int) -> list:
        """The lengths of the places of an axis; None for the samples."""
        return [self.tensor.shape[place] for place in self.places[axis]]

    def shape(self, samples: int) -> tuple[int, ...]:
        """The shape for a number of samples."""
        lengths = ([n or samples for n in self.lengths(i)] for i in range(self.rank))
        return tuple(map(math.prod, lengths))

    def length(self, axis: int) -> int:
        """The length of an axis.

        Raises:
            Untranslatable: if it depends on the number of samples.
        """
        lengths = self.lengths(axis)
        if None in lengths:
            raise Untranslatable(MIXES)
        return math.prod(lengths)

    def axis_of_samples(self) -> int | None:
        """The axis that has the samples, perhaps beside others; or None."""
        return next((i for i, p in enumerate(self.places) if SAMPLES in p), None)

    def permuted(self, order: list) -> "View":
        """The view with its axes in another order."""
        return View(self.tensor, tuple(self.places[i] for i in order))


MIXES = "it acts along the batch axis, and would mix samples"
