"""Callbacks that evaluate the spiking network while its source is trained."""

from snn_keras.training.batch_statistics import (
    ReestimateStatistics as ReestimateStatistics,
)
from snn_keras.training.residual_noise import ResidualNoise as ResidualNoise
from snn_keras.training.spiking_validation import (
    SpikingValidation as SpikingValidation,
)
