"""Names that NumPy and the standard library had when the programs were written.

They are put back into the modules themselves, for a whole process: only ``croton run`` does
that, and only where a name is missing.
"""

from __future__ import annotations

import collections
import collections.abc
import fractions
import inspect
import math
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np


class ArgSpec(NamedTuple):
    """What ``inspect.getargspec`` returned."""

    args: list[str]
    varargs: str | None
    keywords: str | None
    defaults: tuple[Any, ...] | None


def getargspec(function: Callable[..., Any]) -> ArgSpec:
    """The names and defaults of the parameters of ``function``."""
    spec = inspect.getfullargspec(function)
    return ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


class _Casts:
    """``numpy.cast["float32"](x)``."""

    def __getitem__(self, dtype: Any) -> Callable[[Any], Any]:
        return lambda value: np.asarray(value).astype(dtype)


def _random_integers(low: int, high: int | None = None, size: Any = None) -> Any:
    """Integers from ``low`` to ``high``, that included."""
    first, last = (1, low) if high is None else (low, high)
    return np.random.randint(first, last + 1, size)


def _as_float_array(value: Any, dtype: Any = np.float64) -> Any:
    kind = np.dtype(dtype)
    return np.asarray(value, dtype=kind if kind.kind in "fc" else np.float64)


_NUMPY: dict[str, Any] = {
    "float": float,
    "int": int,
    "complex": complex,
    "object": object,
    "str": str,
    "unicode": str,
    "float_": np.float64,
    "complex_": np.complex128,
    "cfloat": np.complex128,
    "string_": np.bytes_,
    "unicode_": np.str_,
    "Inf": np.inf,
    "Infinity": np.inf,
    "infty": np.inf,
    "PINF": np.inf,
    "NINF": -np.inf,
    "PZERO": 0.0,
    "NZERO": -0.0,
    "NaN": np.nan,
    "NAN": np.nan,
    "alltrue": np.all,
    "asfarray": _as_float_array,
    "asscalar": lambda value: np.asarray(value).item(),
    "cast": _Casts(),
    "cumproduct": np.cumprod,
    "in1d": lambda value, among, **options: np.isin(np.ravel(value), among, **options),
    "mat": np.asmatrix,
    "msort": lambda value: np.sort(value, axis=0),
    "product": np.prod,
    "rank": np.ndim,
    "round_": np.round,
    "row_stack": np.vstack,
    "sometrue": np.any,
    "trapz": np.trapezoid,
}
_ABSTRACT = (
    "Callable Container Hashable ItemsView Iterable Iterator KeysView Mapping MappingView "
    "MutableMapping MutableSequence MutableSet Sequence Set Sized ValuesView"
)
_MODULES: tuple[tuple[ModuleType, dict[str, Any]], ...] = (
    (np, _NUMPY),
    (np.random, {"random_integers": _random_integers}),
    (time, {"clock": time.perf_counter}),
    (inspect, {"getargspec": getargspec}),
    (fractions, {"gcd": math.gcd}),
    (collections, {name: getattr(collections.abc, name) for name in _ABSTRACT.split()}),
)


def install() -> None:
    """Put the names back that are missing."""
    for module, names in _MODULES:
        for name, value in names.items():
            # Asking NumPy for a lost name would warn of it.
            if name not in vars(module):
                setattr(module, name, value)
