"""How the source networks were trained: one command each, many from another's network.

Budgets are those of two CPU cores; those of ResNet-18 and VGG-16 are the papers'.
"""

import dataclasses

from .rows import OUTPUT_LEVELS, POOLINGS, SPARSITY, SPARSITY_OF_SMALL, SWEPT, of_seed


@dataclasses.dataclass(frozen=True)
class Training:
    """What trains a source network.

    Attributes:
        options: Flags of `apps.train`.
        start: The source network that it starts from, or None.
    """

    options: str
    start: str | None = None


CIFAR = "--dataset=cifar10 --crop=4 --flip"
SGD = "--optimizer=sgd --weight_decay=5e-3"

# What all trainings of a table share.
SHARED = {
    "cifar10": f"{CIFAR} --model=resnet20 {SGD}",
    "cifar10_resnet18": f"{CIFAR} --model=resnet18",
    "cifar10_vgg16": f"{CIFAR} --model=vgg16",
    "fashion_mnist": "--dataset=fashion_mnist --weight_decay=0.02 --crop=2 --flip",
    "mnist": "--dataset=mnist --weight_decay=0.02 --crop=2",
    "digits": "--dataset=digits --batch_size=32",
}

FLOAT = "--quantizer=none --precision=mixed_bfloat16"
LONG = f"{FLOAT} {SGD} --learning_rate=0.1 --epochs=200"
RESNET20 = "--learning_rate=0.05 --epochs=12"
GENTLE = "--learning_rate=0.02 --epochs=12"
TWO_LEVELS = "--learning_rate=0.02 --weight_decay=2e-3 --scale_gradient"
CONVNET = "--learning_rate=5e-4"
QCFS = "--quantizer=qcfs --levels=4"
NQ = f"{QCFS} --noise=residual"
P3 = "--levels=3 --epochs=3"
FEW_BITS = "--quantizer=none --learning_rate=3e-4 --epochs=1"
LIF = "--quantizer=noisy_spike --learning_rate=2e-3"


# With and without noise.
PAIR = ("adaptor", "plain")


def of_levels(options, start, *levels):
    """LSQ with and without the noise adaptor, at other numbers of levels."""
    return {
        f"{source}{p}": Training(f"{options} --levels={p}{noise}", start)
        for p in levels
        for source, noise in (("plain", ""), ("adaptor", " --noise=adaptor"))
    }


def of_strengths(options, start, strengths):
    """Bit sparsity of several strengths."""
    return {
        f"sparse_{strength}": Training(
            f"{options} --quantizer=none --bit_sparsity={strength}", start
        )
        for strength in strengths
    }


# The papers' recipes; NQ's and LIF's begin with nothing, as there.
PAPERS = {
    "float": Training(LONG),
    "qcfs": Training("--recipe=nq --noise=none"),
    "nq": Training("--recipe=nq"),
    "sparse": Training("--recipe=bit_serial", "float"),
    "qffs": Training("--recipe=qffs --output_levels=7", "float"),
}

