"""The error for parts of tf_keras models that have no counterpart."""


class Untranslatable(Exception):
    """A layer has no counterpart in Keras 3; the message gives the reason."""
