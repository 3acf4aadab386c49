"""Spiking neurons, and the layers that run them over time."""

from snn_keras.neurons.bit_serial_cell import BitSerialCell as BitSerialCell
from snn_keras.neurons.cell import SpikingCell as SpikingCell
from snn_keras.neurons.corrected_if_cells import OffsetSpikesCell as OffsetSpikesCell
from snn_keras.neurons.corrected_if_cells import SRPCell as SRPCell
from snn_keras.neurons.if_cell import IFCell as IFCell
from snn_keras.neurons.noisy_lif_cell import NoisyLIFCell as NoisyLIFCell
from snn_keras.neurons.signed_if_cell import SignedIFCell as SignedIFCell
from snn_keras.neurons.spiking import AffinePerStep as AffinePerStep
from snn_keras.neurons.spiking import BiasCorrection as BiasCorrection
from snn_keras.neurons.spiking import FusedSpiking as FusedSpiking
from snn_keras.neurons.spiking import PerStep as PerStep
from snn_keras.neurons.spiking import Present as Present
from snn_keras.neurons.spiking import Readout as Readout
from snn_keras.neurons.spiking import Spiking as Spiking
from snn_keras.neurons.temporal_difference import (
    TemporalDifference as TemporalDifference,
)
from snn_keras.neurons.timing import Timing as Timing

# The neurons that go by a name, in `snn_keras.convert` and on command lines.
by_name = {
    "if": IFCell,
    "signed": SignedIFCell,
    "bit_serial": BitSerialCell,
    "lif": NoisyLIFCell,
    "srp": SRPCell,
    "cos": OffsetSpikesCell,
}
