"""The report of `verify`: every layer's errors, their causes and remedies."""

import dataclasses

import numpy as np

from snn_keras.figures import Figures
from snn_keras.text import table


@dataclasses.dataclass(frozen=True)
class LayerMismatch(Figures):
    """How one layer's decoded spikes differ from the source's activation.

    Errors are in units of the quantization step, over samples and neurons. If the
    source is a plain ReLU, the step is the least value that a neuron can send.

    Attributes:
        name: The activation's name.
        mean, std: Mean and standard deviation of the decoded signal minus the
            source's activation.
        relative: Root mean square of that difference, as a share of the source's.
        off: Share of neurons by rounded mismatch, `{-1: 0.02, 0: 0.97, ...}`.
        own_mean, own_std: Mean and standard deviation of the layer's own error: the
            decoded signal minus the source's activation function of the mean current
            that the layer received. Errors within rounding count as 0.
        before_rms: Root mean square of the error that enters between the neurons
            before and these, beyond rounding: the received current minus what the
            source's layers compute there from the signals sent. For the first
            neurons: from the input.
        between: Names of the source's layers there.
        saturated: Share of neurons whose mean current is more than they can send.
        reach: 99th percentile of the mean current, as a share of the most that a
            neuron can send; the mean over batches.
        silent: Share of neurons that send nothing although the activation function
            of their mean current is above 0.
        by_saturation, by_silence: The saturated and the silent neurons' shares of the
            layer's own squared error.
        by_rounding: The share of neurons whose decoded signal is within half of their
            own step of their mean current.
        threshold_ratio: The neurons' threshold as a share of the one that the
            source's activation requires (in the channel furthest from 1).
        leaks: Whether the neurons forget, and are to be trained over time.
    """

    name: str
    mean: float
    std: float
    relative: float
    off: dict
    own_mean: float
    own_std: float
    before_rms: float
    between: tuple
    saturated: float
    reach: float
    silent: float
    by_saturation: float
    by_silence: float
    by_rounding: float
    threshold_ratio: float
    leaks: bool = False

    @property
    def own_rms(self) -> float:
        """Root mean square of the error that the layer itself adds."""
        return float(np.hypot(self.own_mean, self.own_std))

    @property
    def cause(self) -> str:
        """The main cause of the layer's own error: a key of `REMEDIES`."""
        if abs(self.threshold_ratio - 1.0) > 1e-3:
            return "threshold"
        if self.leaks:
            return "leak"
        if self.by_saturation > 0.5:
            return "saturation"
        if self.by_silence > 0.5:
            return "silence"
        return "rounding" if self.by_rounding > 0.5 else "timing"

    def diagnosis(self) -> str:
        """A sentence that says what is wrong, and the remedy."""
        facts = {
            "threshold": f"its threshold is {self.threshold_ratio:.3g} times the one "
            "that the source's activation requires",
            "leak": "its neurons forget",
            "saturation": f"{self.saturated:.1%} of its neurons saturate: their "
            f"currents reach {self.reach:.2f} times what they can send (99th "
            "percentile)",
            "silence": f"{self.silent:.1%} of its neurons are silent and should not be",
            "rounding": "it rounds to levels that the source does not have, or a tie "
            "to the other side",
            "timing": "its spikes come too early or too late to count right",
        }
        return f"{facts[self.cause]}. Remedy: {REMEDIES[self.cause]}"

    def diagnosis_before(self) -> str:
        """What is wrong before the layer, where `before_rms` is above 0; the remedy."""
        where = ", ".join(f"'{name}'" for name in self.between[-MOST_NAMES:])
        if len(self.between) > MOST_NAMES:
            where = f"..., {where}"
        return (
            f"error enters in front of '{self.name}', in {where}: what it receives is "
            f"{self.before_rms:.3g} steps rms off what the source makes of the same "
            f"signals. Remedy: {ANEW}"
        )


MOST_NAMES = 4  # a sentence names at most this many layers
ANEW = (
    "convert the source anew, as it is now; a layer of your own, and one that draws at "
    "random, must compute the same at every call."
)
REMEDIES = {
    "threshold": "convert the source anew, as it is now.",
    "leak": 'train the network over time, snn.fit; neuron="differential" needs no '
    "training.",
    "saturation": 'higher thresholds: calibration="percentile" or "max", more data to '
    "calibrate on, or more levels.",
    "silence": "more time steps, or lower thresholds: fewer levels, or "
    "bias_correction=True.",
    "rounding": "if the source has levels, as many time steps (bit-serial: as bits of "
    'them), or neuron="differential" with timesteps="settle", and float64 for ties; if '
    "it has none, more time steps, or quantize_activations and some training.",
    "timing": 'neuron="differential" with timesteps="settle", or neuron="bit_serial": '
    'both are exact; or more time steps; or train with noise="adaptor".',
}


