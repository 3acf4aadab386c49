"""Registers a rule for every Keras layer."""

from keras import layers, tree

from snn_keras._keras import LayerScale
from snn_keras.conversion.normalize import HAVE_ACTIVATION, innermost
from snn_keras.conversion.rules import (
    Affine,
    Bilinear,
    Difference,
    Identity,
    Linear,
    Neuron,
    Opaque,
    Rule,
    Unquantized,
    is_pair,
    rule,
    rule_for,
)
from snn_keras.graph import Node
from snn_keras.layers import (
    QCFS,
    LSQReLU,
    NoisySpike,
    QuantizedActivation,
    SlipReLU,
)
from snn_keras.layers.weighted import Weighted

rule(*HAVE_ACTIVATION)(Affine)
rule(layers.BatchNormalization, layers.Normalization, layers.Rescaling)(Affine)
rule(layers.Resizing)(Affine)  # it may pad with a constant
rule(
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.AdaptiveAveragePooling1D,
    layers.AdaptiveAveragePooling2D,
    layers.AdaptiveAveragePooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.CenterCrop,
    layers.RandomCrop,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.Reshape,
    layers.Flatten,
    layers.Permute,
    layers.RepeatVector,
    layers.Add,
    layers.Subtract,
    layers.Average,
    layers.Concatenate,
    LayerScale,
)(Linear)
rule(
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
    layers.AugMix,
    layers.CutMix,
    layers.MixUp,
    layers.RandAugment,
    layers.RandomBrightness,
    layers.RandomColorDegeneration,
    layers.RandomColorJitter,
    layers.RandomContrast,
    layers.RandomElasticTransform,
    layers.RandomErasing,
    layers.RandomFlip,
    layers.RandomGaussianBlur,
    layers.RandomGrayscale,
    layers.RandomHue,
    layers.RandomInvert,
    layers.RandomPerspective,
    layers.RandomPosterization,
    layers.RandomRotation,
    layers.RandomSaturation,
    layers.RandomSharpness,
    layers.RandomShear,
    layers.RandomTranslation,
    layers.RandomZoom,
)(Identity)
rule(QuantizedActivation, LSQReLU, QCFS, SlipReLU, NoisySpike)(Neuron)
rule(layers.ReLU)(Unquantized)


@rule(
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.AdaptiveMaxPooling1D,
    layers.AdaptiveMaxPooling2D,
    layers.AdaptiveMaxPooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.Maximum,
    layers.Minimum,
    layers.LeakyReLU,
    layers.PReLU,
)
class Homogeneous(Difference):
    """Rule for functions with f(c x) = c f(x), c > 0; sums need no decoding."""

    homogeneous = True


@rule(layers.Multiply, layers.Dot)
class Products(Opaque):
    """Rule for layers that multiply signals: of two, they are linear in each."""

    def of(self, node: Node) -> Rule:
        normalizes = getattr(node.operation, "normalize", False)
        return Bilinear() if is_pair(node) and not normalizes else self


@rule(layers.STFTSpectrogram)
class Spectrogram(Linear):
    """Rule for spectrograms: linear if they give the real or the imaginary part."""

    def is_linear(self, node: Node) -> bool:
        return innermost(node.operation).mode in ("real", "imag")


@rule(layers.ReversibleEmbedding)
class ReversibleEmbedding(Linear):
    """Rule for an embedding that, called in reverse, multiplies by its table."""

    def is_linear(self, node: Node) -> bool:
        reverse = node.kwargs.get("reverse", node.args[1:2] == (True,))
        return bool(reverse) and not innermost(node.operation).logit_soft_cap


@rule(Weighted)
class WithWeights(Rule):
    """Rule for an operation on signals and weights, as if these were constants."""

    def of(self, node: Node) -> Rule:
        last = _last_step(node)
        found = rule_for(last.operation)
        is_affine = isinstance(found, Linear) and found.is_linear(last)
        return Affine() if is_affine else Difference()


def _last_step(node):
    """The call of the only step that reads signals."""
    step = node.operation.steps[-1]
    signals = {f"tensor:{i}": x for i, x in enumerate(node.inputs)}
    args, kwargs = tree.map_structure(
        lambda x: signals.get(x, x) if isinstance(x, str) else x,
        (step["args"], step["kwargs"]),
    )
    return Node(node.name, step["operation"], args, kwargs, node.outputs)
