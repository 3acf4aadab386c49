"""The translations by the names of ONNX's operators."""

from collections.abc import Callable

TRANSLATIONS = {}


def operator(*names: str) -> Callable:
    """Decorator: registers the translation of these operators.

    A translation takes a `Call`, and returns a `View` for the node's output, or a list
    of them for several.
    """

    def register(translation):
        TRANSLATIONS.update(dict.fromkeys(names, translation))
        return translation

    return register
