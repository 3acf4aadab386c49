"""snn_keras: from a Keras model to a spiking network with the same answers."""

from snn_keras import applications as applications
from snn_keras import callbacks as callbacks
from snn_keras import layers as layers
from snn_keras import linear as linear
from snn_keras import neurons as neurons
from snn_keras import regularizers as regularizers
from snn_keras import rules as rules
from snn_keras.convert import Plan as Plan
from snn_keras.convert import convert as convert
from snn_keras.convert import plan as plan
from snn_keras.convert import quantize_activations as quantize_activations
from snn_keras.convert import rule as rule
from snn_keras.convert import verify as verify
from snn_keras.errors import ConversionError as ConversionError
from snn_keras.simulate import EarlyExit as EarlyExit
from snn_keras.simulate import SpikingModel as SpikingModel
