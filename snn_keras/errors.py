"""Errors of snn_keras."""


class ConversionError(ValueError):
    """A model cannot be converted; the message says why, and what to do."""
