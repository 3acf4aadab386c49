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
            'NIR files need the nir package. Remedy: pip install "nir>=1.0.8"'
        ) from error
    return nir
