"""What the translation of an operator is given."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.aligning import aligned
from snn_keras.interop.onnx.making import Maker
from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.values import Known, View


@dataclasses.dataclass
class Call:
    """One node, and what it reads.

    Attributes:
        node: The node.
        inputs: A `Known` or a `View` for each input, None for those left out.
        make: Adds layers to the model, named after the node.
        samples: The numbers of samples for which `Known`s are known.
    """

    node: Node
    inputs: list
    make: Maker
    samples: tuple

    def attribute(self, name: str, default: Any = None) -> Any:
        """A setting of the node."""
        return self.node.attributes.get(name, default)

    def input(self, index: int) -> Known | View | None:
        """An input; None if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def view(self, index: int = 0) -> View:
        """An input that depends on the model's inputs.

        Raises:
            Untranslatable: if it is a constant.
        """
        found = self.input(index)
        if not isinstance(found, View):
            raise Untranslatable(f"its input {index} is a constant")
        return found

    def known(self, index: int) -> Known | None:
        """An input that does not depend on the model's inputs; None if it is left out.

        Raises:
            Untranslatable: if it does.
        """
        found = self.input(index)
        if isinstance(found, View):
            raise Untranslatable(
                f"its input {index} is computed of the model's inputs, and only a "
                "constant is taken"
            )
        return found

    def optional(self, index: int) -> np.ndarray | None:
        """An input that is the same for any number of samples; None if left out."""
        found = self.known(index)
        return None if found is None else found.fixed

    def constant(self, index: int) -> np.ndarray:
        """An input that is the same for any number of samples.

        Raises:
            Untranslatable: if it is left out, or depends on the model's inputs.
        """
        found = self.optional(index)
        if found is None:
            raise Untranslatable(f"its input {index} is left out")
        return found

    def numbers(self, index: int, name: str = "") -> list[int]:
        """Whole numbers from an input, or from the attribute of this name; or none."""
        found = self.optional(index)
        if found is None:
            found = self.attribute(name, ())
        return np.asarray(found, "int64").ravel().tolist()

    def axis(self, view: View, default: int | None = None, name: str = "axis") -> int:
        """The axis that the node names, counted from 0."""
        axis = self.attribute(name, default)
        if not -view.rank <= axis < view.rank:
            raise Untranslatable(f"{name} = {axis} is none of its {view.rank} axes")
        return axis % view.rank

    def elementwise(self, function: Callable, *operands, **settings) -> View:
        """A function of Keras of views and arrays, which broadcast."""
        found = aligned(self.make, operands, self.samples[0])
        y = self.make.function(function, *found.operands, **settings)
        return View(y, found.places)

    def operands(self) -> list:
        """The inputs as views and arrays."""
        given = [x for x in self.inputs if x is not None]
        return [floating(x.of_a_sample) if isinstance(x, Known) else x for x in given]

    def same_places(self, kind: type, view: View, *args, **settings) -> View:
        """A layer that keeps the places of a view."""
        tensor = self.make.layer(kind, view.tensor, *args, **settings)
        return View(tensor, view.places)

    def applied(self, function: Callable, view: View, *args, **settings) -> View:
        """A function that keeps the places of a view."""
        tensor = self.make.function(function, view.tensor, *args, **settings)
        return View(tensor, view.places)


def floating(array: np.ndarray) -> np.ndarray:
    """An array whose floats are as wide as Keras computes them."""
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array
