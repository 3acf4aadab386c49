"""C against the model: instructions and time of exported networks by spike rate."""

import pathlib
import tempfile

import numpy as np

from .. import microcontroller
from ..benchmarks.spike_rate import source_at

# The input's shape, and the channels of each 3x3 convolution; the first sees numbers.
SHAPES = {
    "2 convolutions, 8 x 8 x 4 to 16": ((8, 8, 4), (16, 16)),
    "2 convolutions, 8 x 8 x 4 to 32 to 64": ((8, 8, 4), (32, 64)),
    "3 convolutions, 8 x 8 x 4 to 16": ((8, 8, 4), (16, 16, 16)),
}
RATES = (1, 2, 5, 10, 20, 30, 40, 60, 80, 100)  # percent
IMAGES = 4
TIMESTEPS = 1
PICTURE = "energy_in_c.png"
HARDWARE = "45 nm"


def at_rate(shape, channels, rate):
    """Convolutions whose neurons spike at a rate, through their biases; and images."""
    images = np.random.default_rng(0).random((IMAGES, *shape), "float32")
    return source_at(rate, images, channels), images


def measured(rounds):
    """`{network: [figures at each rate]}`: the model's, instructions, and seconds."""
    return {name: _by_rate(name, rounds) for name in SHAPES}


def _by_rate(name, rounds):
    """Figures at each rate; seconds are taken in turns, round after round."""
    import snn_keras
    from snn_keras import analysis, export

    figures, programs, given = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for rate in RATES:
            model, images = at_rate(*SHAPES[name], rate / 100)
            snn = snn_keras.convert(model, TIMESTEPS, "if")
            found = analysis.energy(snn, images, hardware=HARDWARE)
            place = pathlib.Path(folder) / str(rate)
            net = export.to_integers(snn, images)
            program = export.to_c(net, place, images, "streaming", simd=False)
            figures.append(
                {
                    "rate": rate / 100,
                    "measured rate": found.rate,
                    "energy": found.spiking.energy,
                    "operations": sum(
                        getattr(found.spiking, kind)
                        for kind in ("multiply", "add", "shift", "compare")
                    ),
                    "instructions": _instructions(place, net, images),
                }
            )
            programs.append(program)
            given.append(images)
        seconds = [
            [p.seconds(x, 5) for p, x in zip(programs, given, strict=True)]
            for _ in range(rounds)
        ]
    for figure, taken in zip(figures, np.median(seconds, axis=0), strict=True):
        figure["seconds"] = float(taken)
    return figures


def _instructions(place, net, images):
    """Instructions of an image on the emulated Cortex-M4; outputs must be right."""
    (integers,) = net.quantize(images)
    counts, outputs = microcontroller.emulate(microcontroller.build(place, integers))
    *_, (values, _) = net.run([integers])
    expected = values[net.outputs[0].name].reshape(len(images), -1)
    if not np.array_equal(outputs, expected):
        raise RuntimeError(f"the C in {place} computes something else")
    return float(np.mean(counts))


def agreement(figures, model, measure):
    """Rank correlation and slope of a measure against the model, over the rates.

    The slope is that of the measure, as a share of its value at the highest rate,
    against the model's share of its own; 1 if one is in proportion to the other.
    """
    x, y = (np.array([f[key] for f in figures]) for key in (model, measure))
    ranks = [np.argsort(np.argsort(values)) for values in (x, y)]
    rank = float(np.corrcoef(*ranks)[0, 1])
    slope = float(np.polyfit(x / x[-1], y / y[-1], 1)[0])
    return rank, slope


HEADER = ("network", "model", "measured", "rank", "slope")


def rows(found):
    """The rows of a table: every measure against the model."""
    for name, figures in found.items():
        for model in ("energy", "operations"):
            for measure in ("instructions", "seconds"):
                rank, slope = agreement(figures, model, measure)
                yield name, model, measure, f"{rank:.3f}", f"{slope:.2f}"


def draw(found, folder):
    """Draws measures and the model against the spike rate, as shares of the highest."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from snn_keras import files

    fig, axes = plt.subplots(
        1, len(found), figsize=(4 * len(found), 3.6), sharey=True, layout="constrained"
    )
    styles = {"energy": "k-", "operations": "k:", "instructions": "o-", "seconds": "s-"}
    for ax, (name, figures) in zip(axes, found.items(), strict=True):
        for key, style in styles.items():
            values = np.array([f[key] for f in figures])
            label = {"energy": "model: energy", "operations": "model: operations"}
            ax.plot(
                [100 * f["rate"] for f in figures],
                values / values[-1],
                style,
                label=label.get(key, f"C: {key}"),
                markersize=4,
            )
        ax.set(xlabel="neurons that spike (%)", ylim=0)
        ax.set_title(name, fontsize=10)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("share of that at 100 %")
    axes[0].legend(frameon=False, fontsize=8)
    path = pathlib.Path(folder) / PICTURE
    with files.written_whole(path) as partial:
        fig.savefig(partial, dpi=110, format="png")
    plt.close(fig)
    return path
