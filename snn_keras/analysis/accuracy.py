"""Accuracy at every time step, as numbers and as a plot."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import tree

from snn_keras.analysis.plots import whole_steps
from snn_keras.inputs import check_data
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def accuracy_over_time(
    outputs: np.ndarray, labels: Sequence[int] | np.ndarray
) -> np.ndarray:
    """The share of right answers after each step.

    Args:
        outputs: `(timesteps, samples, classes)`, the result of
            `SpikingModel.predict_over_time`.
        labels: `(samples,)`, the right classes.

    Returns:
        NumPy array `(timesteps,)`, in [0, 1].
    """
    return np.mean(np.argmax(outputs, axis=-1) == np.asarray(labels), axis=-1)


def accuracy_by_timesteps(
    snn: SpikingModel,
    x: Inputs,
    labels: Sequence[int] | np.ndarray,
    batch_size: int | None = None,
    verbose: int | str = "auto",
    timesteps: Sequence[int] | None = None,
) -> np.ndarray:
    """The share of right answers of runs of 1, 2, ... T steps.

    With rate coding, one run gives all of them; bit-serial networks run once for
    every number of steps.

    Args:
        snn: A `SpikingModel` of T steps.
        x: As for `predict`.
        batch_size: As for `predict`.
        verbose: As for `predict`.
        labels: `(samples,)`, the right classes.
        timesteps: The numbers of steps, from 1 to T; by default all of them.

    Returns:
        NumPy array in [0, 1], with an entry for each of `timesteps`.
    """
    answers = answers_by_timesteps(snn, x, batch_size, verbose, timesteps)
    return np.mean(answers == np.asarray(labels), axis=-1)


def answers_by_timesteps(
    snn: SpikingModel,
    x: Inputs,
    batch_size: int | None = None,
    verbose: int | str = "auto",
    timesteps: Sequence[int] | None = None,
) -> np.ndarray:
    """Each sample's class in runs of 1, 2, ... T steps.

    Args:
        snn, x, batch_size, verbose, timesteps: As for `accuracy_by_timesteps`.

    Returns:
        NumPy array `(timesteps, samples)` of the classes with the largest output.

    Raises:
        ValueError: if the network has several outputs.
    """
    if len(snn.outputs) > 1:
        raise ValueError(
            "an answer is the largest entry of one output. Received a network with "
            f"{len(snn.outputs)} outputs, {snn.output_names}. Remedy: "
            "analysis.outputs_by_timesteps, and accuracy_over_time of one of them."
        )
    outputs = outputs_by_timesteps(snn, x, batch_size, verbose, timesteps)
    return tree.flatten(outputs)[0].argmax(-1)


def outputs_by_timesteps(
    snn: SpikingModel,
    x: Inputs,
    batch_size: int | None = None,
    verbose: int | str = "auto",
    timesteps: Sequence[int] | None = None,
) -> Any:
    """The decoded outputs of runs of 1, 2, ... T steps.

    With rate coding these are the outputs over time of one run; bit-serial networks
    run once for every number of steps.

    Args:
        snn, x, batch_size, verbose, timesteps: As for `accuracy_by_timesteps`.

    Returns:
        NumPy array(s) `(timesteps, samples, ...)`, in the structure of the model's
        outputs.
    """
    steps = steps_of(snn, timesteps)
    if snn.coding.any_time:
        outputs = snn.predict_over_time(x, batch_size, verbose)
        return tree.map_structure(lambda y: y[np.subtract(steps, 1)], outputs)
    x = check_data(x, snn.program.graph)  # read only once, for several runs
    runs = [snn.with_timesteps(t).predict(x, batch_size, verbose) for t in steps]
    return tree.map_structure(lambda *y: np.stack(y), *runs)


def steps_of(snn: SpikingModel, timesteps: Sequence[int] | None = None) -> list:
    """`timesteps`, or 1, ... T; raises a ValueError if a run has no such steps."""
    if snn.coding.settles:
        raise ValueError(
            "a network that runs until it settles has no fixed number of steps. "
            "Remedy: snn.with_timesteps(T)."
        )
    steps = list(range(1, snn.timesteps + 1) if timesteps is None else timesteps)
    if not steps or not all(1 <= t <= snn.timesteps for t in steps):
        raise ValueError(
            f"timesteps must lie between 1 and the run's {snn.timesteps}. "
            f"Received: {steps}"
        )
    return steps


def plot_accuracy_over_time(
    accuracies: Mapping[str, np.ndarray],
    ann_accuracy: Mapping[str, float] | None = None,
    ax: "Axes | None" = None,
    timesteps: Mapping[str, Sequence[int]] | None = None,
) -> "Axes":
    """Draws accuracy against time steps, one line per network.

    Args:
        accuracies: `{label: (timesteps,) array in [0, 1]}`.
        ann_accuracy: `{label: accuracy}` of the source networks, drawn as
            horizontal lines in the colour of their network, or None.
        ax: Matplotlib axes to draw on; new ones by default.
        timesteps: `{label: the numbers of steps}` if they are not 1, 2, ... T.

    Returns:
        The axes.
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    markers = "osD^v"
    for i, (label, accuracy) in enumerate(accuracies.items()):
        steps = (timesteps or {}).get(label, np.arange(1, len(accuracy) + 1))
        (line,) = ax.plot(
            steps,
            100 * np.asarray(accuracy),
            marker=markers[i % len(markers)],
            label=f"{label}: spiking, T = {steps[-1]}: {accuracy[-1]:.2%}",
        )
        if ann_accuracy and label in ann_accuracy:
            ax.axhline(
                100 * ann_accuracy[label],
                color=line.get_color(),
                linestyle="--",
                label=f"{label}: source network: {ann_accuracy[label]:.2%}",
            )
    ax.set(xlabel="time steps T", ylabel="test accuracy (%)")
    whole_steps(ax)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return ax
