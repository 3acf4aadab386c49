"""The onnx package, which is optional."""

from types import ModuleType


def package() -> ModuleType:
    """The `onnx` package, with the modules of it that are used here.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.external_data_helper
        import onnx.inliner
        import onnx.reference
    except ImportError as error:
        raise ValueError(
            'ONNX files need the onnx package. Remedy: pip install "onnx>=1.23"'
        ) from error
    return onnx
