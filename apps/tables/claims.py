"""What the papers claim, and what the figures of the rows say to it."""

import dataclasses
from collections.abc import Callable

import numpy as np

from apps.tables.rows import TABLES


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a paper.

    Attributes:
        text: The claim, and whose it is.
        rows: Keys of the rows that it is judged by.
        judge: Their figures -> `(whether it holds, what was found)`.
        figure: The figure that all of them must have to be judged.
    """

    text: str
    rows: tuple
    judge: Callable
    figure: str = "snn"


def answers(metrics):
    """Every claim's answers: `(claim, data set, whether it holds, what was found)`.

    Args:
        metrics: `{(data set, row.key): figures}`. Where rows are missing, a claim is
            not judged.
    """
    for claim in CLAIMS:
        for dataset, table in TABLES.items():
            found = [metrics.get((dataset, key), {}) for key in claim.rows]
            if all(claim.figure in figures for figures in found):
                holds, text = claim.judge(*found)
                yield claim, table.title, holds, text


def by_steps(figures):
    """`{T: accuracy in percent}`."""
    return dict(
        zip(figures["timesteps"], 100 * np.asarray(figures["snn"]), strict=True)
    )


def gains(figures, others):
    """What one row has more than another: `{T: points}`, at powers of two."""
    first, second = by_steps(figures), by_steps(others)
    powers = [t for t in first if t in second and t & (t - 1) == 0]
    return {t: round(first[t] - second[t], 2) for t in powers}


def _listed(gained):
    return ", ".join(f"T = {t}: {gain:+.2f}" for t, gain in gained.items())


def raises_everywhere(figures, others):
    gained = gains(figures, others)
    return min(gained.values()) > 0, _listed(gained)


def raises_plateau(figures, others, floats):
    last = max(gains(figures, others))
    reached, other = by_steps(figures)[last], by_steps(others)[last]
    goal = 100 * floats["ann"]
    text = f"T = {last}: {reached:.2f}, without {other:.2f}, float network {goal:.2f}"
    return reached > other, text


def helps_most_early(figures, others):
    gained = gains(figures, others)
    early = np.mean([gain for t, gain in gained.items() if t <= LEVELS_OF_NQ])
    late = np.mean([gain for t, gain in gained.items() if t > LEVELS_OF_NQ])
    return early > max(late, 0), _listed(gained)


def settles(figures):
    found = figures["settled"]
    same, count = found["same_answer"], found["samples"]
    text = (
        f"{same:,} of {count:,} answers are the source's; the last neuron fires at "
        f"step {found['steps_mean']:.1f} on average, {found['steps_max']} at most "
        f"(P = {found['input_steps']})"
    )
    within = found["input_steps"] + A_FEW
    return same == count and found["steps_max"] <= within, text


def cuts_spikes(figures, others):
    share = others["spikes_at_4"] / figures["spikes_at_4"]
    lost = 100 * (others["ann"] - figures["ann"])
    return share >= 2.5, f"{share:.2f} times fewer, for {lost:.2f} points of accuracy"


def gains_with_steps(figures):
    reached = by_steps(figures)
    at = {t: x for t, x in reached.items() if t & (t - 1) == 0}
    text = ", ".join(f"T = {t}: {x:.2f}" for t, x in at.items())
    return max(x for t, x in at.items() if t > 1) > at[1], text


LEVELS_OF_NQ = 4
A_FEW = 8  # steps

CLAIMS = (
    Claim(
        "The noise adaptor raises accuracy at every T (000).",
        ("adaptor_if", "plain_if"),
        raises_everywhere,
    ),
    Claim(
        "The noise adaptor raises the plateau at large T toward the float network "
        "(000).",
        ("adaptor_if", "plain_if", "float_if_mse"),
        raises_plateau,
    ),
    Claim(
        "NQ helps, and most at T <= L (001): with noise minus without, L = 4.",
        ("nq_if", "qcfs_if"),
        helps_most_early,
    ),
    *(
        Claim(
            f"Signed neurons settle to their source within P + a few steps (004; here "
            f"at most {A_FEW}).",
            (key,),
            settles,
            "settled",
        )
        for key in ("plain_signed", "adaptor_signed", "bits_signed")
    ),
    Claim(
        "Bit sparsity cuts spikes 2.5 to 4 times (002).",
        ("sparse_bit_serial", "bits_bit_serial"),
        cuts_spikes,
    ),
    *(
        Claim(
            "A network trained at T = 1 with noise gains with T, without further "
            f"training (003), stage {stage}.",
            (f"lif_lif_stage{stage}",),
            gains_with_steps,
        )
        for stage in (2, 3)
    ),
)
