"""How the source networks were trained: one command each, many from another's network.

Budgets are those of two CPU cores.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Training:
    """What trains a source network.

    Attributes:
        options: Flags of `apps.train`.
        start: The source network that it starts from, or None.
    """

    options: str
    start: str | None = None


# What all trainings of a data set share.
SHARED = {
    "cifar10": "--model=resnet20 --optimizer=sgd --weight_decay=5e-3 --crop=4 --flip",
    "fashion_mnist": "--weight_decay=0.02 --crop=2 --flip",
    "mnist": "--weight_decay=0.02 --crop=2",
    "digits": "--batch_size=32",
}
FLOAT = "--quantizer=none --precision=mixed_bfloat16"
RESNET20 = "--learning_rate=0.05 --epochs=12"
CONVNET = "--learning_rate=5e-4"
QCFS = "--quantizer=qcfs --levels=4"
NQ = f"{QCFS} --noise=residual"

TRAININGS = {
    "cifar10_first": Training(
        f"{FLOAT} --learning_rate=0.1 --warmup_epochs=1 --epochs=40"
    ),
    "cifar10_float": Training(f"{FLOAT} --learning_rate=0.05 --epochs=16", "first"),
    "cifar10_plain": Training(f"{RESNET20} --levels=3", "float"),
    "cifar10_adaptor": Training(f"{RESNET20} --levels=3 --noise=adaptor", "float"),
    "cifar10_qcfs": Training(f"{RESNET20} {QCFS} --snn_timesteps=4", "float"),
    "cifar10_nq": Training(f"{RESNET20} {NQ} --snn_timesteps=4", "float"),
    "cifar10_bits": Training(f"{RESNET20} --levels=15", "float"),
    "fashion_mnist_float": Training("--quantizer=none --epochs=10"),
    "fashion_mnist_plain": Training("--levels=2 --epochs=20"),
    "fashion_mnist_adaptor": Training("--levels=2 --noise=adaptor --epochs=20"),
    "fashion_mnist_qcfs": Training(
        f"{CONVNET} {QCFS} --snn_timesteps=1,2,4 --epochs=6", "float"
    ),
    "fashion_mnist_nq": Training(
        f"{CONVNET} {NQ} --snn_timesteps=1,2,4 --epochs=6", "float"
    ),
    "fashion_mnist_bits": Training(f"{CONVNET} --levels=15 --epochs=5", "float"),
    "fashion_mnist_sparse": Training(
        f"{CONVNET} --quantizer=none --bit_sparsity=1.2e-5 --epochs=5", "bits"
    ),
    "fashion_mnist_lif": Training(
        "--quantizer=noisy_spike --learning_rate=2e-3 --epochs=8"
    ),
    "mnist_float": Training("--quantizer=none --epochs=6"),
    "mnist_plain": Training(f"{CONVNET} --levels=2 --epochs=2", "float"),
    "mnist_adaptor": Training(
        f"{CONVNET} --levels=2 --noise=adaptor --epochs=3", "float"
    ),
    "mnist_qcfs": Training(
        f"{CONVNET} {QCFS} --snn_timesteps=1,2,4 --epochs=3", "float"
    ),
    "mnist_nq": Training(f"{CONVNET} {NQ} --snn_timesteps=1,2,4 --epochs=3", "float"),
    "mnist_bits": Training(f"{CONVNET} --levels=15 --epochs=2", "float"),
    "mnist_sparse": Training(
        f"{CONVNET} --quantizer=none --bit_sparsity=1.2e-5 --epochs=2", "bits"
    ),
    "mnist_lif": Training("--quantizer=noisy_spike --learning_rate=2e-3 --epochs=3"),
    "digits_float": Training("--quantizer=none --epochs=10"),
    "digits_plain": Training("--levels=3 --epochs=10", "float"),
    "digits_adaptor": Training("--levels=3 --noise=adaptor --epochs=10", "float"),
}


def command(dataset, source, folder):
    """Flags of `apps.train` that make a source network in `folder`."""
    training = TRAININGS[f"{dataset}_{source}"]
    flags = [f"--dataset={dataset}", *SHARED[dataset].split()]
    flags += training.options.split()
    if training.start:
        flags.append(f"--init={folder / f'{dataset}_{training.start}.keras'}")
    return [*flags, f"--output={folder / f'{dataset}_{source}.keras'}"]


def chain(dataset, source):
    """The source networks to train, one after the other, up to this one."""
    start = TRAININGS[f"{dataset}_{source}"].start
    return [*(chain(dataset, start) if start else []), source]
