"""snn_keras: spiking networks from Keras models."""

from snn_keras import layers as layers
