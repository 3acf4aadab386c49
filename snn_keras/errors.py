"""Errors of snn_keras."""


class ConversionError(ValueError):
    """A model cannot be converted; the message names every layer in the way."""
