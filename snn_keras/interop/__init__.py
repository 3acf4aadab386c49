"""Imports models of tf_keras, of TensorFlow Model Optimization and of ONNX."""

from snn_keras.interop.keras2 import from_tf_keras as from_tf_keras
from snn_keras.interop.onnx import from_onnx as from_onnx
from snn_keras.interop.statistics import weight_statistics as weight_statistics
