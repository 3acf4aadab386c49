"""The list, and the modules that it is made of."""

from . import (
    activations,
    elementwise,
    fields,
    layers,
    preprocessing,
    products,
    reductions,
    sequences,
    shapes,
)

SECTIONS = {
    module.__name__.split(".")[-1]: tuple(module.cases())
    for module in (
        *(layers, sequences, preprocessing, activations),
        *(elementwise, reductions, shapes, products, fields),
    )
}
CASES = tuple(case for section in SECTIONS.values() for case in section)
