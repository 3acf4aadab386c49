"""The papers' tables and figures, theirs and ours side by side, as data.

Their numbers are as printed, in percent; `page.py` renders them.
"""

import dataclasses

from .rows import (
    OUTPUT_LEVELS,
    POOLINGS,
    SPARSITY,
    SPARSITY_OF_SMALL,
    SWEPT,
    TABLES,
)


@dataclasses.dataclass(frozen=True)
class Theirs:
    """A line that a paper prints.

    Attributes:
        text: The method.
        network: Data set and network.
        ann: Accuracy of its source network, or None.
        snn: Accuracy at each T of the table, or None where there is none.
    """

    text: str
    network: str
    ann: float | None
    snn: tuple


@dataclasses.dataclass(frozen=True)
class Ours:
    """A line of ours: a row, by its table's name and its key."""

    table: str
    key: str

    @property
    def row(self):
        """The row."""
        return next(row for row in TABLES[self.table].rows if row.key == self.key)


@dataclasses.dataclass(frozen=True)
class PaperTable:
    """A table or figure of a paper.

    Attributes:
        title: Its number in the paper, and what it shows.
        timesteps: The T of the columns.
        lines: `Theirs` and `Ours`.
        note: What is to be known of it: what is not shown, and why.
        columns: Titles of the columns, where they are not `T = ...`.
        with_costs: Whether it shows spikes and energy.
    """

    title: str
    timesteps: tuple
    lines: tuple
    note: str = ""
    columns: tuple = ()
    with_costs: bool = False


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure of a paper with our figures alone: a file in docs/results/."""

    title: str
    file: str
    note: str


@dataclasses.dataclass(frozen=True)
class Paper:
    """A paper, what it claims its figures for, and what our rows can show of it.

    Attributes:
        title: Authors, year and subject.
        datasets: Data sets of its claims, as `Table.dataset` names them.
        claimed_on: The same for people, with the networks.
        tables: Its `PaperTable`s and `Picture`s.
    """

    title: str
    datasets: tuple
    claimed_on: str
    tables: tuple


def ours(table, *keys):
    """Rows of one table."""
    return tuple(Ours(table, key) for key in keys)


def pair(ending, *tables):
    """Rows with and without the noise adaptor."""
    return tuple(
        line
        for table in tables
        for line in ours(table, f"plain{ending}", f"adaptor{ending}")
    )


RESNET18 = "CIFAR-10, ResNet-18"
RESNET20 = "CIFAR-10, ResNet-20"
VGG16 = "CIFAR-10, VGG-16"
IMAGENET = "ImageNet, ResNet-50"
SMALL = ("fashion_mnist", "mnist")
TO_64 = (1, 2, 4, 8, 16, 32, 64)

# Of Li 2023's table 3, without correction of noise.
COMPARED = (
    ("QCFS p = 4", 96.04, (None, 75.44, 90.43, 94.82, 95.92, 96.08, 96.06)),
    ("SlipReLU", 94.61, (93.11, 93.97, 94.59, 94.92, 95.18, 95.07, 94.81)),
    ("SlipReLU p = 4", 96.15, (86.52, 90.78, 93.84, 95.48, 96.1, 96.12, 96.22)),
    ("TTRBR p = 32", 95.27, (None, None, None, None, 93.99, 94.77, 95.04)),
    ("noise adaptor p = 1", 93.65, (94.38, 94.96, 95.35, 95.57, 95.69, 95.69, 95.68)),
    ("noise adaptor p = 2", 94.97, (93.71, 95.26, 95.95, 96.61, 96.72, 96.74, 96.72)),
    ("noise adaptor p = 3", 96.0, (90.6, 93.35, 95.08, 96.12, 96.52, 96.44, 96.47)),
    ("noise adaptor p = 4", 95.98, (87.11, 91.4, 93.98, 95.67, 96.19, 96.3, 96.29)),
)

LI_2023 = Paper(
    "Li 2023: noise adaptor",
    ("cifar10",),
    "CIFAR-10 with ResNet-18 (p = 2) and ImageNet with ResNets",
    (
        PaperTable(
            "Table 1: with and without the noise adaptor",
            (1, 2, 4, 8, 16),
            (
                Theirs("without", RESNET18, 95.5, (91.62, 93.65, 95.18, 96.08, 96.38)),
                Theirs("with", RESNET18, 94.97, (93.71, 95.26, 95.95, 96.61, 96.72)),
                *pair("_if", "cifar10_resnet18"),
                *pair("2_if", "cifar10"),
                *pair("_if", *SMALL),
                *(Ours(table, "adaptor_reestimated_if") for table in SMALL),
            ),
            "The paper trains for 160 epochs. All lines are of p = 2. Re-estimated: "
            "batch normalization has the statistics of some 8,000 training images, "
            "augmented as in training, without noise.",
        ),
        PaperTable(
            "Table 3: number of levels p",
            TO_64,
            (
                *(Theirs(method, RESNET18, ann, snn) for method, ann, snn in COMPARED),
                *ours("cifar10_resnet18", "adaptor1_if", "adaptor_if"),
                *(
                    Ours("cifar10", f"adaptor{p}_if")
                    for p in ("1", "2", "", "7")  # without a number: 3
                ),
                Ours("fashion_mnist", "slip_relu_if"),
            ),
            "QCFS, SlipReLU and TTRBR (Meng et al. 2022) are what the paper compares "
            "with; the p of the first line of SlipReLU cannot be read in our copy.",
        ),
        PaperTable(
            "Table 5: the noise adaptor with corrections of noise",
            (1, 2, 4, 8, 16),
            (
                Theirs("none", IMAGENET, 73.72, (7.79, 9.97, 17.0, 35.99, 59.05)),
                Theirs(
                    "negative spikes",
                    IMAGENET,
                    73.72,
                    (7.79, 53.42, 69.74, 72.88, 73.94),
                ),
                Theirs(
                    "offset spikes (lightweight)",
                    IMAGENET,
                    73.72,
                    (63.42, 64.84, 66.34, 68.43, 70.6),
                ),
                *(
                    Ours(table, f"{source}_{neuron}")
                    for table, *sources in (
                        ("cifar10", "adaptor2", "plain2", "adaptor", "plain"),
                        ("fashion_mnist", "adaptor", "plain"),
                        ("mnist", "adaptor", "plain"),
                    )
                    for source in sources
                    for neuron in ("if", "cos", "signed", "signed_ceilingNone")
                ),
            ),
            "The paper's three lines end at 75.24, 74.72 and 73.37 at T >= 256: "
            "negative spikes come out above the source network, so its input stays on "
            "and no ceiling holds the count (*signed, input on, no ceiling*). With Li "
            "et al. 2022's ceiling and input of P steps (*signed*) they end at the "
            "source network. Its table 4, of CIFAR-10 and ResNet-18, has no figures "
            "in the copy that we have.",
        ),
    ),
)

HUANG_2024 = Paper(
    "Huang et al. 2024: explicit residual error (NQ)",
    ("cifar10", "cifar100"),
    "CIFAR-10 and CIFAR-100 with VGG-16, ResNet-18 and ResNet-20",
    (
        PaperTable(
            "Table 1: QCFS and NQ, L = 4",
            TO_64,
            (
                *(
                    Theirs(method, network, ann, snn)
                    for network, method, ann, snn in (
                        (
                            *(RESNET20, "QCFS", 91.77),
                            (62.43, 73.2, 83.75, 89.55, 91.62, 92.24, 92.35),
                        ),
                        (
                            *(RESNET20, "NQ", 85.18),
                            (65.99, 77.3, 84.54, 87.43, 88.26, 88.51, 88.45),
                        ),
                        (
                            *(RESNET18, "QCFS", 96.04),
                            (None, 75.44, 90.43, 94.82, 95.92, 96.08, 96.06),
                        ),
                        (
                            *(RESNET18, "NQ", 95.52),
                            (89.64, 93.72, 95.37, 96.21, 96.38, 96.31, 96.36),
                        ),
                        (
                            *(VGG16, "QCFS", 95.52),
                            (88.41, 91.18, 93.96, 94.95, 95.4, 95.54, 95.55),
                        ),
                        (
                            *(VGG16, "NQ", 95.21),
                            (88.46, 91.93, 94.8, 95.48, 95.7, 95.79, 95.72),
                        ),
                    )
                ),
                *ours("cifar10", "qcfs_scratch_if", "nq_scratch_if"),
                *ours("cifar10", "qcfs_scratch_signed", "nq_scratch_signed"),
                *ours("cifar10", "qcfs_if", "nq_if"),
                *ours("cifar10_resnet18", "qcfs_if", "nq_if"),
                *ours("cifar10_vgg16", "qcfs_if", "nq_if"),
                *ours("fashion_mnist", "qcfs_if", "nq_if"),
                *ours("mnist", "qcfs_if", "nq_if"),
            ),
            "The paper trains for 400 epochs from nothing; *from scratch* here are "
            "120, the others are fine-tuned from a float network. The paper's neurons "
            "are integrate-and-fire.",
        ),
        PaperTable(
            "Figures 4 and 7: one strength for all layers, and tau",
            (1, 2, 4, 8, 16),
            ours(
                "fashion_mnist",
                *("qcfs_if", "nq_if"),
                *(f"nq_{flag}{value}_if" for flag, value in SWEPT),
            ),
            "The noise of NQ is measured on a network of tau steps, L = 4 where none "
            "is named; delta is one strength for all layers and epochs. The paper "
            "draws curves of VGG-16 and ResNet-20.",
        ),
        Picture(
            "Figure 2: errors of neurons at T = L",
            "error_shares.png",
            "What neurons send minus what the source computes, of the first, the "
            "middle and the last layer of neurons of ResNet-20, on CIFAR-10 (`python "
            "-m apps.errors`); the paper draws VGG-16. The first has none, but for "
            "what float32 rounds; of the others 73 to 89 % have none, and the rest "
            "lie on both sides of 0.",
        ),
        Picture(
            "Figure 5: source and spiking network over the epochs",
            "epochs.png",
            "ResNet-20 on CIFAR-10, from scratch; the paper draws VGG-16. Source and "
            "spiking network are best at epochs 117 and 107 (QCFS), 118 and 119 (NQ).",
        ),
    ),
)

DATTA_2024 = Paper(
    "Datta et al. 2024: bit-serial neurons, bit sparsity",
    ("cifar10", "cifar100", "imagenet"),
    "CIFAR-10, CIFAR-100 and ImageNet with VGG-16, ResNets and MobileNetV2",
    (
        PaperTable(
            "Table 1: Q = 16, lambda = 1e-8",
            (2, 4, 6, 8, 16, 32),
            (
                *(
                    Theirs(method, network, ann, snn)
                    for network, method, ann, snn in (
                        (
                            *(RESNET20, "QCFS", 91.77),
                            (73.2, 83.75, 83.79, 89.55, 91.62, 92.24),
                        ),
                        (
                            *(RESNET20, "offset spikes, 4 steps before T", 93.3),
                            (None, None, 89.88, 91.26, 92.15, 92.18),
                        ),
                        (
                            *(RESNET20, "bit-serial", 93.6),
                            (86.9, 93.6, 93.57, 93.66, 93.75, 93.82),
                        ),
                        (
                            *(RESNET18, "bit-serial", 96.68),
                            (96.12, 96.68, 96.65, 96.67, 96.73, 96.7),
                        ),
                        (
                            *(VGG16, "bit-serial", 95.82),
                            (94.21, 95.82, 95.79, 95.82, 95.84, 95.81),
                        ),
                    )
                ),
                *ours(
                    *("cifar10", "bits_bit_serial", "sparse_1e-7_bit_serial"),
                    *("sparse_1e-6_bit_serial", "qcfs_scratch_if", "plain_cos"),
                ),
                Ours("cifar10_resnet18", "sparse_bit_serial"),
                Ours("cifar10_vgg16", "sparse_bit_serial"),
                *(
                    Ours(table, f"{source}_bit_serial")
                    for table in SMALL
                    for source in ("bits", "sparse")
                ),
            ),
            "The paper trains for 600 epochs. We take p = 15 for its Q = 16: a level "
            "of 16 would need a fifth bit.",
        ),
        PaperTable(
            "Figures 5 and 6: accuracy and spikes by the strength lambda",
            (2, 4, 6, 8),
            (
                *ours("cifar10", "bits_bit_serial"),
                *(Ours("cifar10", f"sparse_{x}_bit_serial") for x in SPARSITY),
                *(
                    Ours("fashion_mnist", f"sparse_{x}_bit_serial")
                    for x in SPARSITY_OF_SMALL
                ),
                *(
                    Ours(table, f"{source}_bit_serial")
                    for table in SMALL
                    for source in ("bits", "sparse")
                ),
            ),
            "The paper draws curves: from 0 to 5e-8 spikes fall 2.5 to 4.1 times; "
            "ResNet-18 on CIFAR-10 has 0.53 a neuron without and 0.22 with 1e-8, for "
            "at most 0.2 points. Its strengths are those of 600 epochs, ours of 10 "
            "from the network without, 5 on Fashion-MNIST; 2e-6 of ResNet-20 starts "
            "from 1e-6. Where no strength is named, it is 2e-5.",
            with_costs=True,
        ),
        Picture(
            "Figure 2a: size of the error by T",
            "error_sizes.png",
            "Of integrate-and-fire neurons, mean of all layers of ResNet-20, on "
            "CIFAR-10 (`python -m apps.errors`). Bit-serial neurons have none at T = "
            "4.",
        ),
        Picture(
            "Figure 4b: spikes by method",
            "spikes.png",
            "ResNet-20 on CIFAR-10, T = 4, spikes of a run; the paper draws the "
            "spiking activity of VGG-16 and ResNet-20.",
        ),
    ),
)

JIANG_2023 = Paper(
    "Jiang and Zhang 2023: training at T = 1 with noise",
    ("mnist", "fashion_mnist", "cifar10"),
    "MNIST, Fashion-MNIST, and CIFAR-10 with VGG-16 and ResNet-18",
    (
        PaperTable(
            "Table 2: accuracy at T = 5",
            (1, 5, 8, 16),
            (
                Theirs("stage 3", "MNIST", None, (None, 99.61, None, None)),
                Theirs("stage 3", "Fashion-MNIST", None, (None, 93.89, None, None)),
                Theirs("stage 3", VGG16, None, (None, 91.82, None, None)),
                *ours("mnist", "lif_noisy_lif_stage3", "lif_recipe_noisy_lif_stage3"),
                *ours("fashion_mnist", "lif_noisy_lif_stage3"),
                *ours("cifar10_vgg16", "lif_noisy_lif_stage3"),
            ),
            "The paper trains for 100 (MNIST), 200 and 1,000 epochs, we for 3 (MNIST) "
            "and 8 at a rate of 2e-3; the paper's recipe, 1e-4, for 10. Our small "
            "network has batch normalization.",
        ),
        PaperTable(
            "Figure 6: alpha, and figure 7: uniform noise",
            (1, 2, 4, 8, 16),
            tuple(
                Ours(table, f"lif_noisy_lif_{options}")
                for table in SMALL
                for options in (
                    *("stage2", "stage3", "stage3_alpha2", "stage3_alpha8"),
                    *("stage3_alpha16", "stage2_noiseuniform", "stage3_noiseuniform"),
                )
            ),
            "The paper draws curves, of CIFAR-10 alone: with alpha = 2, no noise, "
            "more steps gain little; with more they gain, and alike. Stage 2 is alpha "
            "= infinity; where no alpha stands it is 4. Here uniform noise is that of "
            "the run; a network trained with it is not shown (`--noise=uniform` "
            "trains one). Figures 4 and 5, time of training: [training](training.md).",
        ),
    ),
)

LI_2022 = Paper(
    "Li et al. 2022: quantization framework (QFFS)",
    ("cifar10", "imagenet"),
    "CIFAR-10 with ResNet-18 and VGG-16, and ImageNet",
    (
        PaperTable(
            "Table 3: 2 bits, T = 4",
            (4, 8),
            (
                Theirs("QFFS, 3 bits at the output", RESNET18, 93.12, (93.14, None)),
                Theirs("QFFS, 3 bits at the output", VGG16, 92.44, (92.64, None)),
                Ours("cifar10_resnet18", "qffs_signed"),
                Ours("cifar10_vgg16", "qffs_signed"),
                *ours("cifar10", "plain_signed", "adaptor_signed"),
            ),
            "p = 3 are 2 bits. Where no bits are named, the output does not spike.",
        ),
        PaperTable(
            "Table 4: what each mechanism adds",
            (3, 8),
            (
                Theirs("default", IMAGENET, None, (0.01, None)),
                Theirs("+ negative spikes", IMAGENET, None, (10.64, None)),
                Theirs("+ more steps", IMAGENET, None, (None, 67.29)),
                Theirs("+ max pooling", IMAGENET, None, (None, 68.69)),
                Theirs("+ more bits at the output", IMAGENET, 70.15, (None, 70.18)),
                *ours("cifar10", "plain_if", "plain_signed"),
                *ours("cifar10", "adaptor_if", "adaptor_signed"),
            ),
            "Ours are to be read as the paper's: integrate-and-fire neurons at T = P "
            "(default), signed ones at T = P (+ negative spikes) and at T = 8 (+ more "
            "steps; the paper names no T). Their output does not spike.",
            ("T = P = 3", "T = 8"),
        ),
        PaperTable(
            "Table 4, pooling, and figure 8, bits at the output",
            (1, 2, 3, 4, 8, 16),
            ours(
                "fashion_mnist",
                "plain3_signed",
                *(f"output{p}_signed" for p in OUTPUT_LEVELS),
                *(
                    f"{kind}_pool_{neuron}"
                    for kind in POOLINGS
                    for neuron in ("if", "signed")
                ),
            ),
            "Output p = 3, 7 and 15 are 2, 3 and 4 bits; the first line's output does "
            "not spike. Three epochs from one float network, pooling is compared from "
            "nothing. The paper, ResNet-50 on ImageNet: the third bit adds 1.49 points "
            "and a step.",
        ),
        PaperTable(
            "Figure 3: without correction, by precision, at T = P",
            (1, 3, 7, 15),
            ours("cifar10", "plain1_if", "plain_if", "plain7_if", "bits_if"),
            "To be read along the diagonal, T = P: 1, 2, 3 and 4 bits. The paper draws "
            "it for VGG-16 on ImageNet: with more than one bit far below the source.",
        ),
    ),
)

PAPERS = {
    "li2023": LI_2023,
    "huang2024": HUANG_2024,
    "datta2024": DATTA_2024,
    "jiang2023": JIANG_2023,
    "li2022": LI_2022,
}
