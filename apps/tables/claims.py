"""What the papers claim, and what the figures of the rows say to it."""

import dataclasses
from collections.abc import Callable

import numpy as np

from .rows import TABLES

LEVELS_OF_NQ = 4
# Source networks whose signed neurons are timed.
SETTLED = ("plain", "adaptor", "nq", "bits", "qcfs_scratch", "nq_scratch")
A_FEW = 8  # steps: our reading of Li et al. 2022's "a few"
FEWER_SPIKES = 2.5
MOST_LOST = 1.0  # points


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a paper.

    Attributes:
        paper: Whose it is, by the names of `papers.PAPERS`.
        text: The claim.
        rows: Keys of the rows that it is judged by.
        judge: Their figures -> `(answer, what was found)`; the answer is "yes", "no" or
            "undecided".
        figure: The figure that all of them must have to be judged.
    """

    paper: str
    text: str
    rows: tuple
    judge: Callable
    figure: str = "snn"


def answers(metrics):
    """Every claim's answers: `(claim, table's name, answer, what was found)`.

    Args:
        metrics: `{(table, row.key): figures}`. Where rows are missing, a claim is not
            judged.
    """
    for claim in CLAIMS:
        for name in TABLES:
            found = [metrics.get((name, key), {}) for key in claim.rows]
            if all(claim.figure in figures for figures in found):
                yield claim, name, *claim.judge(*found)


def by_steps(figures):
    """`{T: accuracy in percent}`."""
    return dict(
        zip(figures["timesteps"], 100 * np.asarray(figures["snn"]), strict=True)
    )


def common_steps(figures, others):
    """The T that two rows have; those where it is known which images are answered
    right, if it is of any.
    """
    known = (set(f.get("right") or f["timesteps"]) for f in (figures, others))
    return sorted(set.intersection(*known))


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A sum of accuracies and its standard error, in points."""

    points: float
    error: float

    @property
    def answer(self):
        """Whether it is above 0: "yes", "no", or "undecided" within two errors."""
        if abs(self.points) <= 2 * self.error:
            return "undecided"
        return "yes" if self.points > 0 else "no"

    def __str__(self):
        return f"{self.points:+.2f} ± {self.error:.2f}"


def sum_of(*terms):
    """A sum of accuracies, an `Estimate`.

    The square of its error has two parts: one from the choice of test images, and one
    from the seeds, left out where there is one, since then nothing is known of it.

    Args:
        *terms: `(weight, figures, T)`, each an accuracy of a row.
    """
    total = sum(weight * by_steps(figures)[t] for weight, figures, t in terms)
    if all(t in figures.get("right", ()) for _, figures, t in terms):
        variance = paired_variance(terms)
    else:
        variance = sum(map(share_variance, by_row(terms)))
    variance += sum(map(seed_variance, by_row(terms)))
    return Estimate(total, np.sqrt(variance))


def gain(figures, others, t):
    """What one row has more than another at T = t, an `Estimate`."""
    return sum_of((1, figures, t), (-1, others, t))


def by_row(terms):
    """The terms of each row: those of one row are of the same networks."""
    rows = {}
    for term in terms:
        rows.setdefault(id(term[1]), []).append(term)
    return list(rows.values())


def paired_variance(terms):
    """Of a sum of accuracies, in points squared, from what each image adds to it."""
    images = sum(100 * weight * figures["right"][t] for weight, figures, t in terms)
    return np.var(images) / len(images)


def share_variance(terms):
    """Of a row's part of a sum, in points squared: each accuracy a share of images.

    The errors of a row's terms are added, an upper bound: how they go together is not
    known.
    """
    error = 0.0
    for weight, figures, t in terms:
        share = by_steps(figures)[t] / 100
        error += abs(weight) * 100 * np.sqrt(share * (1 - share) / figures["samples"])
    return error**2


def seed_variance(terms):
    """Of a row's part of a sum, in points squared, from what lies between seeds."""
    figures = terms[0][1]
    if "runs" not in figures:
        return 0.0
    runs = 100 * np.asarray(figures["runs"])
    at = figures["timesteps"].index
    sums = sum(weight * runs[:, at(t)] for weight, _, t in terms)
    return np.var(sums, ddof=1) / len(runs)


def all_of(answers):
    """Several answers as one: "no" if one is, "yes" if all are, or "undecided"."""
    answers = set(answers)
    if "no" in answers:
        return "no"
    return "yes" if answers == {"yes"} else "undecided"


def raises_everywhere(figures, others):
    """By the gain at each T that both have."""
    gained = {t: gain(figures, others, t) for t in common_steps(figures, others)}
    return all_of(found.answer for found in gained.values()), _listed(gained)


def raises_plateau(figures, others, floats):
    """By the largest T: what is higher is nearer to the float network, or past it."""
    last = max(common_steps(figures, others))
    reached, other = by_steps(figures)[last], by_steps(others)[last]
    gained = gain(figures, others, last)
    text = (
        f"T = {last}: {reached:.2f}, without {other:.2f} ({gained}), float network "
        f"{100 * floats['ann']:.2f}"
    )
    return gained.answer, text


def helps_most_early(figures, others):
    """By the mean gain at T <= L: above 0, and above the mean gain beyond."""
    gained = {t: gain(figures, others, t) for t in common_steps(figures, others)}
    early = [t for t in gained if t <= LEVELS_OF_NQ]
    late = [t for t in gained if t > LEVELS_OF_NQ]

    def mean(steps, sign=1):
        share = sign / len(steps)
        pairs = (((share, figures, t), (-share, others, t)) for t in steps)
        return [term for pair in pairs for term in pair]

    helps, most = sum_of(*mean(early)), sum_of(*mean(early), *mean(late, -1))
    text = (
        f"mean at T <= {LEVELS_OF_NQ}: {helps}, beyond: {sum_of(*mean(late))}; "
        f"{_listed(gained)}"
    )
    return all_of([helps.answer, most.answer]), text


def settles(figures):
    """By the answers of all images, and by the last spike of all.

    Where float32 rounds some to other answers, float64 decides on those that differ.
    """
    found = [figures["settled"]]
    text = (
        f"{_settled(found[0])}; the last neuron fires at step "
        f"{found[0]['steps_mean']:.1f} on average, {found[0]['steps_max']} at most "
        f"(P = {found[0]['input_steps']})"
    )
    if "settled_in_float64" in figures:
        found.append(figures["settled_in_float64"])
        text += f"; those that differ, in float64: {_settled(found[1])}"
    within = all(f["steps_max"] <= f["input_steps"] + A_FEW for f in found)
    same = found[-1]["same_answer"] == found[-1]["samples"]
    return "yes" if same and within else "no", text


def _settled(found):
    return (
        f"{found['same_answer']:,} of {found['samples']:,} answers are the source's, "
        f"outputs differ by more than 1e-4 on {found['off_by_more_than_1e-4']:,}"
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
    gained = sum_of((1, figures, last), (-1, figures, 1))
    accuracies = {t: f"{accuracy:.2f}" for t, accuracy in reached.items()}
    return gained.answer, f"{_listed(accuracies)}; from T = 1 to {last}: {gained}"


def _listed(found):
    """At powers of two."""
    return ", ".join(f"T = {t}: {x}" for t, x in found.items() if t & (t - 1) == 0)


CLAIMS = (
    Claim(
        "li2023",
        "The noise adaptor raises accuracy at every T.",
        ("adaptor_if", "plain_if"),
        raises_everywhere,
    ),
    Claim(
        "li2023",
        "The noise adaptor raises accuracy at every T, re-estimated.",
        ("adaptor_reestimated_if", "plain_if"),
        raises_everywhere,
    ),
    Claim(
        "li2023",
        "The noise adaptor raises the plateau at large T toward the float network, or "
        "past it.",
        ("adaptor_if", "plain_if", "float_if_mse"),
        raises_plateau,
    ),
    *(
        Claim(
            "li2023",
            f"The noise adaptor raises accuracy at every T, p = {p}.",
            (f"adaptor{p}_if", f"plain{p}_if"),
            raises_everywhere,
        )
        for p in (1, 2, 7)
    ),
    Claim(
        "li2023",
        "The noise adaptor raises the plateau at large T toward the float network, or "
        "past it, p = 2.",
        ("adaptor2_if", "plain2_if", "float_if_mse"),
        raises_plateau,
    ),
    *(
        Claim(
            "huang2024",
            f"NQ helps, and most at T <= L: with noise minus without, L = 4{how}.",
            (f"nq{source}_if", f"qcfs{source}_if"),
            helps_most_early,
        )
        for how, source in (("", ""), (", from scratch", "_scratch"))
    ),
    *(
        Claim(
            "li2022",
            "Signed neurons settle to their source within P + a few steps, "
            f"{source}; we take 'a few' as {A_FEW}.",
            (f"{source}_signed",),
            settles,
            "settled",
        )
        for source in SETTLED
    ),
    *(
        Claim(
            "datta2024",
            "Bit sparsity cuts spikes 2.5 to 4 times, for at most "
            f"{MOST_LOST:g} point{strength}.",
            (f"{source}_bit_serial", "bits_bit_serial"),
            cuts_spikes,
        )
        for strength, source in (
            ("", "sparse"),
            (", strength 1e-6", "sparse_1e-6"),
            (", strength 2e-6", "sparse_2e-6"),
        )
    ),
    *(
        Claim(
            "jiang2023",
            "A network trained at T = 1 with noise gains with T, without further "
            f"training, stage {stage}.",
            (f"lif_noisy_lif_stage{stage}",),
            gains_with_steps,
        )
        for stage in (2, 3)
    ),
)