TRAININGS = {
    "cifar10": {
        "first": Training(f"{FLOAT} --learning_rate=0.1 --warmup_epochs=1 --epochs=40"),
        "float": Training(f"{FLOAT} --learning_rate=0.05 --epochs=16", "first"),
        "plain": Training(f"{RESNET20} --levels=3", "float"),
        "adaptor": Training(f"{RESNET20} --levels=3 --noise=adaptor", "float"),
        "adaptor_long": Training(
            "--learning_rate=0.02 --epochs=10 --quantizer=none", "adaptor"
        ),
        **of_levels(RESNET20, "float", 1, 7),
        **of_levels(f"{TWO_LEVELS} --epochs=30", "float", 2),
        "adaptor2_first": Training(
            f"{TWO_LEVELS} --epochs=20 --levels=2 --noise=adaptor", "float"
        ),
        "adaptor2_long": Training(
            "--learning_rate=0.02 --weight_decay=2e-3 --epochs=15 --quantizer=none",
            "adaptor2_first",
        ),
        "qcfs": Training(f"{GENTLE} {QCFS} --snn_timesteps=4", "float"),
        "nq": Training(f"{GENTLE} {NQ} --snn_timesteps=4", "float"),
        "qcfs_scratch": Training("--recipe=nq --noise=none --epochs=120"),
        "nq_scratch": Training("--recipe=nq --epochs=120"),
        "bits": Training(f"{RESNET20} --levels=15", "float"),
        **of_strengths("--learning_rate=0.02 --epochs=10", "bits", SPARSITY),
        # At that rate, from the network without, it comes to answer nothing.
        **of_strengths("--learning_rate=5e-3 --epochs=10", "sparse_1e-6", ["2e-6"]),
    },
    "cifar10_resnet18": {
        **PAPERS,
        "plain": Training("--recipe=noise_adaptor --noise=none", "float"),
        "adaptor": Training("--recipe=noise_adaptor", "float"),
        "adaptor1": Training("--recipe=noise_adaptor --levels=1", "float"),
    },
    "cifar10_vgg16": {
        **PAPERS,
        "lif": Training("--recipe=noisy_lif --epochs=1000"),
    },
    "fashion_mnist": {
        "float": Training("--quantizer=none --epochs=10"),
        "plain": Training("--levels=2 --epochs=20"),
        "adaptor": Training("--levels=2 --noise=adaptor --epochs=20"),
        # Weights stay as they are.
        "adaptor_reestimated": Training(
            "--quantizer=none --learning_rate=0 --epochs=1 --train_images=8192 "
            "--reestimate=8192",
            "adaptor",
        ),
        "qcfs": Training(f"{CONVNET} {QCFS} --snn_timesteps=1,2,4 --epochs=6", "float"),
        "nq": Training(f"{CONVNET} {NQ} --snn_timesteps=1,2,4 --epochs=6", "float"),
        "bits": Training(f"{CONVNET} --levels=15 --epochs=5", "float"),
        "sparse": Training(
            "--learning_rate=1e-3 --quantizer=none --bit_sparsity=2e-5 --epochs=5",
            "bits",
        ),
        **of_strengths("--learning_rate=1e-3 --epochs=5", "bits", SPARSITY_OF_SMALL),
        "plain3": Training(P3, "float"),
        **{
            f"output{p}": Training(f"{P3} --output_levels={p}", "float")
            for p in OUTPUT_LEVELS
        },
        **{f"{kind}_pool": Training(f"{P3} --pooling={kind}") for kind in POOLINGS},
        **{
            f"nq_{flag}{value}": Training(
                f"{CONVNET} {NQ} --{flag}={value} --epochs=6", "float"
            )
            for flag, value in SWEPT
        },
        "slip_relu": Training(
            f"{CONVNET} --quantizer=slip_relu --levels=4 --epochs=6", "float"
        ),
        "w8": Training(f"{FEW_BITS} --weight_bits=8", "bits"),
        "w4": Training(f"{FEW_BITS} --weight_bits=4", "bits"),
        "lif": Training(f"{LIF} --epochs=8"),
    },
    "mnist": {
        "float": Training("--quantizer=none --epochs=6"),
        "plain": Training("--levels=2 --epochs=6", "float"),
        "adaptor": Training("--levels=2 --noise=adaptor --epochs=6", "float"),
        "adaptor_reestimated": Training(
            "--levels=2 --noise=adaptor --epochs=6 --reestimate=8000", "float"
        ),
        "qcfs": Training(f"{CONVNET} {QCFS} --snn_timesteps=1,2,4 --epochs=3", "float"),
        "nq": Training(f"{CONVNET} {NQ} --snn_timesteps=1,2,4 --epochs=3", "float"),
        "bits": Training(f"{CONVNET} --levels=15 --epochs=2", "float"),
        "sparse": Training(
            "--learning_rate=2e-3 --quantizer=none --bit_sparsity=2e-5 --epochs=3",
            "bits",
        ),
        "lif": Training(f"{LIF} --epochs=3"),
        "lif_recipe": Training(
            "--recipe=noisy_lif --weight_decay=0 --restart_epochs=10 --epochs=10"
        ),
    },
    "digits": {
        "float": Training("--quantizer=none --epochs=10"),
        "plain": Training("--levels=3 --epochs=10", "float"),
        "adaptor": Training("--levels=3 --noise=adaptor --epochs=10", "float"),
    },
}


# Rows to be trained and measured, `(row, seed)`, in the order of `reproduce --queue`.
QUEUE = (
    ("fashion_mnist_w8_bit_serial", 0),
    ("fashion_mnist_w4_bit_serial", 0),
    *((f"cifar10_{source}2_if", seed) for seed in range(3) for source in PAIR),
    ("cifar10_nq_scratch_if", 0),
    ("cifar10_qcfs_scratch_if", 0),
    *((f"cifar10_{source}{p}_if", 0) for p in (1, 7) for source in PAIR),
    *((f"fashion_mnist_sparse_{x}_bit_serial", 0) for x in SPARSITY_OF_SMALL),
    ("mnist_adaptor_reestimated_if", 0),
    ("fashion_mnist_adaptor_reestimated_if", 0),
    *((f"cifar10_sparse_{strength}_bit_serial", 0) for strength in SPARSITY),
    ("mnist_lif_recipe_noisy_lif_stage3", 0),
    ("cifar10_nq_scratch_signed", 0),
    ("cifar10_adaptor2_signed", 0),
    *((f"fashion_mnist_plain3_{neuron}", 0) for neuron in ("if", "signed")),
    *((f"fashion_mnist_output{p}_signed", 0) for p in OUTPUT_LEVELS),
    *(
        (f"fashion_mnist_{kind}_pool_{neuron}", 0)
        for kind in POOLINGS
        for neuron in ("if", "signed")
    ),
    ("fashion_mnist_slip_relu_if", 0),
    *((f"fashion_mnist_nq_{flag}{value}_if", 0) for flag, value in SWEPT),
)


def command(table, source, folder, seed=0, start=None):
    """Flags of `apps.train` that make a source network in `folder`.

    What it starts from is the file `start`, or else the network of seed 0 in `folder`.
    """
    training = TRAININGS[table][source]
    flags = [*SHARED[table].split(), *training.options.split()]
    if training.start:
        start = start or folder / f"{table}_{training.start}.keras"
        flags.append(f"--init={start}")
    if seed:
        flags.append(f"--seed={seed}")
    output = folder / f"{of_seed(f'{table}_{source}', seed)}.keras"
    return [*flags, f"--output={output}"]


def chain(table, source):
    """The source networks to train, one after the other, up to this one."""
    start = TRAININGS[table][source].start
    return [*(chain(table, start) if start else []), source]
