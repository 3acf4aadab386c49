"""One HTML file with all that analysis knows about a conversion."""

from snn_keras.analysis.reporting.page import report as report
