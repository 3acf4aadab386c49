"""Rules: how a layer acts on signals over time; base classes for your own rules."""

from snn_keras.conversion.rules import Affine as Affine
from snn_keras.conversion.rules import Bilinear as Bilinear
from snn_keras.conversion.rules import Difference as Difference
from snn_keras.conversion.rules import Identity as Identity
from snn_keras.conversion.rules import Linear as Linear
from snn_keras.conversion.rules import Neuron as Neuron
from snn_keras.conversion.rules import Refusal as Refusal
from snn_keras.conversion.rules import Rule as Rule
