"""TFLite files that compute only with integers, for edge devices."""

from snn_keras.export.tflite import operators as operators
from snn_keras.export.tflite.arithmetic import ARITHMETICS as ARITHMETICS
from snn_keras.export.tflite.reader import TFLiteNetwork as TFLiteNetwork
from snn_keras.export.tflite.writer import to_tflite as to_tflite
