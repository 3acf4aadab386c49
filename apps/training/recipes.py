"""The papers' trainings by name: what flags are set to where they are not given."""

# Weight decay is decoupled here (see `schedules.make_optimizer`): the papers' 5e-4 of
# SGD with momentum 0.9 is 5e-3.
RECIPES = {
    # Li 2023: SGD 0.1, cosine, 160 epochs from a float network, p = 2.
    "noise_adaptor": {
        "quantizer": "lsq",
        "levels": 2,
        "noise": "adaptor",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 5e-3,
        "schedule": "cosine",
        "epochs": 160,
    },
    # Huang et al. 2024: SGD 0.1, cosine, 400 epochs, L = 4, AutoAugment and cutout, the
    # best spiking network at T = L.
    "nq": {
        "quantizer": "qcfs",
        "levels": 4,
        "noise": "residual",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 5e-3,
        "schedule": "cosine",
        "epochs": 400,
        "auto_augment": True,
        "cutout": 16,
        "snn_timesteps": ["4"],
    },
    # Datta et al. 2024: SGD 0.02, cosine, 600 epochs, Q = 16, penalty on bits, cutout
    # and AutoAugment.
    "bit_serial": {
        "quantizer": "lsq",
        "levels": 15,
        "bit_sparsity": 1e-8,
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "weight_decay": 5e-3,
        "schedule": "cosine",
        "epochs": 600,
        "cutout": 8,
        "auto_augment": True,
    },
    # Jiang and Zhang 2023: Adam 1e-4, squared error, warm restarts, 100 epochs (MNIST).
    "noisy_lif": {
        "quantizer": "noisy_spike",
        "loss": "mse",
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "schedule": "warm_restarts",
        "restart_epochs": 100,
        "epochs": 100,
    },
    # Li et al. 2022 (QFFS): SGD 0.01, exponential, 40 epochs from a float network,
    # 2 bit.
    "qffs": {
        "quantizer": "lsq",
        "levels": 3,
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "weight_decay": 5e-3,
        "schedule": "exponential",
        "epochs": 40,
    },
}


def apply(flag_values, name):
    """Sets what the recipe `name` says and the command line does not."""
    for flag, value in RECIPES[name].items():
        if not flag_values[flag].present:
            flag_values[flag].value = value


def table():
    """The recipes as text, for `--help`."""
    return "; ".join(
        f"{name}: " + " ".join(f"--{flag}={shown(v)}" for flag, v in recipe.items())
        for name, recipe in RECIPES.items()
    )


def shown(value):
    """A flag's value as it is given on the command line."""
    return ",".join(value) if isinstance(value, list) else value
