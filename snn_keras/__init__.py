"""snn_keras converts Keras models into spiking networks with the same answers."""

import importlib

from snn_keras import analysis as analysis
from snn_keras import applications as applications
from snn_keras import callbacks as callbacks
from snn_keras import coding as coding
from snn_keras import layers as layers
from snn_keras import linear as linear
from snn_keras import neurons as neurons
from snn_keras import regularizers as regularizers
from snn_keras import rules as rules
from snn_keras.analysis.comparing import compare as compare
from snn_keras.conversion import Plan as Plan
from snn_keras.conversion import convert as convert
from snn_keras.conversion import plan as plan
from snn_keras.conversion import quantize_activations as quantize_activations
from snn_keras.conversion import quantize_weights as quantize_weights
from snn_keras.conversion import rule as rule
from snn_keras.conversion import verify as verify
from snn_keras.errors import ConversionError as ConversionError
from snn_keras.loading import load_model as load_model
from snn_keras.shipped import pretrained as pretrained
from snn_keras.simulate import EarlyExit as EarlyExit
from snn_keras.simulate import SpikingModel as SpikingModel
from snn_keras.training.batch_statistics import (
    reestimate_statistics as reestimate_statistics,
)

__version__ = "0.1.0"

# These modules are imported on first use, because they need optional packages.
_LAZY = ("export", "interop")


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"snn_keras.{name}")
    raise AttributeError(f"module 'snn_keras' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
