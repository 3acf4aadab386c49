"""nir: spiking networks for other simulators and for neuromorphic hardware.

NIR (Neuromorphic Intermediate Representation) has channels first, spikes of 1, sums
where several edges meet, and neurons described by differential equations. It says
nothing of how a neuron is reset (from v to v - threshold, here), of the potential it
starts from, and of how outputs are read: `to_nir` puts these into metadata, and tells.
"""

from snn_keras.export.nir import rules as rules
from snn_keras.export.nir.reader import from_nir as from_nir
from snn_keras.export.nir.writer import to_nir as to_nir
