"""Converts a spiking network into an integer network, with a rule for each layer."""

from snn_keras.export.to_integers import affine as affine
from snn_keras.export.to_integers import neurons as neurons
from snn_keras.export.to_integers import pooling as pooling
from snn_keras.export.to_integers import shapes as shapes
from snn_keras.export.to_integers import weights as weights
from snn_keras.export.to_integers.network import quantize_weights as quantize_weights
from snn_keras.export.to_integers.neurons import NeuronForm as NeuronForm
from snn_keras.export.to_integers.neurons import integer_form as integer_form
