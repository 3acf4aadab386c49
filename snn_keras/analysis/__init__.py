"""What a spiking network does: accuracy over time, spikes, operations, energy."""

from snn_keras.analysis.accuracy import accuracy_by_timesteps as accuracy_by_timesteps
from snn_keras.analysis.accuracy import accuracy_over_time as accuracy_over_time
from snn_keras.analysis.accuracy import (
    plot_accuracy_over_time as plot_accuracy_over_time,
)
from snn_keras.analysis.energy import energy as energy
from snn_keras.analysis.recording import record as record
from snn_keras.analysis.spikes import spike_statistics as spike_statistics
