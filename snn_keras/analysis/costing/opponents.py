"""The opponents: the work of the same network without spikes."""

import math
from collections.abc import Mapping
from typing import Any

from snn_keras.analysis.costing.work import Words, Work
from snn_keras.coding import Coding
from snn_keras.neurons import SpikingCell

FLOAT, QUANTIZED, SKIPPING = "float", "quantized", "zeros skipped"
OPPONENTS = (FLOAT, QUANTIZED, SKIPPING)
FAIR = (QUANTIZED, SKIPPING)
FLOAT_BITS = 32


def levels_of(cell: SpikingCell, coding: Coding) -> int:
    """The positive levels of the activations that neurons stand for.

    Raises:
        ValueError: if a run tells no fixed number of levels apart.
    """
    try:
        return int(cell.levels(coding))
    except ValueError as error:
        raise ValueError(
            f"energy: how many levels do the activations have that the neurons "
            f"'{cell.name}' ({type(cell).__name__}) stand for? A run until it settles "
            "does not say. Remedy: energy(..., levels=...)."
        ) from error


def bits_of(levels: int) -> int:
    """Bits of an activation with so many levels above 0: ceil(log2(levels + 1))."""
    return max(1, math.ceil(math.log2(levels + 1)))


def multiplying(found: Mapping[str, Any], passes: Any) -> dict[str, Work]:
    """The work of a layer with weights in each opponent.

    A multiplication reads its weight and its activation. Where zeros are skipped, the
    activation is read, and its weight only if the activation is not 0. An input that is
    a sum of activations, by a pool or a shortcut, was added up and written before; it
    has the bits of the sum.

    Args:
        found: What `OperationCounter.of_runs` returned for the layer.
        passes: Number of passes of the source network.
    """
    dense = passes * found["source"]
    single = bits_of(found["levels"]) if found["levels"] else "input"
    width = bits_of(found["sum_levels"]) if found["levels"] else "input"
    summed, sums = passes * found["summed"], passes * found["sums"]
    is_used = found["source"] > 0  # of a layer whose results nothing needs, nothing is

    def work(macs, widths, weight, activation, addend):
        held, inputs = found["weights"], found["inputs"]
        words = {
            "weights": Words(macs, 0.0, weight, held, passes * held * is_used),
            "activations": Words(
                dense, sums, activation, inputs, passes * inputs * is_used
            ),
            "summed": Words(summed, 0.0, addend, found["summed"]),
        }
        adds = macs + summed - sums
        return Work({("multiply", *widths[0]): macs, ("add", *widths[1]): adds}, words)

    whole = ((width, "weight"), ("sum",))
    return {
        FLOAT: work(dense, ((), ()), FLOAT_BITS, FLOAT_BITS, FLOAT_BITS),
        QUANTIZED: work(dense, whole, "weight", width, single),
        SKIPPING: work(found["nonzero"], whole, "weight", width, single),
    }


def activating(found: Mapping[str, Any], passes: Any) -> dict[str, Work]:
    """The work of a layer of activations in each opponent.

    An activation reads its bias, is compared, and is written. A quantized one is also
    multiplied and shifted, from the scale of the sums to its own. Activations that come
    by a shortcut, past all weights, are read and added.

    Args:
        found: As for `multiplying`, of a layer of neurons.
        passes: As for `multiplying`.
    """
    count, shortcuts = (passes * float(found[key]) for key in ("neurons", "places"))

    def words(bits, wide):
        return {
            "constants": Words(count, 0.0, wide, found["channels"]),
            "activations": Words(0.0, count, bits, found["neurons"]),
            "summed": Words(shortcuts, 0.0, bits, found["places"]),
        }

    scaled = Work(
        {
            ("multiply", "sum", "sum"): count,
            ("shift", "sum"): count,
            ("compare", "sum"): count,
            ("add", "sum"): shortcuts,
        },
        words(bits_of(found["levels"]), "sum"),
    )
    operations = {("compare",): count, ("add",): shortcuts}
    plain = Work(operations, words(FLOAT_BITS, FLOAT_BITS))
    return {FLOAT: plain, QUANTIZED: scaled, SKIPPING: scaled}
