"""Which flags have a use beside which others; checked before anything is trained."""

from absl import app

STAIRCASES = ("lsq", "qcfs", "slip_relu")


def is_measured(stage):
    """Whether the noise of a stage is measured after every epoch."""
    return stage.noise == "residual" and not stage.delta


def check(stage):
    """Raises a UsageError where a stage has a setting that would do nothing.

    Args:
        stage: A `Stage` of `apps.train`.
    """
    for name, is_given, has_use, where in _rules(stage):
        if is_given and not has_use:
            value = stage.settings[name]
            value = ",".join(value) if isinstance(value, list) else value
            raise app.UsageError(f"--{name}={value} is of {where}.")
    wrong = [t for t in stage.snn_timesteps if not t.isdecimal() or int(t) < 1]
    if wrong:
        raise app.UsageError(
            f"--snn_timesteps must be integers >= 1. Received: {wrong[0]!r}"
        )


def _rules(stage):
    """Yields a setting, whether it is given, whether it has a use, and where it has."""
    of_source = not stage.timesteps
    quantizes = stage.quantizer in STAIRCASES
    spikes = stage.quantizer == "noisy_spike"
    residual = stage.noise == "residual"
    staircase = f"--quantizer={', '.join(STAIRCASES)}, without --timesteps"
    source = "a source network, without --timesteps"
    given = {name: bool(value) for name, value in stage.settings.items()}
    if stage.noise == "uniform":
        yield "noise", True, spikes, "--quantizer=noisy_spike"
    else:
        # What a network starts from may have residual noise, to be measured.
        useful = of_source and (quantizes or (stage.init and residual))
        yield "noise", stage.noise != "none", useful, staircase
    yield "delta", given["delta"], residual and quantizes, "--noise=residual"
    measured = "--noise=residual without --delta"
    yield "tau", given["tau"], is_measured(stage), measured
    yield "scale_gradient", given["scale_gradient"], quantizes and of_source, staircase
    useful = stage.init and quantizes
    where = "--init or --float_epochs, with a --quantizer"
    yield "products", stage.products != "numbers", useful, where
    # A network that another starts from has what it has.
    useful = of_source and (quantizes or (stage.init and stage.quantizer == "none"))
    yield "bit_sparsity", given["bit_sparsity"], useful, staircase
    yield (
        "weight_sparsity",
        given["weight_sparsity"],
        stage.weight_bits,
        "--weight_bits",
    )
    yield "output_levels", given["output_levels"], of_source, source
    yield "snn_timesteps", given["snn_timesteps"], of_source, source
    yield "reestimate", given["reestimate"], of_source, source
    useful = stage.snn_timesteps or stage.timesteps
    where = "--snn_timesteps or --timesteps"
    yield "snn_neuron", stage.snn_neuron not in ("auto", None), useful, where
    useful = stage.snn_neuron not in ("auto", None)
    where = "a --snn_neuron"
    yield "snn_neuron_options", given["snn_neuron_options"], useful, where
