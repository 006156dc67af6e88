"""Random bits as numbers: elementwise functions, so that they fuse with what uses them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.kernel import build
from croton.kernel.nodes import Const, Expr
from croton.tensor.elementwise.op import Elemwise
from croton.tensor.elementwise.rounding import saturating
from croton.tensor.elementwise.table import FUNCTIONS, ScalarFunction

#: The bits of a number in [0, 1) that a dtype can hold.
DIGITS = {"float16": 11, "float32": 24, "float64": 53}


def _define(name: str, arity: int, evaluate: Any, kernel: Any, into: Any, out: str) -> Elemwise:
    def rule(given: Sequence[str]) -> tuple[tuple[str, ...], str]:
        return (into(given) if callable(into) else into), out

    entry = ScalarFunction(
        name, arity, evaluate, lambda x, y, g: (None,) * arity, rule=rule, kernel=kernel,
        doc="A step from random bits to random numbers.",
    )  # fmt: skip
    FUNCTIONS[name] = entry
    return Elemwise(entry)


def _shift(value: Expr, count: int) -> Expr:
    return build.op("shr", value, build.const(count, value.dtype, value.lanes))


def _literal(value: Any, like: Expr) -> Expr:
    return build.const(value, like.dtype, like.lanes)


def _define_fraction(dtype: str, open_: bool) -> Elemwise:
    """[0, 1) in steps of the dtype's last digit; ``open_``: the middles of steps twice as long."""
    digits = DIGITS[dtype]
    drop = 32 - digits
    scale = 2.0**-digits

    def whole(bits: Any) -> Any:
        if open_:
            return (bits >> np.uint32(drop + 1)) * np.uint32(2) + np.uint32(1)
        return bits >> np.uint32(drop)

    def evaluate(bits: Any) -> Any:
        return (whole(bits).astype(np.float32) * np.float32(scale)).astype(dtype)

    def kernel(bits: Expr) -> Expr:
        kept = _shift(bits, drop)
        if open_:
            kept = build.op("or", kept, _literal(1, kept))
        # Signed integers convert in one instruction everywhere.
        single = build.cast(build.bitcast(kept, "int32"), "float32")
        return build.op("mul", single, _literal(scale, single))

    name = f"Fraction{{{dtype}{',open' if open_ else ''}}}"
    return _define(name, 1, evaluate, kernel, ("uint32",), dtype)


def _define_double_fraction(open_: bool) -> Elemwise:
    """As :func:`_define_fraction` with 53 digits, of two times 32 bits."""
    last = 1 if open_ else 0

    def evaluate(high: Any, low: Any) -> Any:
        upper = (high >> np.uint32(5)).astype(np.float64) * 2.0**26
        lower = (low >> np.uint32(6)) | np.uint32(last)
        return (upper + lower) * 2.0**-53

    def kernel(high: Expr, low: Expr) -> Expr:
        lower = _shift(low, 6)
        if open_:
            lower = build.op("or", lower, _literal(1, lower))
        a, b = (build.cast(build.bitcast(v, "int32"), "float64") for v in (_shift(high, 5), lower))
        total = build.op("fma", a, _literal(2.0**26, a), b)
        return build.op("mul", total, _literal(2.0**-53, total))

    name = f"Fraction{{float64{',open' if open_ else ''}}}"
    return _define(name, 2, evaluate, kernel, ("uint32", "uint32"), "float64")


#: (dtype, open) -> the function of one (float64: two) random words.
FRACTION = {
    (dtype, open_): (
        _define_double_fraction(open_) if dtype == "float64" else _define_fraction(dtype, open_)
    )
    for dtype in DIGITS
    for open_ in (False, True)
}


def _bernoulli(bits: Any, p: Any) -> Any:
    return (bits < saturating(p * p.dtype.type(2.0**32), "uint32")) | (p >= 1)


def _bernoulli_kernel(bits: Expr, p: Expr) -> Expr:
    if isinstance(p, Const):
        value = np.asarray(p.value, p.dtype)
        if value >= 1:
            return build.const(True, "bool", bits.lanes)
        limit = saturating(value * value.dtype.type(2.0**32), "uint32")
        return build.op("lt", bits, _literal(int(limit), bits))
    scaled = build.cast(build.op("mul", p, _literal(2.0**32, p)), "uint32")
    return build.op("or", build.op("lt", bits, scaled), build.op("ge", p, _literal(1.0, p)))


