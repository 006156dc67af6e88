"""The BLAS and LAPACK of scipy-openblas32, loaded for the CPU that this process runs on.

OpenBLAS chooses its kernels when it is loaded, and takes many CPUs with AVX-512 for older
ones; the environment variable OPENBLAS_CORETYPE overrules it.  It is set, as is a single
thread, for the time of the load only.  Work is spread by our own pool.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import scipy_openblas32

_PREFIX = "scipy_"
_AVX512 = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})


class Blas:
    """A loaded library: addresses of its functions, and what it says of itself."""

    def __init__(self, path: str, library: ctypes.CDLL) -> None:
        self.path = path
        self._library = library
        self._library.scipy_openblas_set_num_threads(1)

    def address(self, name: str) -> int:
        """The address of a function, such as ``cblas_sgemm`` or ``dgetrf_``."""
        function = getattr(self._library, _PREFIX + name, None)
        if function is None:
            raise ValueError(f"{self.path} has no function {name!r}")
        return ctypes.cast(function, ctypes.c_void_p).value or 0

    def _text(self, name: str) -> str:
        function = getattr(self._library, _PREFIX + name)
        function.restype = ctypes.c_char_p
        text: bytes = function()
        return text.decode()

    @property
    def core(self) -> str:
        """The CPU that the kernels in use were written for."""
        return self._text("openblas_get_corename")

    @property
    def config(self) -> str:
        """Version and options of the build."""
        return self._text("openblas_get_config")


def cpu_features() -> frozenset[str]:
    """The CPU's features by Linux's names; empty where they are not known."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.partition(":")[2].split())
    except OSError:
        pass
    return frozenset()


def core_type() -> str | None:
    """The OPENBLAS_CORETYPE for this CPU; None where OpenBLAS's own choice is as good."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    features = cpu_features()
    if features >= _AVX512:
        return "SKYLAKEX"
    if features >= {"avx2", "fma"}:
        return "HASWELL"
    return None


@contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Set variables that the user has not set, for a while."""
    added = {k: v for k, v in values.items() if v is not None and k not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@cache
def load_blas() -> Blas:
    """The library, loaded once per process."""
    directory = scipy_openblas32.get_lib_dir()
    path = os.path.join(directory, scipy_openblas32.get_library(fullname=True))
    with _environment(OPENBLAS_CORETYPE=core_type(), OPENBLAS_NUM_THREADS="1"):
        return Blas(path, ctypes.CDLL(path))
