"""Why something of tf_keras does not come over."""


class Untranslatable(Exception):
    """A layer has no counterpart: why."""
