"""Linear forms: descriptions of layers as linear maps.

A form says what a layer multiplies and adds: its kernel in a fixed layout, its bias,
its padding in numbers. Operation counts, integer networks and NIR graphs are derived
from it. Give a layer of your own a form with the decorator `form`:

    @snn_keras.linear.form(MyDense)
    def my_dense(node):
        return snn_keras.linear.Dense(node.operation.kernel, node.operation.bias)

The layer is then converted (as `snn_keras.rules.Affine`, unless it has a rule),
counted and exported as Keras's own layers are. `node` is a `snn_keras.graph.Node`: the
layer, its arguments, and the shapes of its inputs and outputs.
"""

from snn_keras.linear import keras_moves as keras_moves
from snn_keras.linear import keras_sums as keras_sums
from snn_keras.linear import keras_weights as keras_weights
from snn_keras.linear.forms import Along as Along
from snn_keras.linear.forms import Dense as Dense
from snn_keras.linear.forms import Einsum as Einsum
from snn_keras.linear.forms import Form as Form
from snn_keras.linear.forms import Scale as Scale
from snn_keras.linear.forms import Sum as Sum
from snn_keras.linear.forms import Total as Total
from snn_keras.linear.moves import Concatenate as Concatenate
from snn_keras.linear.moves import Crop as Crop
from snn_keras.linear.moves import Pad as Pad
from snn_keras.linear.moves import Repeat as Repeat
from snn_keras.linear.moves import Reshape as Reshape
from snn_keras.linear.moves import Transpose as Transpose
from snn_keras.linear.registry import NoForm as NoForm
from snn_keras.linear.registry import form as form
from snn_keras.linear.registry import form_of as form_of
from snn_keras.linear.windows import Convolution as Convolution
from snn_keras.linear.windows import Pool as Pool
from snn_keras.linear.windows import Separable as Separable
