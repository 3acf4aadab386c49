"""Compiles networks in C, and loads them."""

import ctypes
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence


def library(
    path: pathlib.Path, compiler: str, flags: Sequence[str], trace: bool
) -> ctypes.CDLL:
    """The compiled library of a folder, which stays loaded when its file is gone.

    Args:
        path: The folder.
        compiler: The C compiler.
        flags: Its flags.
        trace: Whether it has `net_trace_step` and `net_traced`.

    Raises:
        RuntimeError: if there is no compiler, or if it fails.
    """
    if shutil.which(compiler) is None:
        raise RuntimeError(
            f"there is no C compiler '{compiler}' to compile {path}. Remedy: install "
            'one, such as gcc or clang, or CNetwork(path, compiler="gcc").'
        )
    with tempfile.TemporaryDirectory(prefix="snn_keras_c_") as folder:
        file = pathlib.Path(folder) / "net.so"
        defines = ["-DNET_TRACE"] if trace else []
        command = [compiler, "-std=c99", *flags, *defines, "-shared", "-fPIC"]
        command += [str(path / "net.c"), "-o", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"'{' '.join(command)}' failed: {done.stderr.strip()[:2000]} Remedy: "
                'flags that this compiler has, such as CNetwork(path, flags=["-O2"]).'
            )
        loaded = ctypes.CDLL(str(file))
    loaded.net_reset.restype = None
    if trace:
        loaded.net_traced.restype = ctypes.c_void_p
    return loaded
