"""The page that shows the figures of all rows, and a picture for each table."""

from apps.tables import claims
from apps.tables.rows import TABLES
from snn_keras import files

HEAD = """# Results

Made by `python -m apps.results --data_dir=DATA_DIR` from the metrics in
`docs/results/`; `make reproduce ROW=... DATA_DIR=...` makes one row from nothing: the
trainings of its source network, then its figures. Figures of papers, in italics, are
for the same data set; the row says where network or levels differ.

Test accuracy in percent, one source network a family, one seed where *seeds* does not
say otherwise: mean ± standard deviation, then. *+ steps*: steps that the method spends
before the T it reports; its cost is T + these. *Spikes* and *energy* are per image in a
run of T = 4, mean of the first {images} test images; energy as a share of the source
network's, by `analysis.energy` with the 32-bit constants of Datta et al. 2024 (memory
is not counted, nor are spikes of extra steps). For bit-serial neurons every column is
a run of its own.
"""

CLAIMS_HEAD = """## What the papers claim

Differences are in points, ± their standard error, by the test images and, where there
are several seeds, by what lies between them; *undecided*: within two of these errors.
With one seed the answer is about these networks; another training may answer otherwise.
Two seeds tell roughly what lies between them. Where the metrics of all rows tell which
images are answered right, the error is that of the differences image by image;
elsewhere an upper bound: each row counts as if it had seen images of its own, and
errors within a row are added. Neurons settle in float64, too, for the seeds whose
answers float32 changes. Spikes, and what they cost in accuracy, have no error. Claims
whose rows have no figures yet are left out.
"""

OPEN_HEAD = """## Not measured yet

Rows with a training, but without figures; `make reproduce ROW=... DATA_DIR=...
SEED=...` makes each. ResNet-18 and VGG-16 have the papers' budgets: take a GPU
(`KERAS_BACKEND=jax` computes on it).
"""

NOTES = """## What falls short, and why

* **Budgets.** These networks trained for 2 to 35 epochs on two CPU cores, the float
  ResNet-20 for 56; the papers train for 40 (Li et al. 2022), 160 (Li 2023), 400
  (Huang et al. 2024), 600 (Datta et al. 2024) and, Jiang and Zhang 2023, 100 (MNIST),
  200 (Fashion-MNIST) and 1,000 epochs (VGG-16). Noisy LIF
  trained for 8 epochs on Fashion-MNIST and 3 on MNIST, from scratch; it stays below the
  paper at T = 5.
* **Noise adaptor, ResNet-20.** With p = 3 a spike is worth three steps, and 19 layers
  of neurons in a row each round to whole spikes: 77 to 78 at T = 4, after 12 epochs and
  after 22. More training raises what many steps reach (T = 64: 89.9, then 90.6), not
  what four do. With p = 2, after 35 epochs (`cifar10_adaptor2_long`), four steps reach
  84.12 and sixteen 89.15. Biases and initial potentials corrected for each T help:
  86.65 at T = 4 with p = 2 (its source: 86.63), 90.34 at T = 16 with p = 3 (`snn_keras
  evaluate --dataset=cifar10 --data_dir=DATA_DIR --bias_correction`, with
  `--model=saved_models/cifar10_adaptor2_long.keras --timesteps=4`, or
  `--model=saved_models/cifar10_adaptor_long.keras --timesteps=16`).
* **Noise adaptor, the small network.** On Fashion-MNIST both seeds lose up to T = 6,
  and gain at T = 16, 0.1 and 0.5 points. One step of two levels tells little: without
  noise the seeds have 81 and 92 at T = 1. On MNIST, fine-tuned for 6 epochs, it hurts
  up to T = 7, and from T = 14 on reaches what the float network has. We read it so: the
  mean of the activation over its noise is the clipped ReLU, and the network comes to
  rely on that mean, taken by pooling over many equal background pixels; without noise
  these are all rounded to the same side. The source network itself, evaluated without
  noise, falls to 71 %, and the spiking one recovers as its T levels come near the
  clipped ReLU. Exact neurons (signed) reproduce the source's 71 %, as they must.
* **Trained for two levels, run for many steps.** On MNIST plain LSQ falls from 99.4 at
  T = 3 to 98.9 at T = 16: it was trained with the rounding of two levels, and more
  steps round less.
* **SRP and COS** spend four steps before the T that they report. On ResNet-20 they pay
  for these at small T: COS has 89.86 at T = 4, with noise adaptor 88.86, SRP 88.41 and
  88.29, where integrate-and-fire neurons have 85.67 and 86.69 at T = 8. With NQ they do
  not: 83.12 and 81.10 against 83.37. At T = 64 only COS without noise is not behind. On
  Fashion-MNIST both help at T = 1 and 2, with both seeds, if their four steps do not
  count. On MNIST they help at T = 1 alone.
* **NQ.** On CIFAR-10 it adds 12 and 14 points at T = 2 and 4, and takes 4 to 7 away
  from T = 16 on; its source network has 6.5 less as well. In the paper it adds at T =
  1, 2 and 4 (3.6, 4.1, 0.8) and takes 3.4 to 3.9 away from T = 16 on; here it takes 5
  away at T = 1. On the small network, fine-tuned for 6 and 3 epochs, it lies below LSQ
  with p = 2 at every T: with L = 4 a threshold is four steps wide, and few steps
  resolve it badly. Against QCFS without noise it gains 0.9 to 2.5 at T = 3 to 5 on
  Fashion-MNIST, and loses up to 3.3 elsewhere; on MNIST it gains 0.9 at T = 1 and loses
  3.8 at T = 4.
* **Thresholds from data.** Without any training for it a network of plain ReLUs needs
  many steps, and with thresholds at the largest activation many more.
* **Bit-serial.** T below the bits of a network's levels (two for p = 3, three for L =
  4, four for p = 15) drops bits, and accuracy with them. T above gives finer levels
  than it was trained with: at the largest T, with p = 3, 2.1 points more than the
  source network has, with noise adaptor 1.7, NQ 0.4; with p = 15 within 0.3 points of
  it.
* **Signed neurons, p = 15,** come to rest at step 20.9 on average; the last image at
  25, two more than the eight after P = 15 that we allow.
"""


