"""`Weighted`: operations that read weights of the layer that they stand in."""

from typing import Any

import keras
from keras import tree

from snn_keras._keras import copy_of
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class Weighted(keras.layers.Layer):
    """Applies operations to signals and to weights of its own.

    A layer that is laid open may compute with its weights directly, as in
    `x + self.position`. A `Weighted` is such a part of it.

    Attributes:
        kept: The weights, in the order of `specs`.

    Args:
        steps: What is computed, one after the other: dicts with an `"operation"`, and
            its `"args"` and `"kwargs"`, in which `"tensor:0"` stands for the first
            signal, `"weight:0"` for the first weight and `"step:0"` for the result of
            the first step. The last step's result is the output.
        specs: One dict for each weight: its `"shape"` and `"dtype"`, the dtype that it
            is `"read_as"`, and whether it is `"trainable"`.
        batch: The number that stands for the batch size in the operations' settings.

    Input shape: that of a signal, or a list of such. Output shape: that of the last
    step's result.
    """

    def __init__(self, steps: list, specs: list, batch: int, **kwargs) -> None:
        super().__init__(autocast=False, **kwargs)
        self.steps, self.specs, self.batch = steps, specs, batch
        self.kept = [
            self.add_weight(
                shape=tuple(spec["shape"]),
                initializer="zeros",
                dtype=spec["dtype"],
                trainable=spec["trainable"],
                autocast=False,
                name=f"weight_{i}",
            )
            for i, spec in enumerate(specs)
        ]
        self.built = True

    def call(self, inputs: Any) -> Array:
        signals = tree.flatten(inputs)
        found = {f"tensor:{i}": x for i, x in enumerate(signals)}
        for i, (weight, spec) in enumerate(zip(self.kept, self.specs, strict=True)):
            found[f"weight:{i}"] = keras.ops.cast(weight, spec["read_as"])
        size, result = keras.ops.shape(signals[0])[0], None
        for i, step in enumerate(self.steps):
            args, kwargs = tree.map_structure(
                lambda x: found.get(x, x) if isinstance(x, str) else x,
                (step["args"], step["kwargs"]),
            )
            operation = with_batch(step["operation"], self.batch, size)
            result = operation.call(*args, **kwargs)
            found[f"step:{i}"] = result
        return result

    def get_config(self) -> dict:
        steps = keras.saving.serialize_keras_object(self.steps)
        own = {"steps": steps, "specs": self.specs, "batch": self.batch}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict) -> "Weighted":
        steps = keras.saving.deserialize_keras_object(config.pop("steps"))
        return cls(steps, **config)


def with_batch(operation: keras.Operation, batch: int, size: Any) -> keras.Operation:
    """The operation with `size` wherever its settings hold the number `batch`."""
    changes = {
        name: tree.map_structure(lambda x: size if is_batch(x, batch) else x, value)
        for name, value in vars(operation).items()
        if holds_batch(value, batch)
    }
    if not changes:
        return operation
    made = copy_of(operation)
    vars(made).update(changes)
    return made


def holds_batch(value: Any, batch: int) -> bool:
    """Whether a setting is, or holds, the number that stands for the batch size."""
    plain = isinstance(value, (int, tuple, list))
    return plain and any(is_batch(x, batch) for x in tree.flatten(value))


def is_batch(x: Any, batch: int) -> bool:
    """Whether it is the number that stands for the batch size."""
    return isinstance(x, int) and x == batch
