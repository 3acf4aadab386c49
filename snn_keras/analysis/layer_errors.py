"""The errors of each layer of a spiking network, in whole quantization steps."""

import dataclasses

import keras

from snn_keras.conversion import verify
from snn_keras.conversion.answers import Agreement
from snn_keras.figures import Figures
from snn_keras.simulate.model import SpikingModel
from snn_keras.text import table
from snn_keras.typing import Inputs, Timesteps

WITHIN = 2  # in steps; larger mismatches are counted together
OFF = ("below", "-2", "-1", "0", "+1", "+2", "above")


@dataclasses.dataclass(frozen=True)
class Histogram(Figures):
    """Shares of a layer's neurons by mismatch, over samples and neurons.

    Attributes:
        steps: The mismatches that occur, in whole quantization steps.
        share: The share of neurons with each mismatch, in [0, 1].
    """

    steps: tuple[int, ...]
    share: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class LayerErrors(Figures):
    """The errors of a layer, in quantization steps.

    Attributes:
        mean, std: Mean and standard deviation of the mismatch before rounding.
        off: Shares of neurons by mismatch, in [0, 1], with the keys "below", "-2",
            "-1", "0", "+1", "+2", "above".
        histogram: A `Histogram` of all mismatches.
        own: Root mean square of the layer's own error.
        before: Root mean square of the error that enters between the neurons before
            and these.
    """

    mean: float
    std: float
    off: dict[str, float]
    histogram: Histogram
    own: float
    before: float


@dataclasses.dataclass(frozen=True)
class Mismatch(Figures):
    """The result of `mismatch`. Print it, or use `as_dict()`.

    Attributes:
        timesteps: Steps of the run, as `SpikingModel.timesteps`.
        samples: Samples compared.
        agreement: Share of samples with the source's answer, in [0, 1].
        outputs: A `snn_keras.conversion.answers.Agreement` for each output.
        layers: `{name: LayerErrors}` for each layer of neurons.
        entry: The layer with the largest error of its own, or None.
        before: The layer before which the largest error enters, or None.
        behind: The output with the largest error from after the last neurons, or None.
        diagnosis: Sentences that say where errors enter, what is wrong, and what
            helps.
    """

    timesteps: Timesteps
    samples: int
    agreement: float
    outputs: tuple[Agreement, ...]
    layers: dict[str, LayerErrors]
    entry: str | None
    before: str | None
    behind: str | None
    diagnosis: str

    def __str__(self):
        header = ("layer", "mean", "std", *OFF, "own")
        return "\n".join(
            [
                "decoded spikes minus source activation, in quantization steps, and "
                f"shares of neurons; T = {self.timesteps}, {self.samples} samples",
                table([header, *(_row(*item) for item in self.layers.items())]),
                f"same answer on {self.agreement:.2%} of samples",
                self.diagnosis,
            ]
        )


def _row(name, layer):
    return (
        name,
        f"{layer.mean:+.3f}",
        f"{layer.std:.3f}",
        *(f"{share:.1%}" for share in layer.off.values()),
        f"{layer.own:.3f}",
    )


def mismatch(
    ann: keras.Model, snn: SpikingModel, x: Inputs, batch_size: int = 32
) -> Mismatch:
    r"""The distribution of every layer's mismatch, in whole quantization steps.

    $$e = \lfloor (\phi - a)/s \rceil$$

    with $\phi$ the decoded output of a spiking neuron, $a$ the source's activation and
    $s$ the step. `snn_keras.verify` also reports causes and remedies.

    Args:
        ann: As for `snn_keras.verify`.
        snn: As for `snn_keras.verify`.
        x: As for `snn_keras.verify`.
        batch_size: As for `snn_keras.verify`.

    Returns:
        A `Mismatch`.

    Raises:
        ConversionError, ValueError: As `snn_keras.verify`.

    Source: Huang et al. 2024, figure 2.
    """
    report = verify(ann, snn, x, batch_size)
    return Mismatch(
        timesteps=report.timesteps,
        samples=report.samples,
        agreement=report.agreement,
        outputs=report.outputs,
        layers={layer.name: _figures(layer) for layer in report.layers},
        entry=report.entry,
        before=report.before,
        behind=report.behind,
        diagnosis="; ".join(line.rstrip(".") for line in report.diagnoses()),
    )


def _figures(layer):
    off = layer.off
    shares = (
        sum(share for k, share in off.items() if k < -WITHIN),
        *(off.get(k, 0.0) for k in range(-WITHIN, WITHIN + 1)),
        sum(share for k, share in off.items() if k > WITHIN),
    )
    return LayerErrors(
        mean=layer.mean,
        std=layer.std,
        off=dict(zip(OFF, map(float, shares), strict=True)),
        histogram=Histogram(tuple(off), tuple(off.values())),
        own=layer.own_rms,
        before=layer.before_rms,
    )
