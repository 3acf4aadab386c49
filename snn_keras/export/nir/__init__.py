"""NIR files, for other simulators and neuromorphic hardware.

NIR (Neuromorphic Intermediate Representation) has channels first, spikes of 1, sums
where several edges meet, and neurons described by differential equations. It does not
specify how a neuron is reset (here from v to v - threshold), its initial potential,
or how outputs are decoded. `to_nir` writes these into metadata, and returns a list of
what a reader without the metadata misses.
"""

from snn_keras.export.nir import rules as rules
from snn_keras.export.nir.reader import from_nir as from_nir
from snn_keras.export.nir.writer import to_nir as to_nir
