"""The section of a report on other neurons and other numbers of steps."""

from snn_keras.analysis.comparing.plot import plot_against_energy, plot_over_time
from snn_keras.analysis.reporting.figures import ReportFigures
from snn_keras.analysis.reporting.html import (
    Html,
    element,
    figure,
    number,
    percent,
    section,
    table,
)
from snn_keras.analysis.reporting.pictures import drawn


def comparison(figures: ReportFigures) -> Html | list:
    """The section on the result of `compare`; nothing if there is none."""
    found = figures.comparison
    if found is None:
        return []
    measure, best = found.measure, found.unbeaten()
    known = [name for name in ("accuracy", "error") if found.source[name] is not None]
    forms = {"accuracy": "{:.2%}", "error": "{:.4g}"}

    def row(row):
        return (
            row.neuron,
            number(row.timesteps),
            *(number(row[name], forms[name]) for name in known),
            percent(row.agreement),
            number(row.spikes, "{:,.0f}"),
            number(row.bits, "{:,.0f}"),
            number(row.additions, "{:,.0f}"),
            number(row.energy / 1e3, "{:,.1f}"),
            number(row.ratio, "{:.2f}"),
            number(row.state_bytes / 1024, "{:,.1f}"),
            number(1e3 * row.seconds, "{:.3g}"),
            "yes" if row in best else "",
        )

    header = ("neuron", "T", *known, "same answer", "spikes", "bits", "additions")
    header += ("energy, nJ", "of quantized", "state, KiB", "ms", "unbeaten")
    title = f"Neurons and time steps, means over {found.counted:,} samples"
    over_time = drawn(
        lambda ax: plot_over_time(found, ax),
        f"{measure} of each neuron by time steps, and of the source as a line",
    )
    against_energy = drawn(
        lambda ax: plot_against_energy(found, ax),
        f"{measure} of each neuron by the energy of an inference",
    )
    note = (
        f"Answers of {found.samples:,} samples. Unbeaten is a network if no other has "
        "answers as good for less energy. Of quantized is its energy over that of the "
        "same network without spikes, in whole numbers of as few bits."
    )
    return section(
        "comparison",
        "Other neurons",
        element("p", note),
        element(
            "div",
            figure(over_time, "Answers by time steps; dashed, the source."),
            figure(
                against_energy,
                "Answers by energy; beside the points time steps, ringed what no other "
                "beats.",
            ),
            class_="pair",
        ),
        table(title, header, [row(each) for each in found.rows]),
    )
