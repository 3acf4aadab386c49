"""How far each layer of a spiking network is from its source, as plain numbers."""

import dataclasses

import keras

from snn_keras.conversion import verify
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

WITHIN = 2  # steps: mismatches beyond are summed up


def mismatch(
    ann: keras.Model, snn: SpikingModel, x: Inputs, batch_size: int = 32
) -> dict:
    r"""The distribution of every layer's mismatch, in whole quantization steps.

    $$e = \lfloor (\phi - a)/s \rceil$$

    with $\phi$ the decoded output of a spiking neuron, $a$ the source's activation and
    $s$ the step. `snn_keras.verify` says besides what causes it and what helps.

    Args:
        ann: As for `snn_keras.verify`.
        snn: As for `snn_keras.verify`.
        x: As for `snn_keras.verify`.
        batch_size: As for `snn_keras.verify`.

    Returns:
        `{"timesteps": ..., "samples": ..., "agreement": share of samples with the
        source's answer, "outputs": [what is compared at each output and how well it
        agrees, the attributes of `snn_keras.conversion.answers.Agreement`], "layers":
        {name: {"mean", "std": of the mismatch before it is rounded, "off": shares of
        neurons, `{"below", "-2", "-1", "0", "+1", "+2", "above"}`, "histogram":
        `{"steps": [...], "share": [...]}`, "own": root mean square of what the layer
        itself adds, "before": of what enters between the neurons before and these}},
        "entry": the layer that adds most, or None, "before": the layer in front of
        which most enters, or None, "behind": the output at which most enters behind
        the last neurons, or None, "diagnosis": in words, where errors enter, what is
        wrong there and what helps}`.

    Raises:
        ConversionError, ValueError: As `snn_keras.verify`.

    Source: Huang et al. 2024, figure 2.
    """
    report = verify(ann, snn, x, batch_size)
    layers = {layer.name: layer for layer in report.layers}
    return {
        "timesteps": report.timesteps,
        "samples": report.samples,
        "agreement": report.agreement,
        "outputs": [dataclasses.asdict(output) for output in report.outputs],
        "layers": {name: _figures(layer) for name, layer in layers.items()},
        "entry": report.entry,
        "before": report.before,
        "behind": report.behind,
        "diagnosis": "; ".join(line.rstrip(".") for line in report.diagnoses()),
    }


def _figures(layer):
    within = range(-WITHIN, WITHIN + 1)
    return {
        "mean": layer.mean,
        "std": layer.std,
        "off": {
            "below": float(sum(v for k, v in layer.off.items() if k < -WITHIN)),
            **{_name(k): float(layer.off.get(k, 0.0)) for k in within},
            "above": float(sum(v for k, v in layer.off.items() if k > WITHIN)),
        },
        "histogram": {"steps": list(layer.off), "share": list(layer.off.values())},
        "own": layer.own_rms,
        "before": layer.before_rms,
    }


def _name(size):
    return f"{size:+d}" if size else "0"
