"""Converts a source network into a spiking network: plans first, then builds."""

from snn_keras.conversion import layer_rules as layer_rules
from snn_keras.conversion import operation_rules as operation_rules
from snn_keras.conversion.building import build as build
from snn_keras.conversion.converting import convert as convert
from snn_keras.conversion.planning import Plan as Plan
from snn_keras.conversion.planning import plan as plan
from snn_keras.conversion.quantizing import quantize_activations as quantize_activations
from snn_keras.conversion.quantizing_weights import quantize_weights as quantize_weights
from snn_keras.conversion.report import Report as Report
from snn_keras.conversion.rules import Affine as Affine
from snn_keras.conversion.rules import Difference as Difference
from snn_keras.conversion.rules import Identity as Identity
from snn_keras.conversion.rules import Linear as Linear
from snn_keras.conversion.rules import Opaque as Opaque
from snn_keras.conversion.rules import Refusal as Refusal
from snn_keras.conversion.rules import Rule as Rule
from snn_keras.conversion.rules import rule as rule
from snn_keras.conversion.verifying import verify as verify
