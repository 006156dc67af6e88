"""Measure vector math: the largest error in ULP and the time per element.

    PYTHONPATH=src python tools/measure_math.py                  every function, as a table
    PYTHONPATH=src python tools/measure_math.py exp log --quick  some, on fewer points

The error is the largest that was found on random bit patterns, around 1 and on the
usual ranges; of a float32 function of one argument on every number, which takes about a
minute each.  The time is that of one thread on data in the first cache, next to NumPy's
and, where it is installed, PyTorch's (``--torch PYTHON`` names an interpreter that has it).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import mathlab
import numpy as np

from croton.kernel.ops import FUNCTIONS, OPS

NAMES = (
    "exp exp2 expm1 log log2 log10 log1p sigmoid softplus tanh sin cos tan asin acos atan atan2 "
    "sinh cosh asinh acosh atanh erf erfc pow fmod"
).split()
assert set(NAMES) == FUNCTIONS - {"philox"}

#: Elements of a timed call: three arrays of doubles fit the first cache.
COUNT = 1024

#: What NumPy calls it, where it has it.
NUMPY = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atan2": "arctan2",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "pow": "power",
}

TORCH = """
import json, sys, time, torch
torch.set_num_threads(1)
names, count = json.loads(sys.argv[1]), int(sys.argv[2])
found = {}
for name in names:
    where = torch.nn.functional if name == "softplus" else torch.special
    function = getattr(torch, name, None) or getattr(where, name)
    for dtype in ("float32", "float64"):
        kind = getattr(torch, dtype)
        torch.manual_seed(0)
        x = torch.rand(count, dtype=kind) * 0.9 + (1.0 if name == "acosh" else 0.05)
        y = torch.rand(count, dtype=kind) * 0.9 + 0.05
        args = (x, y) if name in ("pow", "atan2", "fmod") else (x,)
        out = torch.empty_like(x)
        call = (lambda: function(*args)) if name == "softplus" else (
            lambda: function(*args, out=out))
        for _ in range(20):
            call()
        best = 1e9
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(20):
                call()
            best = min(best, (time.perf_counter() - start) / 20)
        found[f"{name} {dtype}"] = best / count * 1e9
print(json.dumps(found))
"""


def points(name: str, dtype: str, count: int) -> list[tuple[np.ndarray, ...]]:
    """Sets of arguments to judge ``name`` on."""
    rng = np.random.default_rng(1)
    sign = rng.choice([-1, 1], count)
    near = 1 + rng.uniform(-1, 1, count) * 10.0 ** rng.uniform(-7, 0, count)
    sets: list[tuple[Any, ...]] = [
        (mathlab.floats(dtype, count, 1), mathlab.floats(dtype, count, 2)),
        (rng.standard_normal(count), rng.standard_normal(count)),
        (rng.uniform(-20, 20, count), rng.uniform(-20, 20, count)),
        (rng.uniform(-800, 800, count), rng.uniform(-2, 2, count)),
        (sign * 2.0 ** rng.uniform(-40, 10, count), rng.uniform(-9, 9, count)),
        (near, sign * 10.0 ** rng.uniform(0, 6, count)),
        (rng.uniform(-1, 1, count), rng.uniform(-1, 1, count)),
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        return [tuple(a.astype(dtype) for a in s[: OPS[name].arity]) for s in sets]


def error(name: str, dtype: str, count: int) -> tuple[float, tuple[float, ...]]:
    """The largest error found, in ULP, and where."""
    if dtype == "float32" and OPS[name].arity == 1:
        return mathlab.every(name, 1 if count > 200_000 else 997)
    function = mathlab.native(name, dtype)
    return max(
        (
            mathlab.worst(name, dtype, function(*s), *s, checks=4)
            for s in points(name, dtype, count)
        ),
        key=lambda found: found[0],
    )


def usual(name: str, dtype: str) -> list[np.ndarray]:
    """Arguments to time with, in the domain of every function."""
    rng = np.random.default_rng(0)
    low = 1.0 if name == "acosh" else 0.05
    return [
        rng.uniform(low, low + 0.9, COUNT).astype(dtype),
        rng.uniform(0.05, 0.95, COUNT).astype(dtype),
    ][: OPS[name].arity]


def best_time(call: Callable[[], object], repeat: int = 40) -> float:
    """Seconds of the fastest of several calls."""
    call()
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def our_time(name: str, dtype: str) -> float:
    """Nanoseconds an element takes in native code."""
    function = mathlab.native(name, dtype)
    arrays = [*usual(name, dtype), np.empty(COUNT, dtype)]
    pointers = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
    times = 200
    return best_time(lambda: function.call(pointers, COUNT, times)) / times / COUNT * 1e9


def numpy_time(name: str, dtype: str) -> float | None:
    """Nanoseconds an element takes in NumPy."""
    function = getattr(np, NUMPY.get(name, name), None)
    if function is None:
        return None
    arrays = usual(name, dtype)
    out = np.empty(COUNT, dtype)

    def repeated() -> None:
        for _ in range(20):
            function(*arrays, out=out)

    return best_time(repeated) / 20 / COUNT * 1e9


def torch_times(python: str) -> dict[str, float]:
    """Nanoseconds an element takes in PyTorch, for every function and dtype."""
    command = [python, "-c", TORCH, json.dumps(NAMES), str(COUNT)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--quick", action="store_true", help="fewer points")
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has PyTorch")
    parser.add_argument("--no-error", action="store_true", help="only times")
    options = parser.parse_args()
    peers = torch_times(options.torch) if options.torch else {}
    print("| function | dtype | max ULP | worst at | ns | NumPy ns | PyTorch ns |")
    print("|---|---|---|---|---|---|---|")
    for name in options.names or NAMES:
        for dtype in ("float32", "float64"):
            ulp, place = "", ""
            if not options.no_error:
                found, where = error(name, dtype, 20_000 if options.quick else 400_000)
                ulp, place = f"{found:.2f}", ", ".join(f"{v:.9g}" for v in where)
            times = [our_time(name, dtype), numpy_time(name, dtype), peers.get(f"{name} {dtype}")]
            cells = ["" if t is None else f"{t:.2f}" for t in times]
            print(f"| {name} | {dtype} | {ulp} | {place} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
