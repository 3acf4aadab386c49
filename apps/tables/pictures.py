"""The pictures of docs/results.md."""

from snn_keras import files

from .rows import TABLES

# Of trainings: figure, what it is, and its line.
EPOCHS = (
    ("val_accuracy", "source network, test images", "--"),
    ("snn_accuracy_4", "spiking network, T = 4, images held out", "-"),
)
WITHIN = 4  # quantization steps; what is off by more is not drawn
STYLES = {"srp": ":", "cos": "-.", "signed": "--", "bit_serial": (0, (1, 1))}


def _figure():
    """A figure and its axes, drawn without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(10, 5), layout="constrained")


def _write(fig, ax, path):
    """Writes a figure of accuracies."""
    import matplotlib.pyplot as plt

    ax.grid(alpha=0.3)
    lines = len(ax.get_legend_handles_labels()[0])
    if lines:
        fig.set_figheight(max(fig.get_figheight(), 0.18 * lines))
        where = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        ax.legend(frameon=False, fontsize=8, **where)
    with files.written_whole(path) as partial:
        fig.savefig(partial, dpi=130, format="png")
    plt.close(fig)


def draw(name, metrics, path):
    """Draws accuracy against time steps of all rows of a table, and the sources'."""
    table = TABLES[name]
    fig, ax = _figure()
    sources = list(dict.fromkeys(row.source for row in table.rows))
    for row in table.rows:
        found = metrics.get((name, row.key))
        if found is None:
            continue
        place = sources.index(row.source)
        ax.plot(
            found["timesteps"],
            [100 * x for x in found["snn"]],
            color=f"C{place}",
            linestyle=STYLES.get(row.neuron, "-"),
            marker="osD^v<>P"[place % 8],
            markersize=3.5,
            label=row.method,
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(table.timesteps, [str(t) for t in table.timesteps])
    ax.set(xlabel="time steps T", ylabel="test accuracy (%)")
    ax.set_title(f"{table.title}, {table.network}", fontsize=10)
    _write(fig, ax, path)


def draw_spikes(name, metrics, path):
    """Draws the spikes of each method on a table's network, in a run of four steps."""
    rows = [row for row in TABLES[name].rows if (name, row.key) in metrics]
    fig, ax = _figure()
    fig.set_size_inches(7, 0.2 * len(rows) + 1)
    spikes = [metrics[name, row.key]["spikes_at_4"] for row in rows]
    ax.barh([row.method for row in rows], spikes, height=0.7)
    ax.invert_yaxis()
    ax.tick_params(labelsize=7)
    ax.set(xlabel="spikes an image, T = 4")
    _write(fig, ax, path)


def draw_error_shares(found, path):
    """Draws how many neurons are off by how much at T = L, for each network's layers.

    Args:
        found: What `apps.errors` writes of each network.
        path: Where the picture goes.
    """
    networks = {
        name: of["errors"][str(of["levels"])]
        for name, of in found.items()
        if str(of["levels"]) in of["errors"]
    }
    fig, ax = _figure()
    for place, (name, layers) in enumerate(networks.items()):
        names = list(layers)
        some = names[0], names[len(names) // 2], names[-1]
        for layer, line in zip(some, ("-", "--", ":"), strict=True):
            shares = {int(k): x for k, x in layers[layer]["shares"].items()}
            steps = range(-WITHIN, WITHIN + 1)
            heights = [100 * shares.get(k, 0) for k in steps]
            ax.plot(steps, heights, f"C{place}{line}", label=f"{name}: {layer}")
    ax.set_yscale("log")
    ax.set(xlabel="error in quantization steps, T = L", ylabel="neurons (%)")
    _write(fig, ax, path)


def draw_error_sizes(found, path):
    """Draws the mean error of a network's layers against T; arguments as above."""
    fig, ax = _figure()
    for name, of in found.items():
        means = {
            int(t): sum(layer["rms"] for layer in layers.values()) / len(layers)
            for t, layers in of["errors"].items()
        }
        ax.plot(means.keys(), means.values(), marker="o", label=name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(means), list(map(str, means)))
    ax.set(xlabel="time steps T", ylabel="error (root mean square / threshold)")
    _write(fig, ax, path)


def draw_epochs(histories, path):
    """Draws the accuracy of trainings after every epoch.

    Args:
        histories: `{name: {figure: [value of every epoch]}}`.
        path: Where the picture goes.
    """
    fig, ax = _figure()
    for place, (name, history) in enumerate(histories.items()):
        for figure, label, line in EPOCHS:
            values = [100 * x for x in history[figure]]
            epochs = range(1, len(values) + 1)
            ax.plot(epochs, values, f"C{place}{line}", label=f"{name}: {label}")
    ax.set(xlabel="epochs", ylabel="accuracy (%)")
    _write(fig, ax, path)
