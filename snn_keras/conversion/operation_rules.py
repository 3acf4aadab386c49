"""Registers rules for functions of `keras.ops`; all others are opaque."""

from keras import tree

from snn_keras._keras import operation_types
from snn_keras.conversion.layer_rules import Homogeneous
from snn_keras.conversion.rules import Affine, Bilinear, Linear, Rule, is_pair, rule
from snn_keras.conversion.samples import is_signal
from snn_keras.graph import Node, computes_as

# Sums of signals and constants.
rule(*operation_types("Add", "Subtract", "Concatenate", "Stack"))(Affine)
rule(*operation_types("Dstack", "Hstack", "Vstack", "Append", "Pad", "Resize"))(Affine)
# The output does not depend on the values of the input.
rule(*operation_types("FullLike", "OnesLike", "ZerosLike"))(Affine)
# In inference and on real numbers these do nothing, or multiply by a constant.
rule(
    *operation_types(
        *("Array", "Cast", "Conjugate", "ConvertToTensor", "Copy", "Deg2rad", "Imag"),
        *("Negative", "Rad2deg", "Real", "SaturateCast", "StopGradient"),
    )
)(Linear)
# Sums over elements.
rule(
    *operation_types(
        *("Cumsum", "Diff", "Mean", "Sum", "Trace", "Trapezoid"),
        *("AdaptiveAveragePool", "AveragePool", "Fold", "GaussianBlur"),
        *("RGBToGrayscale", "SobelEdges"),
        *("FFT", "FFT2", "IFFT2", "IRFFT", "ISTFT", "RFFT", "STFT"),
    )
)(Linear)
# These move, copy or leave out elements.
rule(
    *operation_types(
        *("ArraySplit", "BroadcastTo", "CropImages", "DepthToSpace", "Diag"),
        *("Diagflat", "Diagonal", "Dsplit", "ExpandDims", "ExtractPatches"),
        *("ExtractSequences", "Flip", "Fliplr", "Flipud", "GetItem", "Hsplit"),
        *("Meshgrid", "Moveaxis", "PadImages", "Ravel", "Rearrange", "Repeat"),
        *("Reshape", "Roll", "Rot90", "SpaceToDepth", "Split", "Squeeze", "Swapaxes"),
        *("Tile", "Transpose", "Tril", "Triu", "Unfold", "Unstack", "Vsplit"),
    )
)(Linear)


# Of two signals, these are linear in each, sample by sample.
BILINEAR = operation_types("Multiply", "Matmul", "Einsum")


@rule(
    *operation_types(
        *("Multiply", "Matmul", "Dot", "Inner", "Outer", "Vdot", "Kron", "Cross"),
        *("Tensordot", "Einsum", "Correlate"),
    )
)
class Product(Linear):
    """Rule for products: linear if only one factor is a signal."""

    def is_linear(self, node: Node) -> bool:
        return len(node.inputs) == 1

    def of(self, node: Node) -> Rule:
        multiplies = any(computes_as(node.operation, kind) for kind in BILINEAR)
        return Bilinear() if multiplies and is_pair(node) else self


@rule(
    *operation_types(
        *("Divide", "TrueDivide", "DivideNoNan", "Ldexp", "Average", "Take"),
        *("TakeAlongAxis", "Slice", "Conv", "ConvTranspose", "DepthwiseConv"),
        *("SeparableConv", "AffineTransform", "PerspectiveTransform"),
        *("MapCoordinates", "ScaleAndTranslate", "BatchNorm"),
    )
)
class InFirst(Affine):
    """Rule for functions linear in their first argument, if the others are constant."""

    signals = (0,)

    def is_linear(self, node: Node) -> bool:
        given = [*node.args, *node.kwargs.values()]
        return not any(
            is_signal(x) for i, x in enumerate(given) if i not in self.signals
        )


@rule(*operation_types("Where", "Select"))
class Choice(InFirst):
    """Rule for choices: linear in the alternatives, if the condition is constant."""

    signals = (1, 2)


@rule(*operation_types("SliceUpdate", "ScatterUpdate"))
class Update(InFirst):
    """Rule for updates: linear in array and values, if the indices are constant."""

    signals = (0, 2)

    def is_linear(self, node: Node) -> bool:
        reduction = getattr(node.operation, "reduction", None)
        return reduction in (None, "add") and super().is_linear(node)


@rule(
    *operation_types(
        *("Absolute", "Fabs", "LeakyRelu", "MaxPool", "AdaptiveMaxPool", "Sort"),
        *("Max", "Min", "Amax", "Amin", "Ptp", "Maximum", "Minimum", "Fmax", "Fmin"),
    )
)
class HomogeneousFunction(Homogeneous):
    """`Homogeneous` for functions, which must not compare signals with constants."""

    def is_homogeneous(self, node: Node) -> bool:
        given = tree.flatten((node.args, node.kwargs))
        bound = getattr(node.operation, "initial", None)
        return bound is None and all(is_signal(x) for x in given if x is not None)
