"""Callbacks for training: they evaluate the spiking network, and prune weights."""

from snn_keras.training.batch_statistics import (
    ReestimateStatistics as ReestimateStatistics,
)
from snn_keras.training.pruning import Pruning as Pruning
from snn_keras.training.residual_noise import ResidualNoise as ResidualNoise
from snn_keras.training.spiking_validation import (
    SpikingValidation as SpikingValidation,
)
