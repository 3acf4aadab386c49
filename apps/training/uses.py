"""Which flags have a use beside which others; checked before anything is trained."""

from absl import app

from . import flags as training_flags

STAIRCASES = ("lsq", "qcfs", "slip_relu")


def is_measured(stage):
    """Whether the noise of a stage is measured after every epoch."""
    return stage.noise == "residual" and not stage.delta


def check(stage):
    """Raises a UsageError where a stage has a setting that would do nothing.

    Args:
        stage: A `Stage` of `apps.train`.
    """
    defaults = training_flags.defaults()
    for name, (has_use, where) in _uses(stage).items():
        value = stage.settings[name]
        if value not in (None, defaults[name]) and not has_use:
            value = ",".join(value) if isinstance(value, list) else value
            raise app.UsageError(f"--{name}={value} is of {where}.")
    wrong = [t for t in stage.snn_timesteps if not t.isdecimal() or int(t) < 1]
    if wrong:
        raise app.UsageError(
            f"--snn_timesteps must be integers >= 1. Received: {wrong[0]!r}"
        )


def _uses(stage):
    """Whether settings other than the default have a use, and where they have one."""
    of_source = not stage.timesteps
    quantizes = stage.quantizer in STAIRCASES
    residual = stage.noise == "residual"
    in_source = of_source, "a source network, without --timesteps"
    staircase = f"--quantizer={', '.join(STAIRCASES)}, without --timesteps"
    # A network that another starts from keeps its activations and their noise.
    goes_on = stage.init and stage.quantizer == "none"
    if stage.noise == "uniform":
        noise = stage.quantizer == "noisy_spike", "--quantizer=noisy_spike"
    else:
        noise = of_source and (quantizes or (goes_on and residual)), staircase
    follows = stage.snn_timesteps or stage.timesteps
    return {
        "pooling": (
            stage.model in training_flags.POOLED,
            f"--model={', '.join(training_flags.POOLED)}",
        ),
        "noise": noise,
        "delta": (residual and quantizes, "--noise=residual"),
        "tau": (is_measured(stage), "--noise=residual without --delta"),
        "scale_gradient": (quantizes and of_source, staircase),
        "products": (
            stage.init and quantizes,
            "--init or --float_epochs, with a --quantizer",
        ),
        "bit_sparsity": (of_source and (quantizes or goes_on), staircase),
        "weight_sparsity": (stage.weight_bits, "--weight_bits"),
        "output_levels": in_source,
        "snn_timesteps": in_source,
        "reestimate": in_source,
        "snn_neuron": (follows, "--snn_timesteps or --timesteps"),
        "snn_neuron_options": (
            stage.snn_neuron not in ("auto", None),
            "a --snn_neuron",
        ),
    }
