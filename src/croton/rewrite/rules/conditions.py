"""Conditions that several rules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from croton.rewrite.rule import Match
from croton.tensor import dtypes
from croton.tensor.convert import constant


def is_float(m: Match) -> bool:
    """The result is a float."""
    return m.out.type.dtype in dtypes.FLOATS


def is_discrete(m: Match) -> bool:
    """The result is an integer or a bool."""
    return m.out.type.dtype in dtypes.DISCRETE


def is_bool(m: Match) -> bool:
    """The result is a bool."""
    return bool(m.out.type.dtype == "bool")


def is_number(m: Match) -> bool:
    """The result is not a bool."""
    return bool(m.out.type.dtype != "bool")


def is_signed(m: Match) -> bool:
    """The result is a float or a signed integer."""
    return is_float(m) or m.out.type.dtype in dtypes.SIGNED


def is_size(v: Any) -> bool:
    """``v`` is of the type of a size: an int64 scalar."""
    return bool(v.type.ndim == 0 and v.type.dtype == "int64")


def is_no_size(m: Match) -> bool:
    """The result is anything but an int64 scalar."""
    return not is_size(m.out)


def takes_floats(m: Match) -> bool:
    """The first input is a float."""
    return m.inputs[0].type.dtype in dtypes.FLOATS


def takes_discrete(m: Match) -> bool:
    """The first input is an integer or a bool."""
    return m.inputs[0].type.dtype in dtypes.DISCRETE


def x_is_whole(m: Match) -> bool:
    """``x`` is as large as the result, so that work moved off it is not repeated more often."""
    return bool(m.x.type.broadcastable == m.out.type.broadcastable)


def is_sound(combine: Callable[[Any, Any], Any]) -> Callable[[Match], bool]:
    """``combine`` of the constants a and b is exact, or a float without over- or underflow."""

    def check(m: Match) -> bool:
        dtype = m.out.type.dtype
        if dtype in dtypes.DISCRETE:
            return True
        with np.errstate(all="ignore"):
            value = abs(float(combine(np.float64(m.number(m.a)), np.float64(m.number(m.b)))))
        info = np.finfo(dtype)
        return bool(float(info.tiny) <= value <= float(info.max))

    return check


def is_moderate(m: Match) -> bool:
    """The constant a can move in a product without making it over- or underflow by itself."""
    return is_discrete(m) or 1e-6 <= abs(m.number(m.a)) <= 1e6


def both(*conditions: Callable[[Match], bool]) -> Callable[[Match], bool]:
    """All the conditions."""
    return lambda m: all(c(m) for c in conditions)


def filled(value: Any) -> Callable[[Match], Any]:
    """A replacement: the constant ``value``, which takes the result's shape."""
    return lambda m: constant(value, dtype=m.out.type.dtype, ndim=m.out.type.ndim)
