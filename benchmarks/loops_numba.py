"""Numba's side of ``loops.py``: each loop as one writes it by hand, with numbers for its state.

    PYTHON benchmarks/loops_numba.py GIVEN.npz FOUND.npz

GIVEN has the data; FOUND gets for each loop its ``result`` and its ``seconds``.  It needs Numba and
NumPy, nothing else.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

jit: Callable[[Callable[..., Any]], Callable[..., Any]] = importlib.import_module("numba").njit


@jit
def rotation(a: Any, x: Any, n: int) -> Any:
    p, q = x
    for _ in range(n):
        p, q = a[0, 0] * p + a[0, 1] * q, a[1, 0] * p + a[1, 1] * q
    return np.array([p, q])


@jit
def affine(a: Any, b: Any, x: Any, n: int) -> Any:
    for _ in range(n):
        x = a * x + b
    return np.array(x)


@jit
def lorenz(v: Any, n: int) -> Any:
    x, y, z = v
    for _ in range(n):
        x, y, z = (
            x + 0.01 * 10 * (y - x),
            y + 0.01 * (x * (28 - z) - y),
            z + 0.01 * (x * y - 8 / 3 * z),
        )
    return np.array([x, y, z])


@jit
def averages(rows: Any) -> Any:
    out, s = np.empty_like(rows), np.zeros(rows.shape[1])
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            s[j] = 0.9 * s[j] + 0.1 * rows[i, j]
            out[i, j] = s[j]
    return out


@jit
def elements(x: Any) -> Any:
    s = 0.0
    for i in range(len(x) - 1):
        s = 0.5 * s + x[i] * x[i + 1]
    return np.array(s)


@jit
def root(y: Any) -> Any:
    x = y
    while abs(x * x - y) > 1e-9:
        x = x - 1e-5 * (x * x - y) / x
    return np.array(x)


def seconds(call: Callable[[], Any], least: float = 0.3) -> float:
    """The least time of a call."""
    call()
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < least:
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
    return best


def main(given: str, found: str) -> None:
    d = dict(np.load(given))
    n = int(d["n"])
    calls: dict[str, Callable[[], Any]] = {
        "rotation": lambda: rotation(d["turn"], d["pair"], n),
        "affine": lambda: affine(0.999, 0.1, 1.0, n),
        "lorenz": lambda: lorenz(d["triple"], n),
        "averages": lambda: averages(d["rows"]),
        "elements": lambda: elements(d["series"]),
        "root": lambda: root(2.0),
    }
    results: dict[str, Any] = {name: call() for name, call in calls.items()}
    results |= {f"{name} seconds": np.array(seconds(call)) for name, call in calls.items()}
    np.savez(found, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
