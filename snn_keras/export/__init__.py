"""Exports spiking networks to integer networks, C, TFLite files and NIR files."""

from snn_keras.export.c import CNetwork as CNetwork
from snn_keras.export.c import to_c as to_c
from snn_keras.export.forms import FORMS as FORMS
from snn_keras.export.integer import IntegerNetwork as IntegerNetwork
from snn_keras.export.nir import from_nir as from_nir
from snn_keras.export.nir import to_nir as to_nir
from snn_keras.export.tflite import ARITHMETICS as ARITHMETICS
from snn_keras.export.tflite import TFLiteNetwork as TFLiteNetwork
from snn_keras.export.tflite import to_tflite as to_tflite
from snn_keras.export.to_integers import quantize_weights as quantize_weights
