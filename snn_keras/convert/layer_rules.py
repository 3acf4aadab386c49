"""Which rule every Keras layer and operation follows."""

from keras import layers

from snn_keras.convert._keras import LayerScale, operation_types
from snn_keras.convert.normalize import FUSING
from snn_keras.convert.rules import (
    Affine,
    Difference,
    Identity,
    Linear,
    Neuron,
    Unquantized,
    rule,
)
from snn_keras.layers import (
    QCFS,
    LSQReLU,
    NoisySpike,
    QuantizedActivation,
    SlipReLU,
)

rule(*FUSING)(Affine)
rule(layers.BatchNormalization, layers.Normalization, layers.Rescaling)(Affine)
rule(
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
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
)(Identity)
rule(QuantizedActivation, LSQReLU, QCFS, SlipReLU, NoisySpike)(Neuron)
rule(layers.ReLU)(Unquantized)
rule(*operation_types("Add", "Subtract"))(Affine)  # a constant may be added
rule(*operation_types("Negative", "Concatenate"))(Linear)


@rule(
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.Maximum,
    layers.Minimum,
    layers.LeakyReLU,
    layers.PReLU,
)
class Homogeneous(Difference):
    """f(c x) = c f(x): the sum over time needs no decoding."""

    homogeneous = True


@rule(*operation_types("Multiply", "Divide", "TrueDivide"))
class Scale(Linear):
    """`x * c` and `x / c` are linear; products and quotients of signals are not."""

    def plan(self, node, codings, context):
        dividend_is_constant = "Divide" in type(node.operation).__name__ and (
            node.inputs[0] is not node.args[0]
        )
        if len(node.inputs) > 1 or dividend_is_constant:
            return Difference().plan(node, codings, context)
        return super().plan(node, codings, context)


rule(
    *operation_types(
        "Reshape",
        "Transpose",
        "Squeeze",
        "ExpandDims",
        "GetItem",
        "Mean",
        "Sum",
        "Flip",
        "Repeat",
        "Stack",
        "Moveaxis",
        "Swapaxes",
    )
)(Linear)
rule(*operation_types("Pad"))(Affine)  # it may pad with a constant
rule(LayerScale)(Linear)
