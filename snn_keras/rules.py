"""Rules: what a layer does to a signal over time; bases for rules of your own."""

from snn_keras.convert.rules import Affine as Affine
from snn_keras.convert.rules import Difference as Difference
from snn_keras.convert.rules import Identity as Identity
from snn_keras.convert.rules import Linear as Linear
from snn_keras.convert.rules import Neuron as Neuron
from snn_keras.convert.rules import Refusal as Refusal
from snn_keras.convert.rules import Rule as Rule
