"""``croton doctor``: what a compiled function will use on this machine, and why."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np

import croton.tensor as T
from croton import function
from croton._version import __version__
from croton.cli import cache, gpu
from croton.codegen.targets import cpu
from croton.config import config
from croton.runtime import blas, threads

Row = tuple[str, str]
Array = np.ndarray[Any, np.dtype[Any]]
_SIZE = 1024


def report() -> list[tuple[str, list[Row]]]:
    """Sections of rows: a name, and what is to be said of it."""
    return [
        ("versions", _versions()),
        ("processor", _processor()),
        ("threads", _threads()),
        ("float32, 1024 x 1024", _speed()),
        ("GPU", _gpu()),
        ("cache", _cache()),
        ("flags", _flags()),
    ]


def _versions() -> list[Row]:
    rows = [
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("croton", __version__),
    ]
    for package in ("numpy", "llvmlite", "scipy-openblas32", "scipy"):
        try:
            rows.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
    rows.insert(4, ("LLVM", ".".join(map(str, llvm.llvm_version_info))))
    return rows


def _processor() -> list[Row]:
    host = cpu.host()
    machine = host.machine
    caches = ", ".join(cache.in_words(size) for size in (machine.l1, machine.l2, machine.l3))
    return [
        ("model", f"{host.cpu} (LLVM's name), {host.triple}"),
        ("vectors", f"{8 * machine.vector} bits, {machine.registers} registers"),
        ("caches", caches),
    ]


def _threads() -> list[Row]:
    asked = config.threads
    why = f"threads={asked}, from {config.source('threads')}"
    if asked == 0:
        why += ": every core that this process may use"
    return [
        ("used", f"{threads.use_threads(asked)} ({why})"),
        ("cores", str(threads.available_cores())),
    ]


def _gpu() -> list[Row]:
    rows = [("device", f"{config.device} ({config.source('device')})")]
    driver = gpu.driver()
    if driver is None:
        rows.append(("NVIDIA", "no driver found"))
        return rows
    rows.append(("NVIDIA", f"driver for CUDA {driver.version}"))
    for index, device in enumerate(driver.devices):
        memory = cache.in_words(device.memory)
        rows.append((f"cuda{index}", f"{device.name}, sm {device.capability}, {memory}"))
    return rows


def _cache() -> list[Row]:
    rows = [("directory", f"{config.cache_dir} ({config.source('cache_dir')})")]
    path = config.cache_dir
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    if not os.access(path, os.W_OK):
        rows.append(("writable", f"no: {path} is not, so nothing is kept between runs"))
    for part in cache.parts():
        rows.append((part.name, f"{part.files} files, {cache.in_words(part.size)}"))
    return rows


def _flags() -> list[Row]:
    rows = []
    for flag in config.flags():
        source = config.source(flag.name)
        if source != "default":
            value = config
            for name in flag.name.split("."):
                value = getattr(value, name)
            note = "" if flag.effect else ", without effect"
            rows.append((flag.name, f"{value} ({source}{note})"))
    return rows or [("all", "as they are by default")]


def _speed() -> list[Row]:
    library = blas.load_blas()
    x, y = (T.TensorType("float32", (None, None))(name) for name in "xy")
    product = function([x, y], T.dot(x, y), name="product")
    exp = function([x], T.exp(x), name="exp")
    rng = np.random.default_rng(1)
    left, right = (rng.standard_normal((_SIZE, _SIZE)).astype(np.float32) for _ in range(2))
    giga = 2 * _SIZE**3 / 1e9
    why = "OPENBLAS_CORETYPE says so" if "OPENBLAS_CORETYPE" in os.environ else "that fit this CPU"
    single = _openblas(library, left, right)
    return [
        ("product", f"{giga / _measure(lambda: product(left, right)):.0f} GFLOP/s (T.dot)"),
        ("NumPy's product", f"{giga / _measure(lambda: left @ right):.0f} GFLOP/s"),
        ("exp", f"{left.size / _measure(lambda: exp(left)) / 1e9:.1f} billion a second (T.exp)"),
        ("OpenBLAS", f"{giga / _measure(single):.0f} GFLOP/s on one thread (to compare with)"),
        ("its kernels", f"for {library.core} ({why}); {library.config}"),
    ]


def _openblas(library: blas.Blas, left: Array, right: Array) -> Callable[[], object]:
    """A call of the library's own float32 product."""
    result = np.empty_like(left)
    arrays = [ctypes.c_void_p(a.ctypes.data) for a in (left, right, result)]
    by_rows, plain = 101, 111
    whole, real, pointer = ctypes.c_int32, ctypes.c_float, ctypes.c_void_p
    kinds = [whole] * 6 + [real, pointer, whole, pointer, whole, real, pointer, whole]
    gemm = ctypes.CFUNCTYPE(None, *kinds)(library.address("cblas_sgemm"))
    n = len(left)

    def call(keep: object = (left, right, result)) -> None:
        gemm(by_rows, plain, plain, n, n, n, 1.0, arrays[0], n, arrays[1], n, 0.0, arrays[2], n)

    return call


def _measure(call: Callable[[], object], least: float = 0.15) -> float:
    """The shortest time of ``call`` after it has warmed up: other programs run as well."""
    call()
    times: list[float] = []
    while sum(times) < least or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
