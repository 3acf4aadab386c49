"""Reads ONNX files as Keras models with channels last.

A file's tensor is a `View` of a Keras tensor, which says which axes of the one make up
which axes of the other: most of ONNX's transposes and reshapes then need no layer.
"""

from snn_keras.interop.onnx.importing import from_onnx as from_onnx
