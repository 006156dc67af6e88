"""The larger and the smaller of two values, in which a NaN wins."""

from __future__ import annotations

from croton.codegen.types import KIND, type_of
from croton.codegen.values import Value, Values

EXTREMES = {
    "maximum": {"f": "fcmp ogt", "s": "smax", "u": "umax", "b": "or"},
    "minimum": {"f": "fcmp olt", "s": "smin", "u": "umin", "b": "and"},
}


def extreme(values: Values, name: str, dtype: str, lanes: int, a: Value, b: Value) -> Value:
    """``maximum`` or ``minimum``; a NaN in either operand wins."""
    how = EXTREMES[name][KIND[dtype]]
    kind = type_of(dtype, lanes)
    if KIND[dtype] == "b":
        return values.emit(f"{how} {kind} {a}, {b}")
    if KIND[dtype] != "f":
        if type(a) is int and type(b) is int:
            return max(a, b) if name == "maximum" else min(a, b)
        return values.intrinsic(how, dtype, lanes, a, b)
    if "extreme.nan" in values.features:
        return values.intrinsic(name, dtype, lanes, a, b)
    if _is_number(b) and not _is_number(a):
        a, b = b, a
    bits = type_of("bool", lanes)
    # One instruction on x86, which gives b if either operand is NaN.
    larger = values.emit(f"{how} {kind} {a}, {b}")
    best = values.emit(f"select {bits} {larger}, {kind} {a}, {kind} {b}")
    if _is_number(a):
        return best
    nan = values.emit(f"fcmp uno {kind} {a}, {a}")
    return values.emit(f"select {bits} {nan}, {kind} {a}, {kind} {best}")


def _is_number(value: Value) -> bool:
    """Whether ``value`` is a literal other than NaN."""
    return str(value)[0] != "%" and not any(nan in str(value) for nan in _NAN)


_NAN = ("0x7FF8000000000000", "0xH7E00")
