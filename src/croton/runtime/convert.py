"""The slow path of arguments: any Python value to an array that an input takes.

A *policy* says what may be lost on the way:

- ``"strict"``: nothing is converted; the value must be an array of the dtype;
- ``"safe"``: a cast that NumPy calls safe (int64 to float64 is one), or one that happens
  to change nothing (1.0 for an integer input, 0.5 for a float32 one);
- ``"float"``: as safe, and a Python float is rounded for a float input;
- ``"downcast"``: any cast within numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

POLICIES = ("strict", "safe", "float", "downcast")


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"


def _is_float(value: Any) -> bool:
    return type(value) is float


def _number(value: Any, dtype: np.dtype[Any], policy: str) -> Any:
    """Integers beyond 64 bits are no numbers to NumPy: then the float that stands for one."""
    if type(value) is not int or -(2**63) <= value < 2**64:
        return value
    nearest = float(value)
    rounding_is_safe = dtype in (np.float64, np.complex128) or policy == "downcast"
    return nearest if rounding_is_safe or int(nearest) == value else value


def _same_values(given: NDArray[Any], converted: NDArray[Any]) -> bool:
    if converted.dtype.kind in "iu" and given.dtype.kind in "iuf":
        # Numbers out of range wrap, or stop at the limit, and may come back as they were.
        limits = np.iinfo(converted.dtype)
        top = limits.max if given.dtype.kind != "f" else float(limits.max + 1)
        inside = (given <= top) if given.dtype.kind != "f" else (given < top)
        if not np.all(inside & (given >= limits.min)):
            return False
    back = converted.astype(given.dtype)
    equal = back == given
    if given.dtype.kind in "fc":
        equal |= (back != back) & (given != given)
    return bool(np.all(equal))


def to_array(value: Any, dtype: np.dtype[Any], ndim: int, policy: str, what: str) -> NDArray[Any]:
    """``value`` as an array of ``dtype`` with ``ndim`` dimensions, or a TypeError.

    ``what`` names the input in errors.
    """
    expected = f"{what}: expected {dtype} with {ndim} dimensions"
    if value is None:
        raise TypeError(f"{expected}, not None")
    if policy == "strict" and not (isinstance(value, np.ndarray) and value.dtype == dtype):
        raise TypeError(f"{expected} (no conversion is allowed), not {_describe(value)}")
    try:
        given = np.asarray(_number(value, dtype, policy))
    except (ValueError, OverflowError, TypeError) as error:
        raise TypeError(f"{expected}, not {_describe(value)}: {error}") from None
    if given.size == 0 and not isinstance(value, np.ndarray):
        given = given.astype(dtype)  # an empty list has no type of its own
    if given.dtype.kind not in "biufc":
        raise TypeError(f"{expected}, not {_describe(value)}")
    if given.ndim != ndim:
        raise TypeError(f"{expected}, not {given.ndim}: {_describe(value)}")
    if given.dtype == dtype or np.can_cast(given.dtype, dtype, "safe"):
        return given.astype(dtype, copy=False)
    if given.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"{expected}, not {_describe(value)}: it is complex")
    if policy == "float" and dtype.kind == "f" and _is_float(value):
        return given.astype(dtype)
    with np.errstate(all="ignore"):
        converted = given.astype(dtype)
        # Whether an array may be given does not hang on the numbers in it.
        exact = not isinstance(value, np.ndarray) and _same_values(given, converted)
        if policy == "downcast" or exact:
            return converted
    raise TypeError(
        f"{expected}, not {_describe(value)}: it would lose precision; convert it, or allow "
        "the input to be downcast"
    )


def converter(
    dtypes: Sequence[str], ranks: Sequence[int], policies: Sequence[str], names: Sequence[str]
) -> Callable[[int, Any], NDArray[Any]]:
    """The ``convert`` of a callable with these inputs."""
    types = [np.dtype(name) for name in dtypes]

    def convert(position: int, value: Any) -> NDArray[Any]:
        what = names[position]
        return to_array(value, types[position], ranks[position], policies[position], what)

    return convert
