"""`report`: writes the HTML file of a report."""

import json
import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from snn_keras.analysis.comparing import Comparison
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.reporting import (
    answers,
    comparisons,
    costs,
    pictures,
    sections,
)
from snn_keras.analysis.reporting.figures import ReportFigures, gather
from snn_keras.analysis.reporting.html import Html, element, join
from snn_keras.analysis.reporting.style import STYLE
from snn_keras.files import check_target, written_whole
from snn_keras.inputs import check_data
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs


def report(
    ann: keras.Model,
    snn: SpikingModel,
    x: Inputs,
    y: np.ndarray | None,
    path: str | os.PathLike,
    *,
    samples: int = 512,
    batch_size: int = 32,
    timesteps: Sequence[int] | None = None,
    neurons: Mapping[str, Sequence[int]] | None = None,
    title: str | None = None,
    class_names: Sequence[str] | None = None,
    comparison: Comparison | None = None,
    overwrite: bool = False,
) -> ReportFigures:
    """Writes one HTML file about a conversion, and returns its figures.

    The file works offline and without scripts. It shows accuracy by time steps,
    mismatch, spikes, operations, energy, single neurons, disagreements and the plan.
    Answers are classes, for each sample or each position of a map; yes or no, after a
    sigmoid; or numbers, for which the error replaces the accuracy.

    In tables, measured values are `data` elements with the exact value. The element
    `#figures` contains all figures as JSON.

    Args:
        ann: The source network, with one output.
        snn: The `SpikingModel` that was converted from it.
        x: Inputs, as `predict` takes them.
        y: The right answers, or None: classes `(samples,)`, for a map
            `(samples, ...)`, or one-hot like the outputs; 0 or 1 after a sigmoid; or
            numbers.
        path: The HTML file to write.
        samples: Number of samples, from the first, to use for mismatch, spikes and
            energy; answers are compared on all samples.
        batch_size: Samples per batch.
        timesteps: Numbers of steps at which to show the accuracy; by default all.
        neurons: `{layer: flat indices}` of the single neurons to show; by default some
            that fire on the first sample, from at most six layers.
        title: The heading.
        class_names: Names of the classes, in order; for sides, the names of 0 and 1.
        comparison: The result of `snn_keras.compare` for this source, to be shown
            too.
        overwrite: Whether to replace an existing file.

    Returns:
        The figures, `ReportFigures`.

    Raises:
        FileExistsError, FileNotFoundError: if the file cannot be written.
        ValueError: if an argument is not valid, or the network has several outputs.
        ConversionError: if `snn` was not converted from `ann`.
    """
    path = check_target(path, overwrite)
    pictures.check_matplotlib()
    neurons_of(snn)  # raises an error if `snn` is not a spiking network
    snn.program.check_no_frames("a report")
    x = check_data(x, snn.program.graph)
    figures = gather(
        ann, snn, x, y, samples, batch_size, timesteps, neurons, comparison
    )
    title = title or f"{ann.name}: source and spiking network"
    page = document(title, figures, x, class_names)
    with written_whole(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return figures


def document(
    title: str,
    figures: ReportFigures,
    x: Inputs,
    class_names: Sequence[str] | None = None,
) -> str:
    """The page that shows `figures`; see `report`."""
    parts = [
        answers.accuracy(figures),
        comparisons.comparison(figures),
        sections.mismatch(figures),
        costs.spikes(figures),
        costs.energy(figures),
        costs.neurons(figures),
        answers.disagreements(figures, x, class_names),
        sections.plan(figures),
    ]
    header = element(
        "header",
        element("h1", title),
        element("p", _described(figures)),
        sections.summary(figures),
    )
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width,initial-scale=1"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Html(STYLE)),
    ]
    # "</" would end the script element.
    content = Html(json.dumps(figures.as_dict()).replace("</", "<\\/"))
    script = element("script", content, type="application/json", id="figures")
    body = [header, element("main", parts), script]
    page = element("html", element("head", head), element("body", body), lang="en")
    return join([Html("<!doctype html>\n"), page, Html("\n")])


def _described(figures):
    network = figures.network
    steps = network.timesteps
    run = "run until it settles" if steps == "settle" else f"{steps} time steps"
    cells = ", ".join(network.neurons)
    return (
        f"{network.source}, {network.parameters:,} parameters; {cells}, {run}; "
        f"answers of {figures.samples:,} samples, mismatch, spikes and energy of "
        f"{figures.inspected:,}; {network.backend}."
    )
