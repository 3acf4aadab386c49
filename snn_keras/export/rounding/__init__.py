"""Converts a spiking network into an integer network, with a rule for each layer."""

from snn_keras.export.rounding import affine as affine
from snn_keras.export.rounding import neurons as neurons
from snn_keras.export.rounding import pooling as pooling
from snn_keras.export.rounding import shapes as shapes
from snn_keras.export.rounding import weights as weights
from snn_keras.export.rounding.network import to_integers as to_integers
from snn_keras.export.rounding.neurons import NeuronForm as NeuronForm
from snn_keras.export.rounding.neurons import integer_form as integer_form
