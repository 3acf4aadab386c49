"""Published spike rates at which a spiking network costs what its opponent does.

Each study's assumptions are written as work of one synapse and priced by the package's
own code; what a study says is compared with what comes out.
"""

import dataclasses
import math

from snn_keras.analysis import HARDWARE, Hardware, MemoryLevel
from snn_keras.analysis.costing.opponents import bits_of
from snn_keras.analysis.costing.pricing import crossing, priced
from snn_keras.analysis.costing.work import Words, Work

YAN = "Yan et al. 2024"
DAVIDSON = "Davidson and Furber 2021"

# Yan et al. 2024, "typical neuromorphic" hardware at 22 nm, from their abstract and a
# public summary of the paper: an addition, a comparison and a subtraction take 0.05448
# pJ; a bit takes 3.0 pJ a hop as an event and 0.25 pJ in a dense stream. The energy of
# a bit of a weight is not in the summary. It is fitted to one of their points
# (`FITTED`); all others follow from it. A product of b bits is taken as b additions.
ADDITION = 0.05448
EVENT_BIT, DENSE_BIT = 3.0, 0.25


@dataclasses.dataclass(frozen=True)
class Point:
    """A published crossing, and what was changed against the study's nominal prices.

    Attributes:
        study: The study.
        value: The spike rate per step; of Davidson and Furber, spikes per inference.
        timesteps: Number of steps T.
        weight_bits: Bits of a weight.
        event, dense, weight: Factors of the prices of moving and of weights.
    """

    study: str
    value: float
    timesteps: int = 1
    weight_bits: int = 8
    event: float = 1.0
    dense: float = 1.0
    weight: float = 1.0


FITTED = Point(YAN, 0.104, 2, 4)
POINTS = (
    Point(YAN, 0.057, 5, 4),
    Point(YAN, 0.123, 2, 8),
    Point(YAN, 0.082, 3, 8),
    Point(YAN, 0.1080, 5, 4, event=0.5),
    Point(YAN, 0.0341, 5, 4, dense=0.5),
    Point(YAN, 0.0608, 5, 4, weight=1.5),
    Point(YAN, 0.0539, 5, 4, weight=0.5),
    Point(DAVIDSON, 12 / 7),
)


def of_yan(point, weight_bit):
    """The spike rate of one of Yan et al.'s points, if a weight's bit costs so much."""

    def apart(price):
        return (MemoryLevel("network on chip", math.inf, 8 * price),)

    bits = bits_of(point.timesteps)
    hardware = Hardware(
        name="22 nm, network on chip",
        source="Yan et al. 2024",
        operations={
            **{kind: {16: ADDITION} for kind in ("add", "shift", "compare")},
            "multiply": {16: bits * ADDITION},
        },
        floats=HARDWARE["45 nm"].floats,
        memory=apart(weight_bit * point.weight),
        apart={
            "spikes": apart(EVENT_BIT * point.event),
            "activations": apart(DENSE_BIT * point.dense),
        },
    )

    def energy(operations, **words):
        found = {name: Words(n, 0.0, width, 1) for name, (n, width) in words.items()}
        return priced(Work(operations, found), hardware).energy

    steps, weight = point.timesteps, point.weight_bits
    # If every neuron fires at every step: an event of one bit, a weight, an addition.
    spiking = energy({("add", 16): steps}, spikes=(steps, 1), weights=(steps, weight))
    dense = energy({}, activations=(1, bits), weights=(1, weight))
    # Multiplied is what is not 0: between a share of rate and of T rate, in the middle.
    share = 2 * steps / (1 + steps)
    multiplied = energy({("multiply", 16, 16): share, ("add", 16): share})
    return crossing(0.0, spiking - multiplied, dense, 1.0)


def of_davidson():
    """The spikes per inference of Davidson and Furber, from their four prices.

    A spike reads 32 bits, adds and writes them back; without spikes the product of 32
    and 8 bits is added instead.
    """
    hardware = HARDWARE["22 nm"]
    word = {"potentials": Words(1, 1, 32, 1)}
    spiking = priced(Work({("add", 32): 1}, word), hardware).energy
    product = {("multiply", 32, 8): 1, ("add", 32): 1}
    return crossing(0.0, spiking, priced(Work(product, word), hardware).energy, 1.0)


def fitted_weight_bit():
    """Picojoules of a bit of a weight with which `FITTED` comes out, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below = of_yan(FITTED, middle) < FITTED.value
        low, high = (middle, high) if below else (low, middle)
    return low


def reproduced(point):
    """What comes out for a point."""
    if point.study == DAVIDSON:
        return of_davidson()
    return of_yan(point, fitted_weight_bit())


def rows():
    """The rows of a table: study, assumptions, published, here, difference."""
    for point in POINTS:
        here = reproduced(point)
        fields = dataclasses.asdict(point)
        factors = [f"{k} x {fields[k]:g}" for k in ("event", "dense", "weight")]
        changed = [x for x in factors if not x.endswith("x 1")]
        about = [f"T = {point.timesteps}", f"{point.weight_bits} bits", *changed]
        if point.study == DAVIDSON:
            about = ["spikes per inference"]
        form = "{:.2f}" if point.study == DAVIDSON else "{:.2%}"
        off = f"{here / point.value - 1:+.1%}"
        shown = (form.format(point.value), form.format(here))
        yield (point.study, ", ".join(about), *shown, off)
