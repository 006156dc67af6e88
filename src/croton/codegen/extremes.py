"""The larger and the smaller of two values, in which a NaN wins."""

from __future__ import annotations

from croton.codegen.types import KIND, suffix_of, type_of
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
    best = extreme_number(values, name, dtype, lanes, a, b)
    if _is_number(a):
        return best
    nan = values.emit(f"fcmp uno {kind} {a}, {a}")
    return values.emit(f"select {type_of('bool', lanes)} {nan}, {kind} {a}, {kind} {best}")


def extreme_number(values: Values, name: str, dtype: str, lanes: int, a: Value, b: Value) -> Value:
    """Of two floats; one instruction on x86, which gives ``b`` if either is NaN."""
    kind = type_of(dtype, lanes)
    larger = values.emit(f"{EXTREMES[name]['f']} {kind} {a}, {b}")
    return values.emit(f"select {type_of('bool', lanes)} {larger}, {kind} {a}, {kind} {b}")


def any_nan(values: Values, dtype: str, lanes: int, a: Value) -> Value:
    """Whether some lane of the floats ``a`` is NaN."""
    bits = values.emit(f"fcmp uno {type_of(dtype, lanes)} {a}, {a}")
    name = f"vector.reduce.or.{suffix_of('bool', lanes)}"
    return values.call("bool", 1, name, (type_of("bool", lanes), bits))


def _is_number(value: Value) -> bool:
    """Whether ``value`` is a literal other than NaN."""
    return str(value)[0] != "%" and not any(nan in str(value) for nan in _NAN)


_NAN = ("0x7FF8000000000000", "0xH7E00")
