"""Energy of the networks that ship, beside their opponents."""

import pathlib

import snn_keras
from snn_keras import analysis
from snn_keras.analysis.costing.opponents import FAIR
from snn_keras.analysis.costing.running import count

from .. import data
from ..sources import load_model

# Network, its data, neuron, time steps.
CASES = (
    ("fashion_mnist_adaptor", "fashion_mnist", "if", 4),
    ("fashion_mnist_adaptor", "fashion_mnist", "bit_serial", 2),
    ("fashion_mnist_sparse", "fashion_mnist", "bit_serial", 4),
    ("fashion_mnist_bits", "fashion_mnist", "bit_serial", 4),
    ("fashion_mnist_adaptor", "fashion_mnist", "differential", 4),
    ("cifar10_adaptor2", "cifar10", "if", 4),
    ("cifar10_adaptor2", "cifar10", "differential", 4),
    ("cifar10_bits", "cifar10", "bit_serial", 4),
    ("cifar10_sparse_1e-6", "cifar10", "bit_serial", 4),
)
HARDWARE = ("45 nm", "45 nm, bit maps", "45 nm, reuse", "22 nm")
PICTURE = "energy.png"


def measured(samples, data_dir, batch_size=50):
    """`{"network, neuron, T": {hardware: Energy}}` on the first so many test images."""
    found, images = {}, {}
    for network, dataset, neuron, timesteps in CASES:
        if dataset not in images:
            test = data.load(dataset, "test", data_dir).take(samples)
            images[dataset] = data.preprocess(test.images)
        model = load_model(data.SHIPPED / f"{network}.keras")
        snn = snn_keras.convert(model, timesteps, neuron)
        work = count(snn, images[dataset], batch_size)
        name = f"{network}, {neuron}, T = {timesteps}"
        found[name] = {hardware: work.priced(hardware) for hardware in HARDWARE}
    return found


HEADER = (
    *("hardware", "opponent", "spiking, nJ", "opponent, nJ", "ratio", "equal at"),
    *("operations alone", "operations equal at"),
)


def rows(energies):
    """The rows of a table: one network on each hardware, beside each opponent."""
    for hardware, energy in energies.items():
        for name, opponent in energy.opponents.items():
            yield (
                hardware,
                name,
                f"{energy.spiking.energy / 1e3:,.0f}",
                f"{opponent.cost.energy / 1e3:,.0f}",
                f"{opponent.ratio:.2f}",
                _at(opponent.crossing),
                f"{opponent.without_memory.ratio:.2f}",
                _at(opponent.without_memory.crossing),
            )


def summary(found):
    """Rows of a table: of each network the ratios, and the rates at which they are 1.

    Over the quantized network, and where zeros are skipped; of operations alone, and
    with memory.
    """
    yield ("network, neuron, T", "spike rate", "operations alone", *HARDWARE)
    for name, energies in found.items():
        first = energies[HARDWARE[0]]
        both = [first.opponents[k].without_memory for k in FAIR]
        cells = [both, *([e.opponents[k] for k in FAIR] for e in energies.values())]
        yield (
            name,
            f"{first.rate:.1%}",
            *(
                ", ".join(f"{x.ratio:.2f} ({_at(x.crossing)})" for x in c)
                for c in cells
            ),
        )


def _at(rate):
    return "none" if not rate else "all" if rate >= 1 else f"{rate:.1%}"


def draw(found, folder):
    """Draws every network's ratio against the spike rate, with its crossing."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from snn_keras import files

    fig, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for ax, hardware in zip(axes, HARDWARE[:2], strict=True):
        lines = {name: energies[hardware] for name, energies in found.items()}
        analysis.plot_crossing(lines, ax)
        ax.set_title(f"on {hardware}", fontsize=10)
    axes[0].legend(frameon=False, fontsize=6)
    axes[1].get_legend().remove()
    path = pathlib.Path(folder) / PICTURE
    with files.written_whole(path) as partial:
        fig.savefig(partial, dpi=110, format="png")
    plt.close(fig)
    return path
