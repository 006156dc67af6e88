"""dtype rules: NumPy's promotion of arrays, and how Python scalars become typed constants."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from croton.config import config

BOOL = ("bool",)
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
DISCRETE = BOOL + INTEGERS
FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
REAL = DISCRETE + FLOATS
_REAL = frozenset(REAL)
_NAMES: dict[Any, str] = {np.dtype(name): name for name in REAL}


def check(dtype: Any) -> str:
    """The name of a dtype; ``"floatX"`` is looked up.  TypeError if it is not a number's."""
    if isinstance(dtype, str):
        if dtype in _REAL:
            return dtype
        if dtype == "floatX":
            return str(config.floatX)
    elif isinstance(dtype, np.dtype):
        known = _NAMES.get(dtype)
        if known is not None:
            return known
    try:
        name = str(np.dtype(dtype).name)
    except TypeError as error:
        raise TypeError(f"not a dtype: {dtype!r}") from error
    if name not in REAL:
        raise TypeError(f"croton has no dtype {name!r}; there are {', '.join(REAL)}")
    return name


@lru_cache(maxsize=4096)
def upcast(*dtypes: str) -> str:
    """The smallest dtype that holds all of ``dtypes``, by NumPy's rule for arrays.

    >>> upcast("int8", "float32"), upcast("int32", "float32"), upcast("bool", "int8")
    ('float32', 'float64', 'int8')
    """
    return np.result_type(*dtypes).name


@lru_cache(maxsize=64)
def to_float(dtype: str) -> str:
    """The float dtype in which functions such as exp give their result.

    >>> to_float("int8"), to_float("int64"), to_float("float32")
    ('float32', 'float64', 'float32')
    """
    if dtype in FLOATS:
        return dtype
    return "float32" if dtype in ("bool", "int8", "int16", "uint8", "uint16") else "float64"


def autocast(value: int | float | bool) -> np.ndarray[Any, Any]:
    """A Python scalar as a 0-d array of the smallest fitting dtype.

    Integers take the smallest signed integer that holds them.  Floats take
    float32 if that is ``floatX`` or loses nothing, else float64 (Theano's rule).
    With ``cast_policy="numpy+floatX"`` floats take ``floatX`` and integers int64.
    """
    if isinstance(value, bool):
        return np.array(value)
    if config.cast_policy == "numpy+floatX":
        return np.array(value, config.floatX if isinstance(value, float) else None)
    if isinstance(value, int):
        for dtype in SIGNED:
            info = np.iinfo(dtype)
            if info.min <= value <= info.max:
                return np.array(value, dtype)
        if value >= 2**64 or value < 0:
            raise OverflowError(f"{value} does not fit into 64 bits; write it as a float")
        return np.array(value, np.uint64)
    if config.floatX == "float16":
        return np.array(value, np.float16)
    with np.errstate(over="ignore"):
        single = np.float32(value)
    if config.floatX == "float32" or float(single) == value or value != value:
        return np.array(single)
    return np.array(value)
