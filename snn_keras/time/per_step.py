"""Layers that apply a stateless operation at every time step."""

from typing import Any

import keras
from keras import ops, tree

from snn_keras.coding import Coding
from snn_keras.time import winograd
from snn_keras.time.clock import Clock
from snn_keras.time.layer import Coded, TimeLayer
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class PerStep(TimeLayer):
    """Applies a stateless layer or operation at every time step.

    Time is folded into the batch, so that all steps go through one call.

    Args:
        operation: A Keras layer or operation that treats samples independently.
        arguments: The arguments of its call: None for `operation(inputs)`, or
            `{"args": ..., "kwargs": ...}` in which the strings `"tensor:0"`,
            `"tensor:1"`, ... stand for the inputs.

    Input shape: `(batch, time, ...)`, or a list of such. Output shape: that of
    the operation, with the time axis.
    """

    def __init__(
        self, operation: keras.Operation, arguments: dict | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.arguments = arguments

    def build(self, input_shape: Any) -> None:
        operation = self.operation
        if isinstance(operation, keras.layers.Layer) and not operation.built:
            if input_shape and isinstance(input_shape[0], (list, tuple)):
                operation.build([(shape[0], *shape[2:]) for shape in input_shape])
            else:
                operation.build((input_shape[0], *input_shape[2:]))

    def precomputed(self, inputs: list, passes: int) -> dict[str, Array]:
        (batch, steps, *rest), several = inputs[0].shape, len(inputs) > 1
        if several or self.arguments is not None:
            return {}
        shape = (batch * steps, *rest)
        if not winograd.pays(self.operation, shape, passes):
            return {}
        return {"kernel": winograd.transformed(self.operation.kernel.value)}

    def advance(
        self,
        inputs: Array,
        state: list | None,
        clock: Clock,
        training: bool = False,
        kernel: Array = None,
    ) -> tuple[Array, list | None]:
        return self.at_every_step(inputs, training, kernel), None

    def at_every_step(
        self, inputs: Array, training: bool = False, kernel: Array = None
    ) -> Array:
        """The operation's outputs `(batch, time, ...)`.

        Args:
            inputs: A tensor `(batch, time, ...)`, or a list of such tensors.
            training: Whether the operation is called in training.
            kernel: A convolution's kernel, transformed by `winograd.transformed`.
        """
        steps = ops.shape(tree.flatten(inputs)[0])[1]
        folded = tree.map_structure(fold, inputs)
        if kernel is None:
            outputs = self.applied(folded, training)
        else:
            outputs = winograd.convolve(self.operation, kernel, folded)
        return tree.map_structure(lambda y: unfold(y, steps), outputs)

    def applied(self, inputs: Array, training: bool = False) -> Array:
        """The operation's outputs, for inputs without a time axis."""
        args, kwargs = self.arguments_of(tree.flatten(inputs))
        if isinstance(self.operation, keras.layers.Layer):
            kwargs = {"training": training, **kwargs}
        return self.operation(*args, **kwargs)

    def arguments_of(self, tensors: list) -> tuple:
        """The `(args, kwargs)` of the operation's call on these inputs."""
        if self.arguments is None:
            return (tensors if len(tensors) > 1 else tensors[0],), {}
        filled = tree.map_structure(
            lambda x: tensors[int(x[7:])] if _is_slot(x) else x, self.arguments
        )
        return filled["args"], filled["kwargs"]

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        flat = tree.flatten(inputs)
        batch, steps = flat[0].shape[:2]
        folded = [keras.KerasTensor((None, *x.shape[2:]), x.dtype) for x in flat]
        args, kwargs = self.arguments_of(folded)
        outputs = self.operation.compute_output_spec(*args, **kwargs)
        return tree.map_structure(
            lambda y: keras.KerasTensor((batch, steps, *y.shape[1:]), y.dtype), outputs
        )

    def get_config(self) -> dict:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "operation": serialize(self.operation),
            "arguments": serialize(self.arguments),
        }

    @classmethod
    def from_config(cls, config: dict) -> "PerStep":
        deserialize = keras.saving.deserialize_keras_object
        given = {k: deserialize(config.pop(k)) for k in ("operation", "arguments")}
        return super().from_config({**config, **given})


class CodedPerStep(PerStep, Coded):
    """Applies an operation at every step, in a way that depends on the coding.

    Args:
        operation: See `PerStep`.
        arguments: See `PerStep`.
        coding: The network's `snn_keras.coding.Coding`.
    """

    def __init__(
        self,
        operation: keras.Operation,
        arguments: dict | None = None,
        *,
        coding: Coding,
        **kwargs,
    ) -> None:
        super().__init__(operation, arguments, coding=coding, **kwargs)

    def settings(self) -> dict:
        """The further arguments of its constructor, by name."""
        return {"name": self.name, "dtype": self.dtype_policy}

    def with_coding(self, coding: Coding) -> "CodedPerStep":
        given = (self.operation, self.arguments)
        return type(self)(*given, coding=coding, **self.settings())


@keras.saving.register_keras_serializable("snn_keras")
class AffinePerStep(CodedPerStep):
    r"""`PerStep` for an affine map; its constant part is presented as the input is.

    $$y_t = f(x_t) - (1 - g_t) f(0)$$

    with $g_t$ the coding's gain.

    Args:
        operation: See `PerStep`.
        arguments: See `PerStep`.
        coding: The network's `snn_keras.coding.Coding`.
    """

    def precomputed(self, inputs: list, passes: int) -> dict[str, Array]:
        if any(None in x.shape[2:] for x in inputs):
            return super().precomputed(inputs, passes)
        return {**super().precomputed(inputs, passes), "constant": self._of_0(inputs)}

    def _of_0(self, inputs, training=False):
        """$f(0)$, for inputs of these shapes."""
        zeros = [ops.zeros((1, *_sizes(x)[2:]), x.dtype) for x in inputs]
        return self.applied(zeros, training)

    def advance(
        self,
        inputs: Array,
        state: list | None,
        clock: Clock,
        training: bool = False,
        kernel: Array = None,
        constant: Array = None,
    ) -> tuple[Array, list | None]:
        outputs = self.at_every_step(inputs, training, kernel)
        if constant is None:
            constant = self._of_0(tree.flatten(inputs), training)

        def switched(y, c):
            return y - (1 - clock.gain(self.coding, y)) * ops.expand_dims(c, 1)

        return tree.map_structure(switched, outputs, constant), None


def fold(x: Array) -> Array:
    """[B, T, ...] -> [B * T, ...]"""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def unfold(y: Array, steps: Array) -> Array:
    """[B * T, ...] -> [B, T, ...]"""
    return ops.reshape(y, (-1, steps, *ops.shape(y)[1:]))


def _sizes(x):
    """The shape of a tensor or of a specification."""
    return ops.shape(x) if ops.is_tensor(x) else x.shape


def _is_slot(x):
    return isinstance(x, str) and x.startswith("tensor:")
