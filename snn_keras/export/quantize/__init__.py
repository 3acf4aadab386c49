"""quantize: from a spiking network to an integer one, a rule for every layer."""

from snn_keras.export.quantize import affine as affine
from snn_keras.export.quantize import neurons as neurons
from snn_keras.export.quantize import pooling as pooling
from snn_keras.export.quantize import shapes as shapes
from snn_keras.export.quantize import weights as weights
from snn_keras.export.quantize.network import quantize_weights as quantize_weights
from snn_keras.export.quantize.neurons import NeuronForm as NeuronForm
from snn_keras.export.quantize.neurons import integer_form as integer_form
