"""From a source network to a spiking one: plan, then build."""

from snn_keras.convert import layer_rules as layer_rules
from snn_keras.convert import operation_rules as operation_rules
from snn_keras.convert.build import build as build
from snn_keras.convert.conversion import convert as convert
from snn_keras.convert.plan import Plan as Plan
from snn_keras.convert.plan import plan as plan
from snn_keras.convert.quantize import quantize_activations as quantize_activations
from snn_keras.convert.report import Report as Report
from snn_keras.convert.rules import Affine as Affine
from snn_keras.convert.rules import Difference as Difference
from snn_keras.convert.rules import Identity as Identity
from snn_keras.convert.rules import Linear as Linear
from snn_keras.convert.rules import Opaque as Opaque
from snn_keras.convert.rules import Refusal as Refusal
from snn_keras.convert.rules import Rule as Rule
from snn_keras.convert.rules import rule as rule
from snn_keras.convert.verify import verify as verify
