"""The translations of ONNX's operators, by family."""

from snn_keras.interop.onnx.operators import activations as activations
from snn_keras.interop.onnx.operators import attention as attention
from snn_keras.interop.onnx.operators import blocks as blocks
from snn_keras.interop.onnx.operators import convolution as convolution
from snn_keras.interop.onnx.operators import functions as functions
from snn_keras.interop.onnx.operators import joining as joining
from snn_keras.interop.onnx.operators import matrices as matrices
from snn_keras.interop.onnx.operators import normalization as normalization
from snn_keras.interop.onnx.operators import pooling as pooling
from snn_keras.interop.onnx.operators import reductions as reductions
from snn_keras.interop.onnx.operators import resize as resize
from snn_keras.interop.onnx.operators import shapes as shapes
from snn_keras.interop.onnx.operators import slicing as slicing
from snn_keras.interop.onnx.operators import sums as sums
from snn_keras.interop.onnx.operators import transposed as transposed
from snn_keras.interop.onnx.operators.registry import TRANSLATIONS as TRANSLATIONS
