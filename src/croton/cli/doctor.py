"""``croton doctor``: what a compiled function will use on this machine, and why."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from croton.cli import cache, gpu
from croton.codegen.targets import cpu
from croton.config import config

Row = tuple[str, str]


def report() -> list[tuple[str, list[Row]]]:
    """Sections of rows: a name, and what is to be said of it."""
    return [
        ("versions", _versions()),
        ("processor", _processor()),
        ("threads", _threads()),
        ("speed", _speed()),
        ("GPU", _gpu()),
        ("cache", _cache()),
        ("flags", _flags()),
    ]


def _versions() -> list[Row]:
    rows = [("Python", f"{platform.python_version()} ({platform.python_implementation()})")]
    for package in ("croton", "numpy", "llvmlite", "scipy-openblas32", "scipy"):
        try:
            rows.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
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
    available = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    asked = config.threads
    why = f"threads={asked}, from {config.source('threads')}"
    if asked == 0:
        why += ": every core that this process may run on"
    return [("used", f"{asked or available} ({why})"), ("cores", str(available))]


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
    size = 1024
    rng = np.random.default_rng(1)
    left, right = (rng.standard_normal((size, size)).astype(np.float32) for _ in range(2))
    numpy_time = _measure(lambda: left @ right)
    flops = 2 * size**3
    return [("NumPy's product", f"{flops / numpy_time / 1e9:.0f} GFLOP/s")]


def _measure(call: Callable[[], object], least: float = 0.15) -> float:
    """The median of the times of ``call`` after it has warmed up."""
    call()
    times: list[float] = []
    while sum(times) < least or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
