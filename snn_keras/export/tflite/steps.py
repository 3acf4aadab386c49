"""Adds an integer network to a file, step by step."""

from typing import Any

from snn_keras.export import integer
from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.lowering import Lowering, lower
from snn_keras.export.tflite.plan import Plan
from snn_keras.export.tflite.totals import TOTAL, add_merged, add_total, held_input


class Steps(Lowering):
    """A file to which the steps of a network are added.

    Args:
        network: An `integer.IntegerNetwork`.
        batch_size: Number of samples per call of the file.
        arithmetic: One of `arithmetic.ARITHMETICS`.
        plan: The `Plan` of the file.
    """

    def __init__(
        self, network: IntegerNetwork, batch_size: int, arithmetic: Any, plan: Plan
    ) -> None:
        super().__init__(network, batch_size, arithmetic, plan)
        self._static = network.static()
        for spec in network.inputs:
            shape = (batch_size, *spec.shape)
            meaning = Quantization(spec.scale, spec.zero_point)
            number = self.file.tensor(spec.name, shape, spec.dtype, meaning)
            self.inputs[spec.name] = number
            if spec.name in plan.values:
                self.tensors[spec.name] = self._value(spec, number)
            if spec.name in plan.totals:
                self.totals[spec.name] = [held_input(self, spec)]

    def _value(self, spec, number):
        """An input minus its zero point."""
        whole = self.cast(number, self.dtype)
        if not spec.zero_point:
            return whole
        return self.binary("SUB", whole, self.constant(spec.zero_point), spec.shape)

    def add_step(self) -> None:
        """Adds the operators of one time step; static ones only at the first step."""
        for operation in self.network.operations:
            name = operation.name
            if self.step and name in self._static:
                continue
            if name in self.plan.merged:
                if name in self.plan.values | self.plan.totals:
                    add_merged(self, self.plan.merged[name])
                continue
            if name in self.plan.values:
                reads = [self.tensors[x] for x in operation.inputs]
                self.tensors[name] = lower(operation, self, *reads)
            if name in self.plan.totals:
                self.totals[name] = add_total(self, operation)
        self.step += 1

    def state_specs(self) -> dict[str, list[tuple[str, tuple[int, ...], str]]]:
        """`{operation: [(name, shape, dtype)]}` of all states."""
        specs: dict = {}
        for operation in self.network.operations:
            name, states = operation.name, operation.initial_state()
            if name in self.plan.merged:
                if isinstance(operation, integer.FireChanges):
                    specs[name] = [("sent", operation.shape, self.dtype)]
                elif states:
                    specs[name] = [("count", operation.shape, "int8")]
                continue
            if name in self.plan.values:
                names = operation.state_names
                specs[name] = [
                    (each, zeros.shape, self.dtype)
                    for each, zeros in zip(names, states, strict=True)
                ]
            if (
                states
                and name in self.plan.totals
                and isinstance(operation, integer.Fire)
            ):
                specs[name + TOTAL] = [("count", operation.shape, self.dtype)]
        return specs

    def rest(self) -> None:
        """Sets all states to 0, as at rest."""
        for name, specs in self.state_specs().items():
            self.states[name] = [None] * len(specs)

    def stream(self) -> None:
        """Makes all states inputs of the file."""
        self.streaming = True
        for name, specs in self.state_specs().items():
            self.states[name] = [
                self.tensor(shape, dtype, f"{name}/{each}", self.meaning(dtype))
                for each, shape, dtype in specs
            ]

    def current(self) -> dict[str, int]:
        """The tensors of all states, by name."""
        return {
            f"{name}/{each}": number
            for name, specs in self.state_specs().items()
            for (each, *_), number in zip(specs, self.states[name], strict=True)
        }