def page(metrics, counted_images):
    """The text of docs/results.md, from `{(table, row.key): figures}`."""
    lines = [HEAD.format(images=counted_images)]
    for name, table in TABLES.items():
        rows = [row for row in table.rows if (name, row.key) in metrics]
        if not rows:
            continue
        figures = [metrics[name, row.key] for row in rows]
        images = " or ".join(sorted({f"{f['samples']:,}" for f in figures}))
        lines += [
            f"## {table.title}, {images} test images",
            "",
            f"{table.network}.",
            "",
            f"![Accuracy over time steps](results/{name}.png)",
            "",
            *_sources(rows, figures),
            "",
            *_methods(table, rows, figures),
            "",
        ]
    return "\n".join([*lines, *_claims(metrics), "", NOTES, *_open(metrics), ""])


def _claims(metrics):
    """What the papers claim, and whether it is so here."""
    yield CLAIMS_HEAD
    yield _line(["claim", "table", "here", "figures"])
    yield _line(["---"] * 4)
    for claim, title, answer, text in claims.answers(metrics):
        yield _line([claim.text, title, answer, text])


def _open(metrics):
    """The rows that have no figures."""
    yield OPEN_HEAD
    for name, table in TABLES.items():
        rows = [row for row in table.rows if (name, row.key) not in metrics]
        if rows:
            names = ", ".join(f"`{name}_{row.key}`" for row in rows)
            yield f"* {table.title}: {names}"


def _sources(rows, figures):
    """The source networks, and what trained them; of several seeds, with --seed=N."""
    header = ["source network", "seeds", "accuracy", "trained by"]
    yield _line(header)
    yield _line(["---"] * len(header))
    pairs = list(zip(rows, figures, strict=True))
    for source in dict.fromkeys(row.source for row in rows):
        found = [figure for row, figure in pairs if row.source == source]
        most = max(found, key=lambda figure: figure["seeds"])
        trained = f"`{found[0]['trained']}`"
        yield _line([source, str(most["seeds"]), percent(most["ann"]), trained])


def _methods(table, rows, figures):
    names = [f"T = {t}" for t in table.timesteps]
    header = ["method", "seeds", "source", *names, "+ steps", "spikes", "energy"]
    yield _line(header)
    yield _line(["---"] * len(header))
    for row, found in zip(rows, figures, strict=True):
        cells = dict(zip(found["timesteps"], _accuracies(found), strict=True))
        yield _line(
            [
                row.method,
                str(found["seeds"]),
                percent(found["ann"]),
                *(cells.get(t, "") for t in table.timesteps),
                str(found["extra_steps"] or ""),
                f"{found['spikes_at_4']:,.0f}",
                f"{found['energy_at_4']:.3f}" if "energy_at_4" in found else "",
            ]
        )
        if paper := table.papers.get(row.key):
            cells = [paper.ann, *(paper.snn.get(t) for t in table.timesteps)]
            cells = ["" if x is None else f"*{x:.2f}*" for x in cells]
            yield _line([f"*{paper.text}*", "", *cells, "", "", ""])


def _accuracies(found):
    """Those at all T, with the standard deviation of several seeds."""
    means = [percent(x) for x in found["snn"]]
    if "spread" not in found:
        return means
    spreads = [percent(x) for x in found["spread"]]
    return [f"{m} ± {s}" for m, s in zip(means, spreads, strict=True)]


def percent(share):
    """A share as a percentage, without the sign."""
    return f"{100 * share:.2f}"


def _line(cells):
    return "| " + " | ".join(cells) + " |"


STYLES = {"srp": ":", "cos": "-.", "signed": "--", "bit_serial": (0, (1, 1))}


def draw(name, metrics, path):
    """Draws accuracy against time steps of all rows of a table, and the sources'."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table = TABLES[name]
    fig, ax = plt.subplots(figsize=(10, 5), layout="constrained")
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
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    with files.written_whole(path) as partial:
        fig.savefig(partial, dpi=130, format="png")
    plt.close(fig)
