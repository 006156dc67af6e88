"""Sums, differences, products and quotients with 0, 1 and -1; signs; constants brought together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from croton.rewrite.pattern import abs_, const, exp, neg, reciprocal, sqr, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.conditions import (
    both,
    filled,
    is_float,
    is_moderate,
    is_no_size,
    is_number,
    is_signed,
    is_sound,
    x_is_whole,
)
from croton.tensor import dtypes

x, y = var("x y")
a, b = const("a b")

_ROUNDING = "may change rounding"


def _rule(
    name: str,
    pattern: Any,
    replacement: Any,
    when: Callable[[Match], bool] | None = None,
    note: str = "",
) -> Rule:
    # Sizes have a normal form of their own.
    condition = is_no_size if when is None else both(is_no_size, when)
    return Rule(name, pattern, replacement, "canonicalise", condition, note)


def _same_sign(m: Match) -> bool:
    # Of opposite signs they may be there to round: (x + 2**23) - 2**23.
    return m.out.type.dtype in dtypes.DISCRETE or m.number(m.a) * m.number(m.b) > 0


def _opposite_sign(m: Match) -> bool:
    return m.out.type.dtype in dtypes.DISCRETE or m.number(m.a) * m.number(m.b) < 0


_neutral = (
    _rule("add_zero", x + 0, x, is_number, "-0.0 + 0.0 was 0.0"),
    _rule("sub_zero", x - 0, x),
    _rule("zero_sub", 0 - x, -x, note="0.0 - 0.0 was 0.0, now it is -0.0"),
    _rule("mul_one", x * 1, x),
    _rule("mul_zero", x * 0, filled(0), note="of NaN and infinities it was NaN, and -0.0 is 0.0"),
    _rule("mul_minus_one", x * -1, -x, is_number),
    _rule("div_one", x / 1, x, is_float),
    _rule("div_minus_one", x / -1, -x, is_float),
    _rule("zero_div", 0 / x, filled(0), is_float, "of 0 and NaN it was NaN, and -0.0 is 0.0"),
    _rule("sub_self", x - x, filled(0), note="of NaN and infinities it was NaN"),
    _rule("div_self", x / x, filled(1), is_float, "of 0, NaN and infinities it was NaN"),
    _rule("mul_self", x * x, sqr(x), is_number),
    _rule("pow_one", x**1, x),
    _rule("pow_zero", x**0, filled(1)),
    _rule("pow_two", x**2, sqr(x)),
    _rule("pow_minus_one", x**-1, 1 / x, is_float),
    _rule("reciprocal", reciprocal(x), 1 / x),
    _rule("one_over_quotient", 1 / (1 / x), x, note=_ROUNDING),
    _rule("over_reciprocal", x / (1 / y), x * y, note=_ROUNDING),
)

_signs = (
    _rule("neg_neg", neg(neg(x)), x),
    _rule("add_neg", x + (-y), x - y),
    _rule("sub_neg", x - (-y), x + y),
    _rule("neg_sub_from", (-x) - y, -(x + y), note="-(-0.0) - 0.0 was 0.0"),
    _rule("neg_sub", -(x - y), y - x, note="-(x - x) was -0.0"),
    _rule("mul_neg", x * (-y), -(x * y)),
    _rule("neg_div", (-x) / y, -(x / y)),
    _rule("div_neg", x / (-y), -(x / y)),
    _rule("neg_times_constant", -(x * a), x * neg(a)),
    _rule("neg_constant_over", -(a / x), neg(a) / x),
    _rule("sqr_neg", sqr(-x), sqr(x)),
    _rule("sqr_abs", sqr(abs_(x)), sqr(x)),
    _rule("abs_neg", abs_(-x), abs_(x), is_signed),
    _rule("abs_abs", abs_(abs_(x)), abs_(x)),
    _rule("abs_sqr", abs_(sqr(x)), sqr(x), is_float),
    _rule("abs_exp", abs_(exp(x)), exp(x)),
)

_constants = (
    _rule("sub_constant", x - a, x + neg(a), lambda m: m.number(m.x) is None),
    _rule("add_add", (x + a) + b, x + (a + b), both(x_is_whole, _same_sign), _ROUNDING),
    _rule("from_add", (a - x) + b, (a + b) - x, both(x_is_whole, _same_sign), _ROUNDING),
    _rule("from_sum", a - (x + b), (a - b) - x, both(x_is_whole, _opposite_sign), _ROUNDING),
    _rule("from_from", a - (b - x), x + (a - b), both(x_is_whole, _opposite_sign), _ROUNDING),
    _rule(
        "mul_mul", (x * a) * b, x * (a * b),
        both(x_is_whole, is_sound(lambda a, b: a * b)), _ROUNDING,
    ),
    _rule(
        "mul_div", (x * a) / b, x * (a / b),
        both(is_float, x_is_whole, is_sound(lambda a, b: a / b)), _ROUNDING,
    ),
    _rule(
        "div_mul", (x / a) * b, x * (b / a),
        both(is_float, x_is_whole, is_sound(lambda a, b: b / a)), _ROUNDING,
    ),
    _rule(
        "div_div", (x / a) / b, x / (a * b),
        both(is_float, x_is_whole, is_sound(lambda a, b: a * b)), _ROUNDING,
    ),
    _rule(
        "constant_over_mul", (a / x) * b, (a * b) / x,
        both(is_float, x_is_whole, is_sound(lambda a, b: a * b)), _ROUNDING,
    ),
    _rule(
        "constant_out_of_product", (x * a) * y, (x * y) * a,
        both(x_is_whole, is_moderate, lambda m: m.number(m.y) is None), _ROUNDING,
    ),
    _rule(
        "constant_out_of_quotient", (x * a) / y, (x / y) * a,
        both(is_float, x_is_whole, is_moderate, lambda m: m.number(m.y) is None), _ROUNDING,
    ),
)  # fmt: skip

RULES = (*_neutral, *_signs, *_constants)
