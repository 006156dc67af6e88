"""Loops whose steps deal with a few numbers, beside what Numba makes of them written by hand.

    python benchmarks/loops.py [--peers PYTHON]

PYTHON has Numba; without it only Croton's times are shown.  Where the sizes of a step matter,
Croton runs the loop with sizes that it knows and with such that only the call tells.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import croton
import croton.tensor as T

STEPS = 100_000
#: By how much results may differ: some of the loops forget nothing.
CLOSE = 1e-9


def data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    turn = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    return {
        "n": np.array(STEPS),
        "turn": turn,
        "pair": np.ones(2),
        "triple": np.array([1.0, 1.0, 1.05]),
        "rows": rng.normal(size=(STEPS, 8)),
        "series": rng.normal(size=STEPS),
    }


def loops(d: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """A call for each loop, by its name and what is known of its sizes."""
    n = STEPS

    def rotation(a: Any, x: Any) -> Any:
        return croton.scan(lambda x: T.dot(a, x), outputs_info=x, n_steps=n)[0][-1]

    def lorenz(v: Any) -> Any:
        def step(v: Any) -> Any:
            x, y, z = v[0], v[1], v[2]
            return v + 0.01 * T.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8 / 3 * z])

        return croton.scan(step, outputs_info=v, n_steps=n)[0][-1]

    def averages(rows: Any) -> Any:
        start = T.zeros_like(rows[0])
        return croton.scan(lambda row, s: 0.9 * s + 0.1 * row, rows, start)[0]

    def elements(x: Any) -> Any:
        last = x.shape[0] - 1
        return croton.fori_loop(0, last, lambda i, s: 0.5 * s + x[i] * x[i + 1], 0.0)

    a, b, x, y = T.dscalars("a", "b", "x", "y")
    states = croton.scan(lambda x: a * x + b, outputs_info=x, n_steps=n)[0]
    root = croton.while_loop(
        lambda x: abs(x * x - y) > 1e-9, lambda x: x - 1e-5 * (x * x - y) / x, y
    )
    known: dict[str, Any] = {
        "rotation": (rotation, [(2, 2), (2,)], ["turn", "pair"]),
        "lorenz": (lorenz, [(3,)], ["triple"]),
        "averages": (averages, [(None, 8)], ["rows"]),
    }
    calls: dict[str, Callable[[], Any]] = {}
    for name, (make, shapes, names) in known.items():
        for sizes in ("known", "told"):
            given = [
                T.TensorType("float64", shape if sizes == "known" else (None,) * len(shape))()
                for shape in shapes
            ]
            f = croton.function(given, make(*given))
            values = [d[k] for k in names]
            calls[f"{name}, {sizes}"] = partial(f, *values)
    series = T.dvector()
    f = croton.function([series], elements(series))
    g = croton.function([a, b, x], states[-1])
    h = croton.function([a, b, x], T.grad(states.sum(), [a, b, x]))
    r = croton.function([y], root)
    calls["elements"] = lambda: f(d["series"])
    calls["affine"] = lambda: g(0.999, 0.1, 1.0)
    calls["affine, gradient"] = lambda: h(0.999, 0.1, 1.0)
    calls["root"] = lambda: r(2.0)
    return calls


def seconds(call: Callable[[], Any], least: float = 0.3) -> float:
    """The least time of a call."""
    call()
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < least:
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
    return best


def by_hand(python: str, d: dict[str, Any]) -> dict[str, Any]:
    """What Numba finds, and how long it takes."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "given.npz"), Path(folder, "found.npz")
        np.savez(given, **d)
        script = Path(__file__).with_name("loops_numba.py")
        subprocess.run([python, str(script), str(given), str(found)], check=True)
        return dict(np.load(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="a Python that has Numba")
    d = data()
    peers = parser.parse_args().peers
    others = by_hand(peers, d) if peers else {}
    failed = False
    print(f"{'loop':20}{'Croton, ms':>12}{'Numba, ms':>12}{'ratio':>8}")
    for name, call in loops(d).items():
        own, key = seconds(call), name.split(",")[0]
        line = f"{name:20}{own * 1e3:12.3f}"
        if key in others and "gradient" not in name:
            other = float(others[f"{key} seconds"])
            line += f"{other * 1e3:12.3f}{own / other:8.2f}"
            if key != "lorenz" and not np.allclose(call(), others[key], rtol=CLOSE, atol=CLOSE):
                failed = True
                line += "  failed"
        print(line, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
