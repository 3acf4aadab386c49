"""What is compared: the rows of each table."""

import dataclasses

import snn_keras

from ..evaluate import make_neuron


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        method: What the line is called.
        source: The source network, by the end of its file's name.
        neuron, options: As for `apps.evaluate`.
        levels, calibration: Thresholds from data, for a source network of plain
            ReLUs.
        bias_correction: Whether mean errors are corrected, for every T anew.
        last: The largest T evaluated, of those of the table; 0 for all.
    """

    method: str
    source: str
    neuron: str = "auto"
    options: tuple = ()
    levels: int = 0
    calibration: str = "mse"
    bias_correction: bool = False
    last: int = 0

    @property
    def key(self):
        """The row's name, for files and flags."""
        calibration = self.calibration if self.levels else ""
        corrected = "corrected" if self.bias_correction else ""
        words = [self.source, self.neuron, *self.options, calibration, corrected]
        return "_".join(w.replace("=", "") for w in words if w and w != "auto")

    @property
    def settles(self):
        """Whether its neurons come to rest: they are signed, and have a ceiling."""
        return self.neuron == "signed" and "ceiling=None" not in self.options

    @property
    def rounds(self):
        """Whether it is a trained network with integrate-and-fire neurons alone.

        What it loses is then told apart: to T levels, and to the order of spikes.
        """
        changed = self.options or self.levels or self.bias_correction
        return self.neuron == "if" and not changed

    def convert(self, model, timesteps, calibration):
        """The row's spiking network, made from its source network."""
        return snn_keras.convert(
            model,
            timesteps,
            make_neuron(self.neuron, self.options),
            data=calibration if self.levels or self.bias_correction else None,
            levels=self.levels or None,
            calibration=self.calibration,
            bias_correction=self.bias_correction,
        )


@dataclasses.dataclass(frozen=True)
class Table:
    """A data set and a network, and all methods on them.

    Attributes:
        dataset: The data set, as for `apps.data.load`.
        title: The data set, for people.
        network: The network, for people.
        timesteps: The T of its columns.
        rows: Its `Row`s.
    """

    dataset: str
    title: str
    network: str
    timesteps: tuple
    rows: tuple


# What they are called, their name in `apps.evaluate`, their options, and the largest T.
# The unbounded ones come to no end: 16 is that of a table of Li 2023.
NEURONS = {
    "if": ("integrate-and-fire", "if", (), 0),
    "srp": ("SRP", "srp", (), 0),
    "cos": ("offset spikes (COS)", "cos", (), 0),
    "signed": ("signed", "signed", (), 0),
    "unbounded": ("signed, input on, no ceiling", "signed", ("ceiling=None",), 16),
    "bit_serial": ("bit-serial", "bit_serial", (), 0),
}


def rows(method, source, *neurons, last=0):
    """The rows of one source network, with each of the neurons."""
    made = []
    for neuron in neurons:
        called, name, options, own = NEURONS[neuron]
        called = f"{method}, {called}"
        made.append(Row(called, source, name, options, last=last or own))
    return tuple(made)


def sparse(strengths):
    """The rows of networks with few bits, of several strengths of the penalty."""
    return tuple(
        row
        for strength in strengths
        for row in rows(
            f"LSQ p = 15, bit sparsity {strength}", f"sparse_{strength}", "bit_serial"
        )
    )


def corrected(method, source):
    """The row of a source network with integrate-and-fire neurons, biases corrected."""
    method = f"{method}, integrate-and-fire, biases corrected"
    return Row(method, source, "if", bias_correction=True, last=16)