@dataclasses.dataclass(frozen=True)
class Report(Figures):
    """The result of `verify`; print it, or use `as_dict()`.

    Attributes:
        timesteps: Steps of the run.
        samples: Samples compared.
        layers: A `LayerMismatch` for each layer of neurons, in running order.
        outputs: An `Agreement` for each output.
        agreement: Share of samples with the source's answer at every output. A sample
            with several answers per output, such as a map, counts by its share of
            equal answers at its worst output.
    """

    timesteps: int
    samples: int
    layers: tuple
    outputs: tuple
    agreement: float

    @property
    def output_error(self) -> float:
        """Largest absolute difference of an output."""
        return float(np.max([output.error for output in self.outputs]))

    @property
    def exact(self) -> bool:
        """Whether every layer of neurons decodes to the source's activation."""
        return all(layer.off.get(0) == 1.0 and layer.std == 0 for layer in self.layers)

    @property
    def entry(self) -> str | None:
        """The layer with the largest error of its own, or None."""
        worst = max(self.layers, key=lambda layer: layer.own_rms)
        return worst.name if worst.own_rms > 0 else None

    @property
    def before(self) -> str | None:
        """The layer of neurons before which the largest error enters, or None."""
        worst = max(self.layers, key=lambda layer: layer.before_rms)
        return worst.name if worst.before_rms > 0 else None

    @property
    def behind(self) -> str | None:
        """The output with the largest error from after the last neurons, or None."""
        worst = max(self.outputs, key=lambda output: output.own_error)
        return worst.name if worst.own_error > 0 else None

    @property
    def collapse(self) -> str | None:
        """The first layer whose error is as large as its signal, if there is one."""
        lost = (layer.name for layer in self.layers if layer.relative >= 1.0)
        return next(lost, None)

    def diagnoses(self) -> list[str]:
        """Sentences that say where errors enter, what is wrong, and what helps."""
        lines = []
        if self.before is not None:
            lines.append(self._of(self.before).diagnosis_before())
        if self.behind is not None:
            worst = next(x for x in self.outputs if x.name == self.behind)
            lines.append(
                f"error enters behind the last neurons: output '{worst.name}' is off "
                f"by up to {worst.own_error:.3g} from what the source makes of their "
                f"signals. Remedy: {ANEW}"
            )
        if self.entry is not None:
            worst = self._of(self.entry)
            lines.append(
                f"most error enters at '{worst.name}': {worst.own_rms:.3f} steps rms "
                f"of its own; {worst.diagnosis()}"
            )
        if not lines:
            lines.append("no layer adds an error of its own beyond rounding")
        if self.collapse is not None:
            lines.append(f"from '{self.collapse}' on the error drowns the signal")
        return lines

    def _of(self, name):
        return next(layer for layer in self.layers if layer.name == name)

    def as_dict(self) -> dict:
        """The attributes and properties as plain values, ready for JSON."""
        derived = ("output_error", "exact", "entry", "before", "behind", "collapse")
        return {
            **super().as_dict(),
            **{name: getattr(self, name) for name in derived},
        }

    def __str__(self):
        several = len(self.outputs) > 1
        answers = [
            f"output '{output.name}': {output}" if several else str(output)
            for output in self.outputs
        ]
        if several:
            answers.append(f"all outputs together: {self.agreement:.2%} of samples")
        return "\n".join(
            [
                f"decoded spikes minus source activation, in quantization steps; "
                f"T = {self.timesteps}, {self.samples} samples",
                table([HEADER, *map(_row, self.layers)]),
                *answers,
                *self.diagnoses(),
            ]
        )


HEADER = (
    *("layer", "mean", "std", "relative"),
    *("off by 0", "1", "2", "more", "own", "saturated"),
)


def _row(layer):
    off = [
        sum(share for k, share in layer.off.items() if abs(k) == size)
        for size in (0, 1, 2)
    ]
    return (
        layer.name,
        f"{layer.mean:+.3f}",
        f"{layer.std:.3f}",
        f"{layer.relative:.1%}",
        *(f"{share:.1%}" for share in [*off, 1.0 - sum(off)]),
        f"{layer.own_rms:.3f}",
        f"{layer.saturated:.1%}",
    )
