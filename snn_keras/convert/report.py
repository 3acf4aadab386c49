"""What `verify` finds: figures of every layer, their cause and the remedy."""

import dataclasses

import numpy as np

from snn_keras.text import table


@dataclasses.dataclass(frozen=True)
class LayerMismatch:
    """How one layer's decoded spikes differ from the source's activation.

    All in units of the quantization step, over samples and neurons. Where the
    source is a plain ReLU, the step is the smallest that the neurons can send.

    Attributes:
        name: The activation's name.
        mean, std: Of the decoded signal minus the source's activation.
        relative: Root mean square of that difference, as a share of the source's.
        off: Share of neurons by rounded mismatch, `{-1: 0.02, 0: 0.97, ...}`.
        own_mean, own_std: Of the part that the layer itself adds: the decoded
            signal minus the source's activation function of the mean current
            that the layer received.
        saturated: Share of neurons whose mean current is more than they can send.
        reach: 99th percentile of the mean current, as a share of what a neuron
            can send; the mean over batches.
        silent: Share of neurons that send nothing where the activation function
            of their mean current is above 0.
        by_saturation, by_silence: Shares of the layer's own squared error in these
            neurons.
        by_rounding: Its share in neurons that decode to within half a step of their
            own of their mean current.
        threshold_ratio: The neurons' threshold as a share of the one that the
            source's activation asks for (the channel furthest from 1).
    """

    name: str
    mean: float
    std: float
    relative: float
    off: dict
    own_mean: float
    own_std: float
    saturated: float
    reach: float
    silent: float
    by_saturation: float
    by_silence: float
    by_rounding: float
    threshold_ratio: float

    @property
    def own_rms(self) -> float:
        """Root mean square of the error that the layer itself adds."""
        return float(np.hypot(self.own_mean, self.own_std))

    @property
    def cause(self) -> str:
        """What most of the layer's own error comes from: a key of `REMEDIES`."""
        if abs(self.threshold_ratio - 1.0) > 1e-3:
            return "threshold"
        if self.by_saturation > 0.5:
            return "saturation"
        if self.by_silence > 0.5:
            return "silence"
        return "rounding" if self.by_rounding > 0.5 else "timing"

    def diagnosis(self) -> str:
        """In words: what is wrong, and what may be done about it."""
        facts = {
            "threshold": f"its threshold is {self.threshold_ratio:.3g} times the one "
            "that the source's activation asks for",
            "saturation": f"{self.saturated:.1%} of its neurons saturate: their "
            f"currents reach {self.reach:.2f} times what they can send (99th "
            "percentile)",
            "silence": f"{self.silent:.1%} of its neurons are silent and should not be",
            "rounding": "it rounds to multiples of its own step; the source rounds to "
            "others, or not at all, or a tie to the other side",
            "timing": "its spikes come too early or too late to count right",
        }
        return f"{facts[self.cause]}. Remedy: {REMEDIES[self.cause]}"


REMEDIES = {
    "threshold": "convert the source anew, as it is now.",
    "saturation": 'higher thresholds: calibration="percentile" or "max", more data to '
    "calibrate on, or more levels.",
    "silence": "more time steps, or lower thresholds: fewer levels, or "
    "bias_correction=True.",
    "rounding": "where the source has levels, as many time steps as these (bit-serial: "
    'as their bits), or neuron="signed" with timesteps="settle", and float64 where '
    "ties are left; where it has none, more time steps, or quantize_activations and "
    "some training.",
    "timing": 'neuron="signed" with timesteps="settle", or neuron="bit_serial": both '
    'are exact; or more time steps; or train with noise="adaptor".',
}


@dataclasses.dataclass(frozen=True)
class Report:
    """What `verify` found; print it, or take `to_dict()`.

    Attributes:
        timesteps: Steps of the run.
        samples: Samples compared.
        layers: A `LayerMismatch` for each layer of neurons, in running order.
        agreement: Share of samples for which source and spiking network have
            the same largest entry, in every output.
        output_error: Largest absolute difference of an output.
    """

    timesteps: int
    samples: int
    layers: tuple
    agreement: float
    output_error: float

    @property
    def exact(self) -> bool:
        """Whether every layer of neurons decodes to the source's activation."""
        return all(layer.off.get(0) == 1.0 and layer.std == 0 for layer in self.layers)

    @property
    def entry(self) -> str | None:
        """The layer that itself adds the largest error; None if there is none."""
        worst = max(self.layers, key=lambda layer: layer.own_rms)
        return worst.name if worst.own_rms > 0 else None

    @property
    def collapse(self) -> str | None:
        """The first layer whose error is as large as its signal, if there is one."""
        lost = (layer.name for layer in self.layers if layer.relative >= 1.0)
        return next(lost, None)

    def to_dict(self) -> dict:
        """The report as plain values, ready for JSON."""
        return {**dataclasses.asdict(self), "exact": self.exact, "entry": self.entry}

    def __str__(self):
        rows = [
            (
                *("layer", "mean", "std", "relative"),
                *("off by 0", "1", "2", "more", "own", "saturated"),
            )
        ]
        for layer in self.layers:
            off = [
                sum(share for k, share in layer.off.items() if abs(k) == size)
                for size in (0, 1, 2)
            ]
            rows.append(
                (
                    layer.name,
                    f"{layer.mean:+.3f}",
                    f"{layer.std:.3f}",
                    f"{layer.relative:.1%}",
                    *(f"{share:.1%}" for share in [*off, 1.0 - sum(off)]),
                    f"{layer.own_rms:.3f}",
                    f"{layer.saturated:.1%}",
                )
            )
        lines = [
            f"decoded spikes minus source activation, in quantization steps; "
            f"T = {self.timesteps}, {self.samples} samples",
            table(rows),
            f"same answer on {self.agreement:.2%} of samples; largest output "
            f"difference {self.output_error:.3g}",
        ]
        if self.entry is not None:
            worst = next(x for x in self.layers if x.name == self.entry)
            lines.append(
                f"most error enters at '{worst.name}': {worst.own_rms:.3f} steps rms "
                f"of its own; {worst.diagnosis()}"
            )
        else:
            lines.append("no layer adds an error of its own")
        if self.collapse is not None:
            lines.append(f"from '{self.collapse}' on the error drowns the signal")
        return "\n".join(lines)