FROM_DATA = (
    Row("thresholds from data, max (v0 = 0)", "float", "if", ("initial=0",), 16, "max"),
    Row("thresholds from data, percentile", "float", "if", (), 16, "percentile"),
    Row("thresholds from data, MSE", "float", "if", (), 16),
    corrected("thresholds from data, MSE for T levels", "float"),
)
# Of Jiang and Zhang 2023: both stages, their sweep of alpha, and the other noise.
NOISY_LIF = tuple(
    Row(f"noisy LIF, {called}", "lif", "noisy_lif", options)
    for called, options in (
        ("stage 2", ("stage=2",)),
        ("stage 3", ("stage=3",)),  # alpha = 4
        *((f"stage 3, alpha = {a}", ("stage=3", f"alpha={a}")) for a in (2, 8, 16)),
        ("stage 2, uniform noise", ("stage=2", "noise=uniform")),
        ("stage 3, uniform noise", ("stage=3", "noise=uniform")),
    )
)
CONVNET = (
    *FROM_DATA,
    *rows("LSQ p = 2", "plain", "if", "srp", "cos", "signed", "unbounded"),
    *rows("noise adaptor p = 2", "adaptor", "if", "cos", "signed", "unbounded"),
    *rows("noise adaptor p = 2, re-estimated", "adaptor_reestimated", "if"),
    *rows("QCFS L = 4", "qcfs", "if"),
    *rows("NQ L = 4", "nq", "if"),
    *rows("LSQ p = 15", "bits", "bit_serial"),
    *rows("LSQ p = 15, bit sparsity", "sparse", "bit_serial"),
    *NOISY_LIF,
)
# Strengths of the penalty on bits; "sparse" of the small network has 2e-5.
SPARSITY = ("3e-8", "1e-7", "3e-7", "1e-6", "2e-6")
SPARSITY_OF_SMALL = ("2e-6", "6e-6", "6e-5", "2e-4")
# Li et al. 2022's ablation: levels of the output, which is then spikes; pooling.
OUTPUT_LEVELS = (3, 7, 15)
POOLINGS = ("average", "max")
ABLATION = (
    *rows("LSQ p = 3", "plain3", "if", "signed"),
    *(
        row
        for p in OUTPUT_LEVELS
        for row in rows(f"LSQ p = 3, output p = {p}", f"output{p}", "signed")
    ),
    *(
        row
        for kind in POOLINGS
        for row in rows(
            f"LSQ p = 3, {kind} pooling, from scratch", f"{kind}_pool", "if", "signed"
        )
    ),
)
# Huang et al. 2024: flags of the noise and their values. Then another staircase.
SWEPT = tuple(
    (flag, value)
    for flag, values in (("tau", (1, 2, 8)), ("delta", (0.05, 0.2)))
    for value in values
)
NQ_SWEEP = (
    *(
        row
        for flag, value in SWEPT
        for row in rows(f"NQ L = 4, {flag} = {value}", f"nq_{flag}{value}", "if")
    ),
    *rows("SlipReLU L = 4", "slip_relu", "if"),
)
# Corrections of noise, beside Li 2023's table of them.
CORRECTIONS = ("cos", "signed", "unbounded")
RESNET20 = (
    *FROM_DATA,
    *rows("LSQ p = 3", "plain", *NEURONS),
    corrected("LSQ p = 3", "plain"),
    *rows("noise adaptor p = 3", "adaptor", *NEURONS),
    corrected("noise adaptor p = 3", "adaptor"),
    *rows("noise adaptor p = 3, 22 epochs", "adaptor_long", "if"),
    corrected("noise adaptor p = 3, 22 epochs", "adaptor_long"),
    *rows("LSQ p = 2", "plain2", "if"),
    *rows("LSQ p = 2", "plain2", *CORRECTIONS, last=16),
    *rows("noise adaptor p = 2", "adaptor2", "if"),
    *rows("noise adaptor p = 2", "adaptor2", *CORRECTIONS, last=16),
    *rows("noise adaptor p = 2, 35 epochs", "adaptor2_long", "if"),
    corrected("noise adaptor p = 2, 35 epochs", "adaptor2_long"),
    *(
        row
        for p in (1, 7)
        for row in (
            *rows(f"LSQ p = {p}", f"plain{p}", "if"),
            *rows(f"noise adaptor p = {p}", f"adaptor{p}", "if", "signed"),
        )
    ),
    *rows("QCFS L = 4", "qcfs", "if"),
    *rows("NQ L = 4", "nq", *NEURONS),
    *rows("QCFS L = 4, from scratch", "qcfs_scratch", "if", "signed"),
    *rows("NQ L = 4, from scratch", "nq_scratch", "if", "signed"),
    *rows("LSQ p = 15", "bits", "if", "signed", "bit_serial"),
    *sparse(SPARSITY),
)
# With the papers' budgets.
WIDE = (
    *rows("QCFS L = 4", "qcfs", "if"),
    *rows("NQ L = 4", "nq", "if"),
    *rows("LSQ p = 15, bit sparsity", "sparse", "bit_serial"),
    *rows("LSQ p = 3, output p = 7", "qffs", "signed"),
)
RESNET18 = (
    *rows("LSQ p = 2", "plain", *NEURONS),
    *rows("noise adaptor p = 2", "adaptor", *NEURONS),
    *rows("noise adaptor p = 1", "adaptor1", "if"),
    *WIDE,
)
VGG16 = (*WIDE, *NOISY_LIF)

CIFAR = (1, 2, 4, 6, 8, 16, 32, 64)

CONVNET_LAYERS = "64C3-AP2-128C3-AP2-128C3-AP2-512FC-10FC"
SMALL = (1, 2, 4, 5, 8, 16)

TABLES = {
    "cifar10": Table(
        "cifar10", "CIFAR-10, ResNet-20", "0.27 million parameters", CIFAR, RESNET20
    ),
    "cifar10_resnet18": Table(
        "cifar10", "CIFAR-10, ResNet-18", "11.2 million parameters", CIFAR, RESNET18
    ),
    "cifar10_vgg16": Table(
        "cifar10",
        "CIFAR-10, VGG-16",
        "14.7 million parameters",
        (1, 2, 4, 5, 6, 8, 16, 32, 64),
        VGG16,
    ),
    "fashion_mnist": Table(
        "fashion_mnist",
        "Fashion-MNIST",
        CONVNET_LAYERS,
        SMALL,
        (
            *CONVNET,
            *sparse(SPARSITY_OF_SMALL),
            *ABLATION,
            *NQ_SWEEP,
            *rows("LSQ p = 15, weights of 8 bits", "w8", "bit_serial"),
            *rows("LSQ p = 15, weights of 4 bits", "w4", "bit_serial"),
        ),
    ),
    "mnist": Table(
        "mnist",
        "MNIST",
        CONVNET_LAYERS,
        SMALL,
        (
            *CONVNET,
            Row(
                "noisy LIF, stage 3, the paper's recipe, 10 epochs",
                "lif_recipe",
                "noisy_lif",
                ("stage=3",),
            ),
        ),
    ),
    "digits": Table(
        "digits",
        "Digits of scikit-learn",
        CONVNET_LAYERS,
        (1, 2, 4, 8, 16),
        (
            *rows("LSQ p = 3", "plain", *NEURONS),
            *rows("noise adaptor p = 3", "adaptor", "if"),
        ),
    ),
}


def named():
    """All rows and their tables: `{"cifar10_plain_if": ("cifar10", row), ...}`."""
    return {
        f"{name}_{row.key}": (name, row)
        for name, table in TABLES.items()
        for row in table.rows
    }


def of_seed(name, seed):
    """What a row, or a source network, is called that was trained with a seed."""
    return f"{name}_seed{seed}" if seed else name
