"""The nir package, which is optional."""

from types import ModuleType


def package() -> ModuleType:
    """The `nir` package.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import nir
    except ImportError as error:
        raise ImportError(
            "NIR files need the nir package. Remedy: pip install snn_keras[nir]"
        ) from error
    return nir
