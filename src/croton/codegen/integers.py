"""Division of integers, rounded down as Python does it; by zero it gives zero.

No operand traps: INT_MIN // -1 wraps.  A power of two is a shift or a mask.
Vectors of up to 32 bits divide as floats, which is exact here, because x86 has no
division of integer vectors.
"""

from __future__ import annotations

from croton.codegen.types import KIND, SIZE, constant, type_of
from croton.codegen.values import Value, Values
from croton.kernel.nodes import Const, KernelError, Op


def floordiv(values: Values, op: Op, a: Value, b: Value) -> Value:
    """``a // b``."""
    return _divide(values, op, a, b, quotient=True)


def mod(values: Values, op: Op, a: Value, b: Value) -> Value:
    """``a - (a // b) * b``: the sign of ``b``."""
    return _divide(values, op, a, b, quotient=False)


def _divide(values: Values, op: Op, a: Value, b: Value, quotient: bool) -> Value:
    dtype, lanes = op.dtype, op.lanes
    if KIND[dtype] not in "su":
        raise KernelError(f"{op.name} is not defined for {dtype}")
    kind = type_of(dtype, lanes)
    divisor = op.args[1]
    if isinstance(divisor, Const):
        number = int(divisor.value)
        if number == 0:
            return 0 if kind == "i64" and dtype == "int64" else constant(0, dtype, lanes)
        if type(a) is int:
            return a // number if quotient else a % number
        if number > 0 and number & (number - 1) == 0:
            if not quotient:
                return values.emit(f"and {kind} {a}, {constant(number - 1, dtype, lanes)}")
            shift = constant(number.bit_length() - 1, dtype, lanes)
            return values.emit(f"{'ashr' if KIND[dtype] == 's' else 'lshr'} {kind} {a}, {shift}")
        if number > 0:
            return _by_constant(values, dtype, lanes, a, b, quotient)
    if type(a) is int and type(b) is int:
        return (a // b if quotient else a % b) if b else 0
    if lanes > 1 and SIZE[dtype] <= 4:
        return _as_floats(values, dtype, lanes, a, b, quotient)
    return _guarded(values, dtype, lanes, a, b, quotient)


def _by_constant(
    values: Values, dtype: str, lanes: int, a: Value, b: Value, quotient: bool
) -> Value:
    """By a literal that is at least 3, which LLVM turns into a product."""
    kind, bits = type_of(dtype, lanes), type_of("bool", lanes)
    if KIND[dtype] == "u":
        return values.emit(f"{'udiv' if quotient else 'urem'} {kind} {a}, {b}")
    rest = values.emit(f"srem {kind} {a}, {b}")
    zero = constant(0, dtype, lanes)
    below = values.emit(f"icmp slt {kind} {rest}, {zero}")
    if quotient:
        result = values.emit(f"sdiv {kind} {a}, {b}")
        step = values.emit(f"sext {bits} {below} to {kind}")
        return values.emit(f"add {kind} {result}, {step}")
    moved = values.emit(f"add {kind} {rest}, {b}")
    return values.emit(f"select {bits} {below}, {kind} {moved}, {kind} {rest}")


def _guarded(values: Values, dtype: str, lanes: int, a: Value, b: Value, quotient: bool) -> Value:
    """By anything: a divisor that would trap is replaced before and accounted for after."""
    kind, bits = type_of(dtype, lanes), type_of("bool", lanes)
    zero, one = constant(0, dtype, lanes), constant(1, dtype, lanes)
    is_zero = values.emit(f"icmp eq {kind} {b}, {zero}")
    if KIND[dtype] == "u":
        safe = values.emit(f"select {bits} {is_zero}, {kind} {one}, {kind} {b}")
        result = values.emit(f"{'udiv' if quotient else 'urem'} {kind} {a}, {safe}")
        return values.emit(f"select {bits} {is_zero}, {kind} {zero}, {kind} {result}")
    ones = constant(-1, dtype, lanes)
    is_minus = values.emit(f"icmp eq {kind} {b}, {ones}")
    special = values.emit(f"or {bits} {is_zero}, {is_minus}")
    safe = values.emit(f"select {bits} {special}, {kind} {one}, {kind} {b}")
    rest = values.emit(f"srem {kind} {a}, {safe}")
    inexact = values.emit(f"icmp ne {kind} {rest}, {zero}")
    signs = values.emit(f"xor {kind} {rest}, {safe}")
    opposite = values.emit(f"icmp slt {kind} {signs}, {zero}")
    below = values.emit(f"and {bits} {inexact}, {opposite}")
    if not quotient:
        moved = values.emit(f"add {kind} {rest}, {safe}")
        # By 0, -1 and 1 the rest is 0.
        return values.emit(f"select {bits} {below}, {kind} {moved}, {kind} {rest}")
    result = values.emit(f"sdiv {kind} {a}, {safe}")
    step = values.emit(f"sext {bits} {below} to {kind}")
    floored = values.emit(f"add {kind} {result}, {step}")
    negated = values.emit(f"sub {kind} {zero}, {a}")
    chosen = values.emit(f"select {bits} {is_minus}, {kind} {negated}, {kind} {floored}")
    return values.emit(f"select {bits} {is_zero}, {kind} {zero}, {kind} {chosen}")


def _as_floats(values: Values, dtype: str, lanes: int, a: Value, b: Value, quotient: bool) -> Value:
    """Up to 32 bits, through a float of at least twice the digits and a floor."""
    kind, bits = type_of(dtype, lanes), type_of("bool", lanes)
    sign = KIND[dtype]
    wide = "float64" if SIZE[dtype] == 4 else "float32"
    real = type_of(wide, lanes)
    cast = "sitofp" if sign == "s" else "uitofp"
    x, y = (values.emit(f"{cast} {kind} {v} to {real}") for v in (a, b))
    zero = constant(0, dtype, lanes)
    is_zero = values.emit(f"icmp eq {kind} {b}, {zero}")
    y = values.emit(f"select {bits} {is_zero}, {real} {constant(1.0, wide, lanes)}, {real} {y}")
    ratio = values.emit(f"fdiv {real} {x}, {y}")
    floored = values.intrinsic("floor", wide, lanes, ratio)
    # INT_MIN // -1 does not fit: one more bit, then wrap.
    middle = "int64" if SIZE[dtype] == 4 else "int32"
    word = type_of(middle, lanes)
    whole = values.emit(f"fptosi {real} {floored} to {word}")
    result = values.emit(f"trunc {word} {whole} to {kind}")
    if quotient:
        return values.emit(f"select {bits} {is_zero}, {kind} {zero}, {kind} {result}")
    product = values.emit(f"mul {kind} {result}, {b}")
    rest = values.emit(f"sub {kind} {a}, {product}")
    return values.emit(f"select {bits} {is_zero}, {kind} {zero}, {kind} {rest}")
