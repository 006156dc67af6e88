"""Rounding and conversion between dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise.op import Elemwise, define
from croton.tensor.elementwise.table import FUNCTIONS, ScalarFunction


def _on_floats(name: str) -> Any:
    def kernel(a: Expr) -> Expr:
        return build.op(name, a) if a.dtype.startswith("float") else a

    return kernel


def _on_float_arrays(function: Any) -> Any:
    return lambda a: function(a) if a.dtype.kind == "f" else a


def _half_away(a: Any) -> Any:
    down = np.trunc(a)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(a - down) >= 0.5, down + np.copysign(1, a), down).astype(a.dtype)


def _rounding(name: str, kernel: str, evaluate: Any, doc: str, example: Any) -> Any:
    return define(
        name, 1, _on_float_arrays(evaluate), lambda x, y, g: (None,), kernel=_on_floats(kernel),
        doc=doc + " An integer stays what it is.", example=example,
    )  # fmt: skip


floor = _rounding(
    "floor",
    "floor",
    np.floor,
    "The largest integer not above x.",
    ("floor([-1.5, 1.5])", "array([-2.,  1.])"),
)
ceil = _rounding(
    "ceil",
    "ceil",
    np.ceil,
    "The smallest integer not below x.",
    ("ceil([-1.5, 1.5])", "array([-1.,  2.])"),
)
trunc = _rounding(
    "trunc",
    "trunc",
    np.trunc,
    "The integer part of x.",
    ("trunc([-1.5, 1.5])", "array([-1.,  1.])"),
)
round_half_to_even = _rounding(
    "round_half_to_even",
    "rint",
    np.rint,
    "The nearest integer, halves to the even one.",
    ("round_half_to_even([0.5, 1.5, 2.5])", "array([0., 2., 2.])"),
)
round_half_away_from_zero = _rounding(
    "round_half_away_from_zero",
    "round_half_away",
    _half_away,
    "The nearest integer, halves away from zero.",
    ("round_half_away_from_zero([0.5, 1.5, 2.5])", "array([1., 2., 3.])"),
)


def round(x: Any, mode: str = "half_to_even") -> Any:
    """The nearest integer; ``mode`` is ``"half_to_even"`` or ``"half_away_from_zero"``.

    Floats stay floats; any other mode: ValueError.

    >>> import croton.tensor as T
    >>> T.round([0.5, 1.5], mode="half_away_from_zero").eval()
    array([1., 2.])
    """
    if mode == "half_to_even":
        return round_half_to_even(x)
    if mode == "half_away_from_zero":
        return round_half_away_from_zero(x)
    raise ValueError(f"mode is 'half_to_even' or 'half_away_from_zero', got {mode!r}")


def iround(x: Any, mode: str = "half_to_even") -> Any:
    """:func:`round` as int64.

    >>> import croton.tensor as T
    >>> T.iround([0.5, 1.5, 2.6]).eval()
    array([0, 2, 3])
    """
    return cast(round(x, mode), "int64")


def _define_cast(dtype: str) -> Elemwise:
    def rule(given: Sequence[str]) -> tuple[tuple[str, ...], str]:
        return (given[0],), dtype

    def kernel(a: Expr) -> Expr:
        if dtype == "bool":
            return build.op("ne", a, build.const(0, a.dtype)) if a.dtype != "bool" else a
        return build.cast(a, dtype)

    def evaluate(a: Any) -> Any:
        if np.dtype(dtype).kind in "iu" and a.dtype.kind == "f":
            return saturating(a, dtype)
        return a.astype(dtype)

    name = f"Cast{{{dtype}}}"
    entry = ScalarFunction(
        name, 1, evaluate, lambda x, y, g: (g.astype(x[0].dtype) if _is_float(x[0]) else None,),
        rule=rule, kernel=kernel, doc=f"Convert to {dtype}.",
    )  # fmt: skip
    FUNCTIONS[name] = entry
    return Elemwise(entry)


def _is_float(x: Variable) -> bool:
    return x.type.dtype in dtypes.FLOATS  # type: ignore[attr-defined]


def saturating(a: Any, dtype: str) -> Any:
    """Floats as integers: towards zero, NaN to 0, what is out of range to the nearest end."""
    info = np.iinfo(dtype)
    whole = np.trunc(np.nan_to_num(a, nan=0.0, posinf=np.inf, neginf=-np.inf))
    low, high = whole <= float(info.min), whole >= float(info.max)
    safe = np.where(low | high, 0, whole).astype(dtype)
    return np.where(low, info.min, np.where(high, info.max, safe)).astype(dtype)


_casts = {dtype: _define_cast(dtype) for dtype in dtypes.REAL}


def cast(x: Any, dtype: Any) -> Any:
    """``x`` converted to ``dtype``; itself if it has that dtype already.

    Floats become integers towards zero; NaN becomes 0, and what is out of
    range becomes the nearest integer of the dtype.  What is no dtype: TypeError.

    >>> import croton.tensor as T
    >>> T.cast([-1.7, 1.7, 300.0], "uint8").eval()
    array([  0,   1, 255], dtype=uint8)
    """
    x = as_tensor_variable(x)
    name = dtypes.check(dtype)
    return x if x.type.dtype == name else _casts[name](x)


identity = define(
    "identity",
    1,
    lambda a: np.array(a),
    lambda x, y, g: (g,),
    kernel=lambda a: a,
    doc="``x``.",
    example=("identity([1, 2])", "array([1, 2])"),
)
tensor_copy = identity
