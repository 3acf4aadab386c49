"""What a run costs, and what a fair opponent does: operations, memory, energy."""

from snn_keras.analysis.costing.hardware import Hardware as Hardware
from snn_keras.analysis.costing.hardware import MemoryLevel as MemoryLevel
from snn_keras.analysis.costing.published_hardware import HARDWARE as HARDWARE
from snn_keras.analysis.costing.result import Access as Access
from snn_keras.analysis.costing.result import Cost as Cost
from snn_keras.analysis.costing.result import Energy as Energy
from snn_keras.analysis.costing.result import LayerEnergy as LayerEnergy
from snn_keras.analysis.costing.result import Opponent as Opponent
from snn_keras.analysis.costing.result import Versus as Versus
from snn_keras.analysis.costing.running import energy as energy
