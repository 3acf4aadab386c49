"""convert: from a source network to a spiking network."""

from snn_keras.convert.bias_correction import correct_biases
from snn_keras.convert.build import build
from snn_keras.convert.plan import plan
from snn_keras.convert.quantize import has_unquantized, quantize_activations
from snn_keras.inputs import CALIBRATION_SAMPLES, arrays_of
from snn_keras.neurons import by_name
from snn_keras.simulate import SpikingModel
from snn_keras.simulate.model import check_timesteps


def convert(
    model,
    timesteps,
    neuron="auto",
    data=None,
    *,
    levels=None,
    calibration="mse",
    bias_correction=False,
    input_steps=None,
    fused=True,
) -> SpikingModel:
    """Converts a Keras model into a spiking network with the same weights.

    Every quantized activation becomes a layer of spiking neurons with its
    threshold; everything else stays what it is. The source is not changed.

    Args:
        model: A functional or Sequential `keras.Model` with quantized
            activations (`snn_keras.layers.LSQReLU`, `QCFS`).
        timesteps: Time steps of a run, an integer >= 1; or `"settle"`, with
            signed neurons: run until no neuron fires any more.
        neuron: `"auto"` (what the activation's class names), `"if"`,
            `"signed"`, `"bit_serial"`, a configured cell of `snn_keras.neurons`
            whose threshold is set layer by layer, or a dict of these by the
            activations' names.
        data: Calibration inputs, as `model.predict` takes them; of a dataset or a
            generator, which may be endless, the first 4,096 samples. With them a
            model with plain ReLUs converts too: its activations are quantized first. A
            model that is quantized already stays as it is.
        levels: Levels to quantize plain ReLUs to: `timesteps` by default, and for
            bit-serial neurons all that `timesteps` bits hold.
        calibration: How `data` sets the thresholds of plain ReLUs: `"mse"`,
            `"max"`, `"percentile"` or `"lsq"`; see `quantize_activations`.
        bias_correction: Whether to correct each channel's bias and initial
            potential by the mean errors that the spiking network makes there on
            `data`, for this number of `timesteps`; it runs 21 times on them.
        input_steps: With signed neurons, the steps P for which input and biases
            are on; the hidden layers' number of levels by default.
        fused: With bit-serial neurons, whether to run in one pass over decoded
            signals; False runs all steps one by one. The spikes are the same.

    Returns:
        A `snn_keras.SpikingModel`.

    Raises:
        ValueError: if an argument is not valid.
        ConversionError: if layers cannot be converted; it names them all, and
            nothing is built.
    """
    source = model
    if data is not None:  # read once, for a generator gives it once
        data = arrays_of(data, CALIBRATION_SAMPLES)
    if data is not None and has_unquantized(model):
        if levels is None:
            levels = levels_of_run(timesteps, neuron)
        model = quantize_activations(model, levels, data=data, calibration=calibration)
    if bias_correction and data is None:
        raise ValueError(
            "bias_correction=True measures errors on data, and there are none. "
            "Remedy: convert(..., data=x), a few hundred inputs."
        )
    made = plan(
        model,
        timesteps,
        neuron,
        input_steps=input_steps,
        fused=fused,
        bias_correction=bias_correction,
    )
    snn = build(made, name=f"{model.name}_snn")
    if bias_correction:
        correct_biases(source, snn, data)
    return snn


def levels_of_run(timesteps, neuron) -> int:
    """The levels that neurons tell apart in `timesteps` steps.

    Raises:
        ValueError: if the run has no number of steps that would say so.
    """
    if timesteps == "settle":
        raise ValueError(
            'timesteps="settle" with data: to how many levels are the activations '
            "to be quantized? Remedy: convert(..., levels=...)."
        )
    steps = check_timesteps(timesteps)
    chosen = list(neuron.values()) if isinstance(neuron, dict) else [neuron]
    kinds = [by_name.get(n) if isinstance(n, str) else type(n) for n in chosen]
    return max(kind.levels_of(steps) if kind else steps for kind in kinds)
