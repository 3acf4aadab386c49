"""Callbacks that look at the spiking network while its source trains."""

from snn_keras.training.residual_noise import ResidualNoise as ResidualNoise
from snn_keras.training.spiking_validation import (
    SpikingValidation as SpikingValidation,
)
