"""Spiking neurons, as Keras RNN cells."""

from snn_keras.neurons.bit_serial_cell import BitSerialCell as BitSerialCell
from snn_keras.neurons.cell import SpikingCell as SpikingCell
from snn_keras.neurons.charging_cell import ChargingCell as ChargingCell
from snn_keras.neurons.corrected_if_cells import OffsetSpikesCell as OffsetSpikesCell
from snn_keras.neurons.corrected_if_cells import SRPCell as SRPCell
from snn_keras.neurons.differential_if_cell import (
    DifferentialIFCell as DifferentialIFCell,
)
from snn_keras.neurons.if_cell import IFCell as IFCell
from snn_keras.neurons.lif_cell import LIFCell as LIFCell
from snn_keras.neurons.multi_threshold_cell import (
    MultiThresholdIFCell as MultiThresholdIFCell,
)
from snn_keras.neurons.noisy_lif_cell import NoisyLIFCell as NoisyLIFCell
from snn_keras.neurons.signed_if_cell import SignedIFCell as SignedIFCell

# The names of neurons in `snn_keras.convert` and on command lines.
by_name = {
    "if": IFCell,
    "signed": SignedIFCell,
    "bit_serial": BitSerialCell,
    "differential": DifferentialIFCell,
    "multi_threshold": MultiThresholdIFCell,
    "lif": LIFCell,
    "noisy_lif": NoisyLIFCell,
    "srp": SRPCell,
    "cos": OffsetSpikesCell,
}
