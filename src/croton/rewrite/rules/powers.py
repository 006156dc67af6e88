"""Powers and quotients by known numbers, in operations that machines do well."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from croton.rewrite.pattern import const, op, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.conditions import both, is_float
from croton.tensor.convert import constant
from croton.tensor.elementwise import exp2, mul, sqr, sqrt, true_div

x, y, z = var("x y z")
a = const("a")

_LARGEST = 16
_ROUNDING = "may change rounding"


def _whole_power(m: Match) -> Any:
    """Repeated squaring for small whole exponents, and for half ones a root besides."""
    exponent = float(m.number(m.a))
    is_integer = not is_float(m)
    half = not is_integer and exponent % 1 == 0.5
    if (not half and exponent % 1) or abs(exponent) > _LARGEST:
        return None
    if is_integer and exponent < 0:
        return None
    magnitude = abs(exponent)
    result = _power(m.x, int(magnitude))
    if half:
        root = sqrt(m.x)
        result = root if result is None else mul(result, root)
    if result is None:
        return None
    if exponent < 0:
        return true_div(constant(1, dtype=m.out.type.dtype, ndim=m.out.type.ndim), result)
    return result


def _power(v: Any, n: int) -> Any:
    result = None
    while n:
        if n & 1:
            result = v if result is None else mul(result, v)
        n >>= 1
        if n:
            v = sqr(v)
    return result


def _by_power_of_two(m: Match) -> Any:
    value = float(m.number(m.a))
    if not math.isfinite(value) or value == 0 or abs(math.frexp(value)[0]) != 0.5:
        return None
    if not 2.0**-14 <= abs(value) <= 2.0**14:
        return None
    factor = constant(1 / value, dtype=m.out.type.dtype, ndim=m.out.type.ndim)
    return mul(m.x, factor)


def _divides_more_often(m: Match) -> bool:
    """``y`` is smaller than the result: one division for several products."""
    return bool(
        m.y.type.broadcastable != m.out.type.broadcastable
        and m.x.type.broadcastable == m.out.type.broadcastable
        and m.number(m.y) is None
    )


def _over_smaller(m: Match) -> Any:
    one = constant(1, dtype=m.y.type.dtype, ndim=m.y.type.ndim)
    return mul(m.x, true_div(one, m.y))


def _are_small(m: Match) -> bool:
    """Two factors are smaller than the result even together: their product is made less often."""
    whole = m.out.type.broadcastable
    small = [a and b for a, b in zip(m.y.type.broadcastable, m.z.type.broadcastable, strict=True)]
    return bool(m.x.type.broadcastable == whole and tuple(small) != whole)


def _rule(
    name: str, pattern: Any, build: Callable[[Match], Any], when: Any = None, note: str = ""
) -> Rule:
    return Rule(name, pattern, build, "specialise", when, note)


RULES = (
    _rule(
        "known_power", x**a, _whole_power,
        note="may change rounding; pow(-inf, 0.5) was inf and is NaN, pow(-0.0, 0.5) was 0.0",
    ),
    _rule("power_of_two", op("pow", 2, x), lambda m: exp2(m.x), is_float, _ROUNDING),
    _rule("over_power_of_two", x / a, _by_power_of_two, is_float),
    _rule(
        "over_smaller", x / y, _over_smaller, both(is_float, _divides_more_often),
        "a product with the reciprocal differs by up to 1 ULP; the reciprocal of a denormal "
        "number is infinite",
    ),
    _rule(
        "small_factors_together", (x * y) * z, lambda m: mul(m.x, mul(m.y, m.z)),
        both(is_float, _are_small), _ROUNDING,
    ),
)  # fmt: skip