def _bernoulli_into(given: Sequence[str]) -> tuple[str, ...]:
    return "uint32", "float32" if given[1] in ("float16", "float32") else "float64"


#: Whether an event of probability p happens: with 32 bits, so p = 0 and p = 1 are certain.
BERNOULLI = _define("Bernoulli", 2, _bernoulli, _bernoulli_kernel, _bernoulli_into, "bool")


def _normal(radius: Any, angle: Any) -> Any:
    u = (radius.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-32)
    turned = angle.view(np.int32).astype(np.float32) * np.float32(math.pi * 2.0**-31)
    return np.sqrt(np.float32(-2) * np.log(u)) * np.cos(turned)


def _normal_kernel(radius: Expr, angle: Expr) -> Expr:
    u = build.cast(radius, "float32")
    u = build.op("mul", build.op("add", u, _literal(0.5, u)), _literal(2.0**-32, u))
    turned = build.cast(build.bitcast(angle, "int32"), "float32")
    return _polar(u, build.op("mul", turned, _literal(math.pi * 2.0**-31, turned)))


def _polar(u: Expr, angle: Expr) -> Expr:
    length = build.op("sqrt", build.op("mul", build.op("log", u), _literal(-2.0, u)))
    return build.op("mul", length, build.op("cos", angle))


def _double_normal(radius: Any, low_radius: Any, angle: Any, low_angle: Any) -> Any:
    u = (radius.astype(np.float64) * 2.0**32 + low_radius + 0.5) * 2.0**-64
    turned = angle.view(np.int32) * 2.0**32 + low_angle
    return np.sqrt(-2 * np.log(u)) * np.cos(turned * (math.pi * 2.0**-63))


def _double_normal_kernel(radius: Expr, low_radius: Expr, angle: Expr, low_angle: Expr) -> Expr:
    def joined(high: Expr, low: Expr) -> Expr:
        a, b = build.cast(high, "float64"), build.cast(low, "float64")
        return build.op("fma", a, _literal(2.0**32, a), b)

    u = joined(radius, low_radius)
    u = build.op("mul", build.op("add", u, _literal(0.5, u)), _literal(2.0**-64, u))
    turned = joined(build.bitcast(angle, "int32"), low_angle)
    return _polar(u, build.op("mul", turned, _literal(math.pi * 2.0**-63, turned)))


#: A standard normal number by Box and Muller's method, from the words of a pair.  The tails end
#: where the words do: at 6.7 (float64: 9.4) standard deviations.
NORMAL = {
    "float32": _define("Normal{float32}", 2, _normal, _normal_kernel, ("uint32",) * 2, "float32"),
    "float64": _define(
        "Normal{float64}", 4, _double_normal, _double_normal_kernel, ("uint32",) * 4, "float64"
    ),
}


def _below(high: Any, low: Any, count: Any) -> Any:
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    top, bottom = count >> half, count & mask
    a, b = high.astype(np.uint64), low.astype(np.uint64)
    first, second = a * bottom, b * top
    carry = (b * bottom >> half) + (first & mask) + (second & mask)
    return (a * top + (first >> half) + (second >> half) + (carry >> half)).view(np.int64)


def _below_kernel(high: Expr, low: Expr, count: Expr) -> Expr:
    def lower(value: Expr) -> Expr:
        return build.op("and", value, _literal(0xFFFFFFFF, value))

    a, b = build.cast(high, "uint64"), build.cast(low, "uint64")
    top, bottom = _shift(count, 32), lower(count)
    first, second = build.op("mul", a, bottom), build.op("mul", b, top)
    carry = build.add(_shift(build.op("mul", b, bottom), 32), lower(first))
    carry = build.add(carry, lower(second))
    total = build.add(build.op("mul", a, top), _shift(first, 32))
    total = build.add(build.add(total, _shift(second, 32)), _shift(carry, 32))
    return build.bitcast(total, "int64")


#: An integer of 0 ... count - 1: the high half of the product of 64 random bits with the count.
BELOW = _define("Below", 3, _below, _below_kernel, ("uint32", "uint32", "uint64"), "int64")
