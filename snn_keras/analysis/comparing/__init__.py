"""`compare`: one table of all neurons and numbers of steps."""

from snn_keras.analysis.comparing.result import Comparison as Comparison
from snn_keras.analysis.comparing.result import Row as Row
from snn_keras.analysis.comparing.result import SourceRow as SourceRow
from snn_keras.analysis.comparing.running import compare as compare
