"""The neurons and the activations from which every suite draws.

A neuron that is added to `snn_keras.neurons.by_name` is tested wherever its contract
says that a law holds of it: give it a form in `tests.reference`.
"""

import pytest

from snn_keras.coding import Rate, Switched
from snn_keras.export.rounding import integer_form
from snn_keras.layers import QCFS, LSQReLU
from snn_keras.neurons import by_name

# Neurons that have a form of integers, in whichever coding.
EXPORTED = tuple(name for name, kind in by_name.items() if integer_form.has(kind))
# Of those, what is counted over time: their answer may be read after every step.
COUNTING = tuple(
    name for name in EXPORTED if {Rate, Switched} & set(by_name[name]().codings)
)
# Activations of equal steps, whose levels their neurons reach.
STAIRCASES = (LSQReLU, QCFS)


def in_turn(kinds, others):
    """All pairs; the quick run has each kind with one of the others, in turn."""
    return [
        pytest.param(
            kind, other, marks=() if i % len(others) == j else pytest.mark.slow
        )
        for i, kind in enumerate(kinds)
        for j, other in enumerate(others)
    ]
