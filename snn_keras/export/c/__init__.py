"""Spiking networks in C, which compute only where there is a spike."""

from snn_keras.export.c.elementwise import apply as apply
from snn_keras.export.c.runner import CNetwork as CNetwork
from snn_keras.export.c.writer import to_c as to_c
