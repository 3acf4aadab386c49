"""The flags of `apps.train`: what is trained, how, and where."""

import sys

from absl import flags

from snn_keras import neurons

from . import recipes, schedules

FLAGS = flags.FLAGS

MODELS = [
    "mnist_convnet",
    "mnist_vit",
    "mobilenet_v2",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "vgg16",
]

# Those with a kind of pooling between stages.
POOLED = ("mnist_convnet", "vgg16")

QUANTIZERS = ["lsq", "none", "noisy_spike", "qcfs", "slip_relu"]

# Flags that a run that goes on may be given otherwise.
PLACES = {
    "coordinator",
    "data_dir",
    "output",
    "process",
    "processes",
    "progress",
    "replicas",
    "tensorboard",
    "whole_epochs",
    "xla",
}


def define():
    """Defines them all."""
    flags.DEFINE_string(
        "dataset", "digits", "Data set: digits, or the name of a TFDS image set."
    )
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_enum(
        "model", "mnist_convnet", MODELS, "Network of snn_keras.applications."
    )
    flags.DEFINE_enum(
        "pooling",
        "average",
        ["average", "max"],
        f"Pooling between the stages of --model={', '.join(POOLED)}.",
    )
    flags.DEFINE_string(
        "init",
        None,
        "Start from this .keras file; its plain ReLUs become --quantizer.",
    )
    flags.DEFINE_integer(
        "float_epochs",
        0,
        "Train a network of plain ReLUs for so many epochs first, and start from it.",
        lower_bound=0,
    )
    flags.DEFINE_enum(
        "recipe",
        None,
        sorted(recipes.RECIPES),
        f"Flags of a paper's training, where not given. {recipes.table()}",
    )
    flags.DEFINE_enum(
        "quantizer",
        "lsq",
        QUANTIZERS,
        "Activation; none is a plain ReLU, noisy_spike that of Jiang and Zhang 2023.",
    )
    flags.DEFINE_integer(
        "levels", 3, "Positive levels of an activation.", lower_bound=1
    )
    flags.DEFINE_enum(
        "products",
        "numbers",
        ["numbers", "spikes"],
        "What products between neurons take, with --init or --float_epochs: spikes "
        "quantizes what enters them, those of attention too.",
    )
    flags.DEFINE_integer(
        "output_levels",
        0,
        "Positive levels of a quantized ReLU behind the last layer, whose neurons then "
        "spike too (Li et al. 2022); 0 for none.",
        lower_bound=0,
    )
    flags.DEFINE_enum(
        "noise",
        "none",
        ["none", "adaptor", "residual", "uniform"],
        "Noise added in training: that of Li 2023 or of Huang et al. 2024; uniform is "
        "for --quantizer=noisy_spike, whose noise is Gaussian otherwise.",
    )
    flags.DEFINE_float(
        "delta",
        0.0,
        "Standard deviation of --noise=residual, one for all layers and epochs; 0 to "
        "measure it layer by layer after every epoch.",
        lower_bound=0.0,
    )
    flags.DEFINE_integer(
        "tau",
        0,
        "Time steps of the network that --noise=residual is measured on; 0 for as many "
        "as an activation has levels.",
        lower_bound=0,
    )
    flags.DEFINE_bool(
        "scale_gradient",
        False,
        "Divide the gradient of a quantization step by sqrt(features * levels), as the "
        "LSQ paper does.",
    )
    flags.DEFINE_float(
        "bit_sparsity",
        0.0,
        "Penalty on every one bit of an activation (Datta et al. 2024).",
        lower_bound=0.0,
    )
    flags.DEFINE_integer(
        "weight_bits",
        0,
        "Bits of a weight in training, 2 to 8 (snn_keras.quantize_weights); 0 for "
        "float weights.",
        lower_bound=0,
        upper_bound=8,
    )
    flags.DEFINE_float(
        "weight_sparsity",
        0.0,
        "With --weight_bits, the share of weights, the smallest of each layer, that "
        "are 0.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_enum(
        "loss", "crossentropy", ["crossentropy", "mse"], "Loss on the logits."
    )
    flags.DEFINE_integer("epochs", 20, "Passes over the training set.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 128, "Images a training step.", lower_bound=1)
    flags.DEFINE_enum("optimizer", "adamw", ["adamw", "sgd"], "Optimizer.")
    flags.DEFINE_float("learning_rate", 1e-3, "Highest learning rate.")
    flags.DEFINE_float(
        "float_learning_rate", None, "That of --float_epochs, if it is another."
    )
    flags.DEFINE_enum(
        "schedule",
        "cosine",
        schedules.SCHEDULES,
        "How the learning rate falls: cosine to 0, exponential to a hundredth.",
    )
    flags.DEFINE_float(
        "warmup_epochs", 0.0, "Epochs in which it rises first.", lower_bound=0.0
    )
    flags.DEFINE_float(
        "restart_epochs", 10.0, "Epochs from one warm restart to the next."
    )
    flags.DEFINE_float("momentum", 0.9, "Momentum of SGD.", lower_bound=0.0)
    flags.DEFINE_float(
        "weight_decay",
        1e-4,
        "Decoupled weight decay; PyTorch's at momentum 0.9 is a tenth of it.",
        lower_bound=0.0,
    )
    flags.DEFINE_float(
        "ema",
        0.0,
        "Momentum of a moving average of the weights, which is kept; 0 for none.",
        lower_bound=0.0,
    )
    flags.DEFINE_float("label_smoothing", 0.0, "Label smoothing.", lower_bound=0.0)
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "mixed_bfloat16", "mixed_float16", "float64"],
        "What layers compute in; the network is written in float32.",
    )
    flags.DEFINE_integer(
        "crop", 0, "Pixels to pad by, then crop at random.", lower_bound=0
    )
    flags.DEFINE_bool("flip", False, "Mirror half the training images.")
    flags.DEFINE_bool(
        "auto_augment", False, "Change images by AutoAugment's policy for CIFAR-10."
    )
    flags.DEFINE_integer(
        "cutout", 0, "Side of a square to blank at random.", lower_bound=0
    )
    flags.DEFINE_float(
        "mixup", 0.0, "Alpha by which pairs of samples are mixed.", lower_bound=0.0
    )
    flags.DEFINE_integer(
        "image_size",
        0,
        "Read images as the training goes, cropped at random and resized to this side "
        "(ImageNet: 224); 0 for a set of images of one size, held in memory.",
        lower_bound=0,
    )
    flags.DEFINE_integer("train_images", 0, "Use the first N only; 0 for all.")
    flags.DEFINE_list(
        "snn_timesteps",
        [],
        "Log the spiking network's accuracy at these time steps after every epoch, "
        "and keep the epoch, of the last third, that is best at the last of them.",
    )
    flags.DEFINE_enum(
        "snn_neuron",
        "auto",
        ["auto", *sorted(neurons.by_name)],
        "Neurons of that spiking network.",
    )
    flags.DEFINE_list(
        "snn_neuron_options",
        [],
        "Options of these neurons' cell: stage=3,alpha=8 or ceiling=None.",
    )
    flags.DEFINE_integer(
        "held_out",
        1000,
        "Training images held out for --snn_timesteps and --noise=residual.",
        lower_bound=1,
    )
    flags.DEFINE_float(
        "norm_momentum",
        0.99,
        "Momentum of batch normalization's statistics, of a network without --init.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_integer(
        "reestimate",
        0,
        "Estimate batch normalization's statistics anew in the end, with the noise of "
        "training off, on so many training images, in whole batches, augmented as in "
        "training; 0 to keep those of training.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "timesteps",
        0,
        "Train the spiking network itself, run for so many steps, by surrogate "
        "gradients (--snn_neuron, --levels); 0 to train its source network.",
        lower_bound=0,
    )
    flags.DEFINE_integer("seed", 0, "Seed of weights, order, augmentation and noise.")
    flags.DEFINE_string("output", "runs/model.keras", "Where to write the model.")
    flags.DEFINE_string("tensorboard", None, "Directory of logs for TensorBoard.")
    flags.DEFINE_enum(
        "xla",
        "auto",
        ["auto", "no", "yes"],
        "Compile training steps by XLA; auto: but for TensorFlow on a CPU, whose own "
        "kernels are about as fast there; with --timesteps always.",
    )
    flags.DEFINE_enum(
        "whole_epochs",
        "auto",
        ["auto", "no", "yes"],
        "Run a whole epoch as one program of the device, on JAX, of images held in "
        "memory; auto: where the device is no CPU.",
    )
    flags.DEFINE_enum("progress", "bar", ["bar", "line", "none"], "Progress report.")
    flags.DEFINE_integer(
        "replicas", 1, "Devices that share a batch; 0 for all.", lower_bound=0
    )
    flags.DEFINE_string(
        "coordinator", None, "HOST:PORT of process 0, where there are several."
    )
    flags.DEFINE_integer("processes", 1, "Number of processes.", lower_bound=1)
    flags.DEFINE_integer("process", 0, "Number of this process.", lower_bound=0)


def settings():
    """What is trained and how, by flag: all but the places."""
    return {flag.name: flag.value for flag in _own()}


def defaults():
    """The settings of flags that are not given.

    A file of an earlier version does not name flags that came later: it was made as
    their defaults say.
    """
    return {flag.name: flag.default for flag in _own()}


def _own():
    own = FLAGS.get_key_flags_for_module(sys.modules[__name__])
    return [flag for flag in own if flag.name not in PLACES]
