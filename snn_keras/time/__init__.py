"""Layers of spiking networks, most of them with a time axis, `(batch, time, ...)`."""

from snn_keras.time.bias_correction import BiasCorrection as BiasCorrection
from snn_keras.time.clock import Clock as Clock
from snn_keras.time.layer import TimeLayer as TimeLayer
from snn_keras.time.per_step import AffinePerStep as AffinePerStep
from snn_keras.time.per_step import PerStep as PerStep
from snn_keras.time.present import Frames as Frames
from snn_keras.time.present import Present as Present
from snn_keras.time.product_of_changes import ProductOfChanges as ProductOfChanges
from snn_keras.time.readout import Readout as Readout
from snn_keras.time.spiking import Neurons as Neurons
from snn_keras.time.spiking import OnePassSpiking as OnePassSpiking
from snn_keras.time.spiking import Spiking as Spiking
from snn_keras.time.temporal_difference import TemporalDifference as TemporalDifference
