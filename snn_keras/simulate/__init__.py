"""Running spiking networks over time."""

from snn_keras.simulate.early_exit import EarlyExit as EarlyExit
from snn_keras.simulate.model import SpikingModel as SpikingModel
from snn_keras.simulate.monitored import Monitored as Monitored
from snn_keras.simulate.step_function import StepFunction as StepFunction
from snn_keras.simulate.step_function import Stream as Stream
