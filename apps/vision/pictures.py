"""Draws scenes with the boxes and masks that networks say."""

import numpy as np

from .making import BACKGROUND, CLASSES

SURE = 0.5  # score from which a box is drawn


def draw(image, columns):
    """Draws one scene, with boxes above and masks below.

    Args:
        image: The scene `(SIZE, SIZE, 1)`.
        columns: `{title: (boxes, mask)}`: a `metrics.Found`, of which boxes with a
            score of at least `SURE` are drawn, and the class of every pixel.

    Returns:
        The matplotlib figure.
    """
    import matplotlib.pyplot as plt

    size = 1.9 * len(columns), 4.2
    fig, axes = plt.subplots(2, len(columns), figsize=size, layout="constrained")
    colors = plt.get_cmap("hsv")(np.arange(CLASSES) / CLASSES)
    for (title, (found, mask)), (above, below) in zip(
        columns.items(), axes.T, strict=True
    ):
        above.set_title(title, fontsize=10)
        above.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
        for box, score, label in zip(
            found.boxes, found.scores, found.classes, strict=True
        ):
            if score >= SURE:
                _box(above, box, f"{label}: {score:.0%}", colors[label])
        painted = np.where(mask[..., None] == BACKGROUND, 0.08, colors[mask % CLASSES])
        below.imshow(painted[..., :3])
        for ax in (above, below):
            ax.set_axis_off()
    return fig


def _box(ax, box, text, color):
    import matplotlib.pyplot as plt

    left, top, right, bottom = box - 0.5  # a pixel's centre is a whole number
    place, size = (left, top), (right - left, bottom - top)
    ax.add_patch(plt.Rectangle(place, *size, fill=False, color=color))
    ax.text(left, top - 1, text, color=color, fontsize=6)
