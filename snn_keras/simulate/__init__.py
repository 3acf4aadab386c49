"""Running spiking networks over time."""

from snn_keras.simulate.model import SpikingModel as SpikingModel
