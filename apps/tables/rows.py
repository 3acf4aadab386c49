"""What is compared: the rows of each table, and what the papers print for them."""

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
class Paper:
    """What a paper prints beside a row.

    Attributes:
        text: Which paper and method, and its training budget.
        ann: Accuracy of its source network in percent, or None.
        snn: `{T: accuracy in percent}`.
    """

    text: str
    ann: float | None
    snn: dict


@dataclasses.dataclass(frozen=True)
class Table:
    """A data set and a network, and all methods on them.

    Attributes:
        dataset: The data set, as for `apps.data.load`.
        title: The data set, for people.
        network: The network, for people.
        timesteps: The T of its columns.
        rows: Its `Row`s.
        papers: `{row.key: Paper}`.
    """

    dataset: str
    title: str
    network: str
    timesteps: tuple
    rows: tuple
    papers: dict = dataclasses.field(default_factory=dict)


NEURONS = {
    "if": "integrate-and-fire",
    "srp": "SRP",
    "cos": "offset spikes (COS)",
    "signed": "signed",
    "bit_serial": "bit-serial",
}


def rows(method, source, *neurons):
    """The rows of one source network, with each of the neurons."""
    return tuple(Row(f"{method}, {NEURONS[n]}", source, n) for n in neurons)


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
CONVNET = (
    *FROM_DATA,
    *rows("LSQ p = 2", "plain", "if", "srp", "cos", "signed"),
    *rows("noise adaptor p = 2", "adaptor", "if", "signed"),
    *rows("QCFS L = 4", "qcfs", "if"),
    *rows("NQ L = 4", "nq", "if"),
    *rows("LSQ p = 15", "bits", "bit_serial"),
    *rows("LSQ p = 15, bit sparsity", "sparse", "bit_serial"),
    Row("noisy LIF, stage 2", "lif", "lif", ("stage=2",)),
    Row("noisy LIF, stage 3", "lif", "lif", ("stage=3",)),
)
RESNET20 = (
    *FROM_DATA,
    *rows("LSQ p = 3", "plain", *NEURONS),
    corrected("LSQ p = 3", "plain"),
    *rows("noise adaptor p = 3", "adaptor", *NEURONS),
    corrected("noise adaptor p = 3", "adaptor"),
    *rows("noise adaptor p = 3, 22 epochs", "adaptor_long", "if"),
    corrected("noise adaptor p = 3, 22 epochs", "adaptor_long"),
    *(
        row
        for p in (1, 2, 7)
        for row in (
            *rows(f"LSQ p = {p}", f"plain{p}", "if"),
            *rows(f"noise adaptor p = {p}", f"adaptor{p}", "if", "signed"),
        )
    ),
    *rows("noise adaptor p = 2, 35 epochs", "adaptor2_long", "if"),
    corrected("noise adaptor p = 2, 35 epochs", "adaptor2_long"),
    *rows("QCFS L = 4", "qcfs", "if"),
    *rows("NQ L = 4", "nq", *NEURONS),
    *rows("QCFS L = 4, from scratch", "qcfs_scratch", "if", "signed"),
    *rows("NQ L = 4, from scratch", "nq_scratch", "if", "signed"),
    *rows("LSQ p = 15", "bits", "if", "signed", "bit_serial"),
    *(
        row
        for strength in ("3e-8", "1e-7", "3e-7", "1e-6", "2e-6")
        for row in rows(
            f"LSQ p = 15, bit sparsity {strength}", f"sparse_{strength}", "bit_serial"
        )
    ),
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
VGG16 = (
    *WIDE,
    Row("noisy LIF, stage 2", "lif", "lif", ("stage=2",)),
    Row("noisy LIF, stage 3", "lif", "lif", ("stage=3",)),
)

CIFAR = (1, 2, 4, 6, 8, 16, 32, 64)

TABLES = {
    "cifar10": Table(
        "cifar10",
        "CIFAR-10, ResNet-20",
        "0.27 million parameters",
        CIFAR,
        RESNET20,
        {
            "adaptor_if": Paper(
                "Li 2023, p = 2, on ResNet-18, 160 epochs",
                94.97,
                {1: 93.71, 2: 95.26, 4: 95.95, 8: 96.61, 16: 96.72, 32: 96.74},
            ),
            "qcfs_if": Paper(
                "QCFS, in Huang et al. 2024",
                91.77,
                {
                    1: 62.43,
                    2: 73.2,
                    4: 83.75,
                    8: 89.55,
                    16: 91.62,
                    32: 92.24,
                    64: 92.35,
                },
            ),
            "nq_if": Paper(
                "Huang et al. 2024, 400 epochs",
                85.18,
                {
                    1: 65.99,
                    2: 77.3,
                    4: 84.54,
                    8: 87.43,
                    16: 88.26,
                    32: 88.51,
                    64: 88.45,
                },
            ),
            "bits_bit_serial": Paper(
                "Datta et al. 2024, 600 epochs",
                93.6,
                {2: 86.9, 4: 93.6, 6: 93.57, 8: 93.66, 16: 93.75, 32: 93.82},
            ),
        },
    ),
    "cifar10_resnet18": Table(
        "cifar10",
        "CIFAR-10, ResNet-18",
        "11.2 million parameters",
        CIFAR,
        RESNET18,
        {
            "plain_if": Paper(
                "Li 2023, without noise, 160 epochs",
                95.5,
                {1: 91.62, 2: 93.65, 4: 95.18, 8: 96.08, 16: 96.38},
            ),
            "adaptor_if": Paper(
                "Li 2023, 160 epochs",
                94.97,
                {1: 93.71, 2: 95.26, 4: 95.95, 8: 96.61, 16: 96.72, 32: 96.74},
            ),
            "adaptor1_if": Paper(
                "Li 2023, 160 epochs",
                93.65,
                {1: 94.38, 2: 94.96, 4: 95.35, 8: 95.57, 16: 95.69, 32: 95.69},
            ),
            "qcfs_if": Paper(
                "QCFS, in Huang et al. 2024",
                96.04,
                {2: 75.44, 4: 90.43, 8: 94.82, 16: 95.92, 32: 96.08},
            ),
            "nq_if": Paper(
                "Huang et al. 2024, 400 epochs",
                95.52,
                {1: 89.64, 2: 93.72, 4: 95.37, 8: 96.21, 16: 96.38, 32: 96.36},
            ),
            "sparse_bit_serial": Paper(
                "Datta et al. 2024, 600 epochs",
                96.68,
                {2: 96.12, 4: 96.68, 8: 96.67, 16: 96.73, 32: 96.7},
            ),
            "qffs_signed": Paper("Li et al. 2022, 40 epochs", 93.12, {4: 93.14}),
        },
    ),
    "cifar10_vgg16": Table(
        "cifar10",
        "CIFAR-10, VGG-16",
        "14.7 million parameters",
        (1, 2, 4, 5, 6, 8, 16, 32, 64),
        VGG16,
        {
            "nq_if": Paper(
                "Huang et al. 2024, 400 epochs",
                95.21,
                {1: 88.46, 2: 91.93, 4: 94.8, 8: 95.48, 16: 95.7, 32: 95.79},
            ),
            "sparse_bit_serial": Paper(
                "Datta et al. 2024, 600 epochs",
                95.82,
                {2: 94.21, 4: 95.82, 8: 95.82, 16: 95.84, 32: 95.81},
            ),
            "qffs_signed": Paper("Li et al. 2022, 40 epochs", 92.44, {4: 92.64}),
            "lif_lif_stage3": Paper(
                "Jiang and Zhang 2023, 1000 epochs", None, {5: 91.82}
            ),
        },
    ),
    "fashion_mnist": Table(
        "fashion_mnist",
        "Fashion-MNIST",
        "64C3-AP2-128C3-AP2-128C3-AP2-512FC-10FC",
        (1, 2, 4, 5, 8, 16),
        CONVNET,
        {"lif_lif_stage3": Paper("Jiang and Zhang 2023, 200 epochs", None, {5: 93.89})},
    ),
    "mnist": Table(
        "mnist",
        "MNIST",
        "64C3-AP2-128C3-AP2-128C3-AP2-512FC-10FC",
        (1, 2, 4, 5, 8, 16),
        (
            *CONVNET,
            *rows("noise adaptor p = 2, re-estimated", "adaptor_reestimated", "if"),
        ),
        {"lif_lif_stage3": Paper("Jiang and Zhang 2023, 100 epochs", None, {5: 99.61})},
    ),
    "digits": Table(
        "digits",
        "Digits of scikit-learn",
        "64C3-AP2-128C3-AP2-128C3-AP2-512FC-10FC",
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
