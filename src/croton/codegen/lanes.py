"""Operations across lanes: broadcast, ramp, shuffle, extract and the reductions.

A reduction of floats halves the vector, ``v[:n/2] + v[n/2:]``, until one lane is
left: the order is fixed and the same on every target.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from croton.codegen.extremes import EXTREMES, any_nan, extreme, extreme_number
from croton.codegen.types import KIND, constant, constant_vector, suffix_of, type_of
from croton.codegen.values import Rule, Value, Values
from croton.kernel.nodes import Const, KernelError, Op

#: How two values of a type are combined, by the name of the operation.
_COMBINE = {
    "add": {"f": "fadd", "s": "add", "u": "add", "b": "or"},
    "mul": {"f": "fmul", "s": "mul", "u": "mul", "b": "and"},
    "maximum": {"f": "maximum", "s": "smax", "u": "umax", "b": "or"},
    "minimum": {"f": "minimum", "s": "smin", "u": "umin", "b": "and"},
    "and": {"s": "and", "u": "and", "b": "and"},
    "or": {"s": "or", "u": "or", "b": "or"},
    "xor": {"s": "xor", "u": "xor", "b": "xor"},
}
_REDUCE = {
    "reduce_add": "add",
    "reduce_mul": "mul",
    "reduce_max": "maximum",
    "reduce_min": "minimum",
    "reduce_and": "and",
    "reduce_or": "or",
    "reduce_xor": "xor",
}


def combine(values: Values, name: str, dtype: str, lanes: int, a: Value, b: Value) -> Value:
    """``a`` and ``b`` by the operation ``name`` of a reduction."""
    try:
        how = _COMBINE[name][KIND[dtype]]
    except KeyError:
        raise KernelError(f"a reduction by {name} is not defined for {dtype}") from None
    if name in EXTREMES:
        return extreme(values, name, dtype, lanes, a, b)
    return values.emit(f"{how} {type_of(dtype, lanes)} {a}, {b}")


def splat(values: Values, dtype: str, lanes: int, a: Value) -> Value:
    """The scalar ``a`` in every lane."""
    if isinstance(a, int) or not a.startswith("%"):
        return f"splat ({type_of(dtype, 1)} {a})"
    kind, scalar = type_of(dtype, lanes), type_of(dtype, 1)
    first = values.emit(f"insertelement {kind} poison, {scalar} {a}, i64 0")
    return values.emit(
        f"shufflevector {kind} {first}, {kind} poison, <{lanes} x i32> zeroinitializer"
    )


def _broadcast(values: Values, op: Op, a: Value) -> Value:
    return a if op.lanes == 1 else splat(values, op.dtype, op.lanes, a)


def _ramp(values: Values, op: Op, a: Value) -> Value:
    if KIND[op.dtype] == "b":
        raise KernelError("ramp is not defined for bool")
    steps = constant_vector(tuple(range(op.lanes)), op.dtype)
    if a in (0, "0", "0.0"):
        return steps
    base = splat(values, op.dtype, op.lanes, a)
    opcode = "fadd" if KIND[op.dtype] == "f" else "add"
    return values.emit(f"{opcode} {type_of(op.dtype, op.lanes)} {base}, {steps}")


def _shuffle(values: Values, op: Op, a: Value, b: Value) -> Value:
    kind = type_of(op.dtype, op.args[0].lanes)
    order = ", ".join([f"i32 {i}" for i in op.attrs])
    return values.emit(f"shufflevector {kind} {a}, {kind} {b}, <{op.lanes} x i32> <{order}>")


def _extract(values: Values, op: Op, a: Value) -> Value:
    arg = op.args[0]
    if isinstance(arg, Const):
        return int(arg.value) if op.dtype == "int64" else constant(arg.value, op.dtype, 1)
    return values.emit(f"extractelement {type_of(op.dtype, arg.lanes)} {a}, i64 {op.attrs[0]}")


def _reduce(values: Values, op: Op, a: Value) -> Value:
    dtype, lanes = op.dtype, op.args[0].lanes
    if lanes == 1:
        return a
    name = _REDUCE[op.name]
    if KIND[dtype] != "f":
        full = f"vector.reduce.{_COMBINE[name][KIND[dtype]]}.{suffix_of(dtype, lanes)}"
        return values.call(dtype, 1, full, (type_of(dtype, lanes), a))
    if lanes & (lanes - 1):
        raise KernelError(f"{op.name} of {lanes} lanes, not of a power of two")
    joined: Callable[..., Value] = combine
    nan: Value | None = None
    if name in EXTREMES and "extreme.nan" not in values.features:
        # Whether there is a NaN is asked once, not of each half.
        joined, nan = extreme_number, any_nan(values, dtype, lanes, a)
    while lanes > 2:
        lanes //= 2
        low, high = (_half(values, dtype, 2 * lanes, a, start) for start in (0, lanes))
        a = joined(values, name, dtype, lanes, low, high)
    pair = type_of(dtype, 2)
    low, high = (values.emit(f"extractelement {pair} {a}, i64 {i}") for i in (0, 1))
    a = joined(values, name, dtype, 1, low, high)
    if nan is None:
        return a
    kind = type_of(dtype, 1)
    return values.emit(f"select i1 {nan}, {kind} {constant(math.nan, dtype, 1)}, {kind} {a}")


def _half(values: Values, dtype: str, lanes: int, a: Value, start: int) -> Value:
    kind, half = type_of(dtype, lanes), lanes // 2
    order = ", ".join([f"i32 {i}" for i in range(start, start + half)])
    return values.emit(f"shufflevector {kind} {a}, {kind} poison, <{half} x i32> <{order}>")


LANES: dict[str, Rule] = {
    "broadcast": _broadcast,
    "ramp": _ramp,
    "shuffle": _shuffle,
    "extract": _extract,
    **dict.fromkeys(_REDUCE, _reduce),
}
