"""Layers of source networks: activations that are converted to spiking neurons."""

from snn_keras.layers import keras2 as keras2
from snn_keras.layers.function_layer import FunctionLayer as FunctionLayer
from snn_keras.layers.lsq_relu import LSQReLU as LSQReLU
from snn_keras.layers.noise import Noise as Noise
from snn_keras.layers.noise import NoiseAdaptor as NoiseAdaptor
from snn_keras.layers.noise import ResidualNoise as ResidualNoise
from snn_keras.layers.noisy_spike import NoisySpike as NoisySpike
from snn_keras.layers.qcfs import QCFS as QCFS
from snn_keras.layers.quantized_activation import (
    QuantizedActivation as QuantizedActivation,
)
from snn_keras.layers.quantized_input import QuantizedInput as QuantizedInput
from snn_keras.layers.quantized_weights import QuantizedWeights as QuantizedWeights
from snn_keras.layers.slip_relu import SlipReLU as SlipReLU
from snn_keras.layers.source_activation import SourceActivation as SourceActivation
