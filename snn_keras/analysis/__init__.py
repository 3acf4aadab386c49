"""Analysis of spiking networks: accuracy over time, spikes, operations, energy."""

from snn_keras.analysis.accuracy import accuracy_by_timesteps as accuracy_by_timesteps
from snn_keras.analysis.accuracy import accuracy_over_time as accuracy_over_time
from snn_keras.analysis.accuracy import answers_by_timesteps as answers_by_timesteps
from snn_keras.analysis.accuracy import outputs_by_timesteps as outputs_by_timesteps
from snn_keras.analysis.accuracy import (
    plot_accuracy_over_time as plot_accuracy_over_time,
)
from snn_keras.analysis.comparing import Comparison as Comparison
from snn_keras.analysis.comparing import Row as Row
from snn_keras.analysis.comparing import SourceRow as SourceRow
from snn_keras.analysis.costing import HARDWARE as HARDWARE
from snn_keras.analysis.costing import Access as Access
from snn_keras.analysis.costing import Cost as Cost
from snn_keras.analysis.costing import Energy as Energy
from snn_keras.analysis.costing import Hardware as Hardware
from snn_keras.analysis.costing import LayerEnergy as LayerEnergy
from snn_keras.analysis.costing import MemoryLevel as MemoryLevel
from snn_keras.analysis.costing import Opponent as Opponent
from snn_keras.analysis.costing import Versus as Versus
from snn_keras.analysis.costing import energy as energy
from snn_keras.analysis.disagreement import ClassPair as ClassPair
from snn_keras.analysis.disagreement import Disagreements as Disagreements
from snn_keras.analysis.disagreement import Flip as Flip
from snn_keras.analysis.disagreement import disagreements as disagreements
from snn_keras.analysis.layer_errors import Histogram as Histogram
from snn_keras.analysis.layer_errors import LayerErrors as LayerErrors
from snn_keras.analysis.layer_errors import Mismatch as Mismatch
from snn_keras.analysis.layer_errors import mismatch as mismatch
from snn_keras.analysis.neurobench_metrics import NeuroBench as NeuroBench
from snn_keras.analysis.neurobench_metrics import neurobench as neurobench
from snn_keras.analysis.plots import (
    plot_confusion_of_disagreements as plot_confusion_of_disagreements,
)
from snn_keras.analysis.plots import plot_crossing as plot_crossing
from snn_keras.analysis.plots import plot_energy as plot_energy
from snn_keras.analysis.plots import plot_mismatch as plot_mismatch
from snn_keras.analysis.plots import plot_spike_rates as plot_spike_rates
from snn_keras.analysis.recording import record as record
from snn_keras.analysis.reporting import AccuracyFigures as AccuracyFigures
from snn_keras.analysis.reporting import LayerTraces as LayerTraces
from snn_keras.analysis.reporting import NetworkFigures as NetworkFigures
from snn_keras.analysis.reporting import PlanFigures as PlanFigures
from snn_keras.analysis.reporting import ReportFigures as ReportFigures
from snn_keras.analysis.reporting import TraceFigures as TraceFigures
from snn_keras.analysis.reporting import report as report
from snn_keras.analysis.spikes import LayerSpikes as LayerSpikes
from snn_keras.analysis.spikes import SpikeStatistics as SpikeStatistics
from snn_keras.analysis.spikes import spike_statistics as spike_statistics
from snn_keras.analysis.traces import plot_potentials as plot_potentials
from snn_keras.analysis.traces import plot_raster as plot_raster
