"""What the papers claim, and what the figures of the rows say to it."""

import dataclasses
from collections.abc import Callable

import numpy as np

from apps.tables.rows import TABLES

LEVELS_OF_NQ = 4
A_FEW = 8  # steps: our reading of paper 004's "a few"
FEWER_SPIKES = 2.5
MOST_LOST = 1.0  # points


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a paper.

    Attributes:
        text: The claim, and whose it is.
        rows: Keys of the rows that it is judged by.
        judge: Their figures -> `(answer, what was found)`; the answer is "yes", "no" or
            "undecided".
        figure: The figure that all of them must have to be judged.
    """

    text: str
    rows: tuple
    judge: Callable
    figure: str = "snn"


def answers(metrics):
    """Every claim's answers: `(claim, table, answer, what was found)`.

    Args:
        metrics: `{(table, row.key): figures}`. Where rows are missing, a claim is not
            judged.
    """
    for claim in CLAIMS:
        for name, table in TABLES.items():
            found = [metrics.get((name, key), {}) for key in claim.rows]
            if all(claim.figure in figures for figures in found):
                yield claim, table.title, *claim.judge(*found)


def by_steps(figures):
    """`{T: accuracy in percent}`."""
    return dict(
        zip(figures["timesteps"], 100 * np.asarray(figures["snn"]), strict=True)
    )


def gains(figures, others):
    """What one row has more than another: `{T: points}`."""
    first, second = by_steps(figures), by_steps(others)
    return {t: first[t] - second[t] for t in first if t in second}


def sign_of(*pairs):
    """Whether accuracies differ by more than 0 on average: "yes" or "no".

    "undecided" where the difference is within two standard errors. Their square has two
    parts: one by the number of images, more seeds do not make it less, for they see the
    same images; and one by the seeds, left out where there is one, since nothing is
    known of it then.

    Args:
        *pairs: `((figures, T), (figures, T))`, what is compared with what.
    """
    differences = [by_steps(f)[t] - by_steps(g)[u] for (f, t), (g, u) in pairs]
    difference = np.mean(differences)
    accuracies = [accuracy for pair in pairs for accuracy in pair]
    if all(t in figures.get("right", {}) for figures, t in accuracies):
        images = of_answers(pairs)
    else:
        images = 2 * np.mean([of_images(*accuracy) for accuracy in accuracies])
    seeds = 2 * np.mean([of_seeds(*accuracy) for accuracy in accuracies])
    if abs(difference) <= 2 * np.sqrt(images + seeds):
        return "undecided"
    return "yes" if difference > 0 else "no"


def of_answers(pairs):
    """Variance of a mean difference in points squared, from each image's answers."""
    answers = [f["right"][t] - g["right"][u] for (f, t), (g, u) in pairs]
    differences = 100 * np.mean(answers, axis=0)
    return np.var(differences) / len(differences)


def of_images(figures, t):
    """Variance of an accuracy in points squared, as that of a share of images.

    Of a difference the sum of both is an upper bound: both networks see the same
    images. Of a mean over T it is one as well.
    """
    share = by_steps(figures)[t] / 100
    return 1e4 * share * (1 - share) / figures["samples"]


def of_seeds(figures, t):
    """Variance of a mean accuracy in points squared, from what lies between seeds."""
    if "spread" not in figures:
        return 0.0
    at = figures["timesteps"].index(t)
    return 1e4 * figures["spread"][at] ** 2 / figures["seeds"]


def raises_everywhere(figures, others):
    """By the T at which least is gained."""
    gained = gains(figures, others)
    worst = min(gained, key=gained.get)
    text = f"least at T = {worst}: {gained[worst]:+.2f}; {_listed(gained, '+.2f')}"
    return sign_of(((figures, worst), (others, worst))), text


def raises_plateau(figures, others, floats):
    """By the largest T: what is higher is nearer to the float network, or past it."""
    last = max(gains(figures, others))
    reached, other = by_steps(figures)[last], by_steps(others)[last]
    goal = 100 * floats["ann"]
    text = f"T = {last}: {reached:.2f}, without {other:.2f}, float network {goal:.2f}"
    return sign_of(((figures, last), (others, last))), text


def helps_most_early(figures, others):
    """By the mean gain at T <= L: above 0, and above the mean gain beyond."""
    gained = gains(figures, others)
    early = [t for t in gained if t <= LEVELS_OF_NQ]
    late = [t for t in gained if t > LEVELS_OF_NQ]
    most = np.mean([gained[t] for t in early]) > np.mean([gained[t] for t in late])
    helps = sign_of(*(((figures, t), (others, t)) for t in early))
    return helps if most else "no", _listed(gained, "+.2f")


def settles(figures):
    """By the answers of all images, and by the last spike of all.

    In float64, where float32 rounds some answers to others.
    """
    found = figures["settled"]
    text = _settled(found)
    if "settled_in_float64" in figures:
        found = figures["settled_in_float64"]
        text = f"in float64 {_settled(found)}; in float32 {text}"
    within = found["steps_max"] <= found["input_steps"] + A_FEW
    same = found["same_answer"] == found["samples"]
    return "yes" if same and within else "no", text


def _settled(found):
    return (
        f"{found['same_answer']:,} of {found['samples']:,} answers are the source's, "
        f"outputs differ by more than 1e-4 on {found['off_by_more_than_1e-4']:,}; the "
        f"last neuron fires at step {found['steps_mean']:.1f} on average, "
        f"{found['steps_max']} at most (P = {found['input_steps']})"
    )


def cuts_spikes(figures, others):
    """By spikes at T = 4, where accuracy does not pay for it."""
    spikes, before = figures["spikes_at_4"], others["spikes_at_4"]
    gained = 100 * (figures["ann"] - others["ann"])
    text = f"{before:,.0f} -> {spikes:,.0f} spikes, accuracy {gained:+.2f} points"
    if spikes:
        text = f"{before / spikes:.2f} times fewer: {text}"
    fewer = before >= FEWER_SPIKES * spikes
    return "yes" if fewer and gained >= -MOST_LOST else "no", text


def gains_with_steps(figures):
    """By the largest T against T = 1."""
    reached = by_steps(figures)
    last = max(reached)
    return sign_of(((figures, last), (figures, 1))), _listed(reached)


def _listed(points, form=".2f"):
    """At powers of two."""
    shown = {t: x for t, x in points.items() if t & (t - 1) == 0}
    return ", ".join(f"T = {t}: {x:{form}}" for t, x in shown.items())


CLAIMS = (
    Claim(
        "The noise adaptor raises accuracy at every T (000).",
        ("adaptor_if", "plain_if"),
        raises_everywhere,
    ),
    Claim(
        "The noise adaptor raises the plateau at large T toward the float network, or "
        "past it (000).",
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
            f"Signed neurons settle to their source within P + a few steps (004), "
            f"{source}; we take 'a few' as {A_FEW}.",
            (f"{source}_signed",),
            settles,
            "settled",
        )
        for source in ("plain", "adaptor", "bits")
    ),
    Claim(
        "Bit sparsity cuts spikes 2.5 to 4 times (002), for at most "
        f"{MOST_LOST:g} point.",
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
