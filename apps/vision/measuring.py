"""How good converted networks are by time steps, and what they cost."""

from keras import tree

import snn_keras
from snn_keras.analysis.comparing.counting import counts
from snn_keras.analysis.costing.published_hardware import hardware_of

ROWS = (  # of which network, with which neurons
    ("float", "differential"),
    ("float", "multi_threshold"),
    ("float", "if"),
    ("quantized", "bit_serial"),
    ("quantized", "differential"),
    ("quantized", "if"),
)
HARDWARE = "45 nm"
PART = 50  # scenes whose outputs over time are kept at once


def parts(scenes):
    """The scenes, a part after the other."""
    for start in range(0, len(scenes), PART):
        yield scenes.part(start, start + PART)


def score(task, model, scenes):
    """The measures of a network without spikes."""
    tally = task()
    for part in parts(scenes):
        tally.add(model.predict(part.images, verbose=0), part)
    return tally.score()


def measured(task, model, neuron, scenes, images, timesteps, counted):
    """The figures of a spiking network after some numbers of steps.

    With rate coding they are of one run, the longest; bit-serial networks have a run
    of their own for each.

    Args:
        task: A class of `tasks`.
        model: The source network.
        neuron: As for `snn_keras.convert`.
        scenes: The `Scenes` to measure on.
        images: Images of scenes that set thresholds.
        timesteps: Numbers of steps, in increasing order.
        counted: Of so many scenes spikes and energy are counted.

    Returns:
        For each number of steps `{"T": steps, "scores": measures, "spikes": spikes of a
        run, "ratio": energy over the quantized network's that costs least}`.
    """
    snn = snn_keras.convert(model, timesteps[-1], neuron, data=images)
    runs = [(snn, timesteps)]
    if not snn.coding.any_time:
        runs = [(snn.with_timesteps(t), [t]) for t in timesteps]
    found = []
    for run, steps in runs:
        costs = _costs(run, steps, scenes.images[:counted])
        for t, scores, cost in zip(
            steps, _scores(task, run, scenes, steps), costs, strict=True
        ):
            found.append({"T": t, "scores": scores, **cost})
    return found


def _scores(task, snn, scenes, timesteps):
    """The measures after each of some numbers of steps of one run."""
    if not snn.coding.any_time:
        return [score(task, snn, scenes)]
    tallies = [task() for _ in timesteps]
    for part in parts(scenes):
        over_time = snn.predict_over_time(part.images, verbose=0)
        for t, tally in zip(timesteps, tallies, strict=True):
            tally.add(tree.map_structure(lambda y, t=t: y[t - 1], over_time), part)
    return [tally.score() for tally in tallies]


def _costs(snn, timesteps, images):
    _, rows = counts(snn, timesteps, images, hardware_of(HARDWARE))
    return [
        {"spikes": row["spikes"], "ratio": row["energy"] / row["opponent"]}
        for row in rows
    ]
