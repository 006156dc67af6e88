"""Computing expressions in tests, by NumPy and by compiled code."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import croton
from croton.gradient.numeric import evaluate

#: Set to "reference" to run the tests without compiling anything.
WAYS = os.environ.get("CROTON_TEST_WAYS", "reference,native").split(",")


def compute(outputs: Any, inputs: Any = None, *, ulp: float = 4, terms: float = 0.0) -> Any:
    """The values of ``outputs`` (one, or a list) where ``inputs`` maps variables to values.

    Each op's NumPy definition gives them; a compiled function must give the same
    (floats up to ``ulp`` units of the largest of an expression's values, or of ``terms``: how
    large numbers are whose sum may come to hardly anything).
    """
    many = isinstance(outputs, list | tuple)
    wanted = list(outputs) if many else [outputs]
    given = {v: v.type.filter(x) for v, x in (inputs or {}).items()}
    found = evaluate(wanted, given)
    for v, x in zip(wanted, found, strict=True):
        assert x.dtype == v.type.dtype, f"{v.type} came out as {x.dtype}"
        assert x.ndim == v.type.ndim, f"{v.type} came out with shape {x.shape}"
        assert all(d in (None, n) for d, n in zip(v.type.shape, x.shape, strict=True))
    if "native" in WAYS:
        compare(wanted, given, found, ulp, terms)
    return found if many else found[0]


def compare(
    outputs: list[Any],
    given: dict[Any, Any],
    found: list[Any],
    ulp: float = 4,
    terms: float = 0.0,
) -> None:
    """Compile and run; AssertionError where the values are not those of ``found``."""
    f = croton.function(list(given), outputs, on_unused_input="ignore", no_default_updates=True)
    for v, want, got in zip(outputs, found, f(*given.values()), strict=True):
        got = np.asarray(got)
        assert got.dtype == want.dtype, f"{v}: {want.dtype} came out as {got.dtype}"
        assert got.shape == want.shape, f"{v}: {want.shape} came out as {got.shape}"
        if want.dtype.kind == "f":
            epsilon = float(np.finfo(want.dtype).eps)
            finite = want[np.isfinite(want)].astype(np.float64)
            size = max(terms, float(np.abs(finite).max()) if finite.size else 0.0)
            size = min(size, 1e3) if size > 1e6 else size
            np.testing.assert_allclose(
                got, want, rtol=ulp * epsilon, atol=ulp * epsilon * size, err_msg=str(v)
            )
        else:
            np.testing.assert_array_equal(got, want, err_msg=str(v))


def refuses(outputs: Any, inputs: Any, error: type[Exception], match: str = ".") -> None:
    """AssertionError unless ``inputs`` raise ``error``, by NumPy and by compiled code."""
    wanted = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    given = {v: v.type.filter(x) for v, x in (inputs or {}).items()}
    with pytest.raises(error, match=match):
        evaluate(wanted, given)
    if "native" in WAYS:
        f = croton.function(list(given), wanted, on_unused_input="ignore", no_default_updates=True)
        with pytest.raises(error):
            f(*given.values())


def samples(dtype: str) -> Any:
    """Values of a dtype worth trying: small ones, both ends, what is special."""
    if dtype == "bool":
        return np.array([False, True, True])
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        values = [0, 1, 2, 3, 5, 7, 100, info.max, info.max - 1]
        if info.min < 0:
            values += [-1, -2, -3, -7, -100, info.min, info.min + 1]
        return np.array(values, dtype)
    info = np.finfo(dtype)
    values = [0.0, -0.0, 0.5, -0.5, 1, -1, 1.5, -2.5, 3, -7.25, 0.1, -0.3, 10, -20.5]
    values += [np.inf, -np.inf, np.nan, float(info.max), -float(info.tiny), float(info.eps)]
    rng = np.random.default_rng(5)
    with np.errstate(over="ignore"):
        return np.concatenate([values, rng.standard_normal(13), rng.uniform(-80, 80, 10)]).astype(
            dtype
        )


def child_status(function: Callable[[], Any]) -> int | str:
    """Run ``function`` in a forked child: the child's exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    for _ in range(2000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hung"


def ends_at_an_interrupt(call: Callable[[], Any]) -> None:
    """``call`` would go on and on, and ends where somebody presses Ctrl-C after a while."""

    def interrupt() -> None:
        time.sleep(0.3)
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        call()
    thread.join()
