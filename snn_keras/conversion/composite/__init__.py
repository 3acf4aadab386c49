"""Lays layers open that call other layers and `keras.ops`."""

from snn_keras.conversion.composite.opening import Composite as Composite
