"""`report`: writes one HTML file with the whole analysis of a conversion."""

from snn_keras.analysis.reporting.figures import AccuracyFigures as AccuracyFigures
from snn_keras.analysis.reporting.figures import NetworkFigures as NetworkFigures
from snn_keras.analysis.reporting.figures import PlanFigures as PlanFigures
from snn_keras.analysis.reporting.figures import ReportFigures as ReportFigures
from snn_keras.analysis.reporting.page import report as report
from snn_keras.analysis.reporting.traces import LayerTraces as LayerTraces
from snn_keras.analysis.reporting.traces import TraceFigures as TraceFigures
