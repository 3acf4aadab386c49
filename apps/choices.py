"""Flags that are lists of words."""

from absl import app, flags


def check_among(name, choices):
    """Raises a UsageError unless the words of a flag are among `choices`."""
    unknown = sorted(set(filter(None, flags.FLAGS[name].value)) - set(choices))
    if unknown:
        raise app.UsageError(f"--{name}: {unknown} are not among {list(choices)}")
