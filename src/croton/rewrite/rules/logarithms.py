"""Logarithms, exponentials, sigmoids and their kin, without cancellation or overflow."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import (
    abs_,
    erf,
    erfc,
    exp,
    expm1,
    log,
    log1p,
    sigmoid,
    softplus,
    sqr,
    sqrt,
    var,
)
from croton.rewrite.rule import Rule
from croton.rewrite.rules.conditions import is_float

x, y = var("x y")

_ACCURATE = "more accurate where the original cancels"
_RANGE = "right where the original over- or underflows"
_DOMAIN = "where the inner function is not defined or overflows the original gave NaN or infinity"


def _rule(name: str, pattern: Any, replacement: Any, note: str) -> Rule:
    return Rule(name, pattern, replacement, "stabilise", is_float, note)


RULES = (
    _rule("log1p", log(1 + x), log1p(x), _ACCURATE),
    _rule("log1p_minus", log(1 - x), log1p(-x), _ACCURATE),
    _rule("expm1", exp(x) + -1, expm1(x), _ACCURATE),
    _rule("minus_expm1", 1 - exp(x), -expm1(x), _ACCURATE),
    _rule("log_exp", log(exp(x)), x, _RANGE),
    _rule("exp_log", exp(log(x)), x, _DOMAIN),
    _rule("exp_log1p", exp(log1p(x)), 1 + x, _DOMAIN),
    _rule("log1p_expm1", log1p(expm1(x)), x, _RANGE),
    _rule("expm1_log1p", expm1(log1p(x)), x, _DOMAIN),
    _rule("softplus", log1p(exp(x)), softplus(x), _RANGE),
    _rule("sigmoid_of_negative", 1 / (1 + exp(-x)), sigmoid(x), _RANGE),
    _rule("sigmoid_negative", 1 / (1 + exp(x)), sigmoid(-x), _RANGE),
    _rule("sigmoid", exp(x) / (1 + exp(x)), sigmoid(x), _RANGE),
    _rule("over_sigmoid_of_negative", y / (1 + exp(-x)), y * sigmoid(x), _RANGE),
    _rule("over_sigmoid", y / (1 + exp(x)), y * sigmoid(-x), _RANGE),
    _rule("log_sigmoid", log(sigmoid(x)), -softplus(-x), _RANGE),
    _rule("log_sigmoid_complement", log1p(-sigmoid(x)), -softplus(x), _RANGE),
    _rule("exp_softplus", exp(softplus(x)), 1 + exp(x), "may change rounding"),
    _rule("exp_minus_softplus", exp(-softplus(x)), sigmoid(-x), _RANGE),
    _rule("erfc", 1 - erf(x), erfc(x), _ACCURATE),
    _rule("erf", 1 - erfc(x), erf(x), _ACCURATE),
    _rule("sqr_sqrt", sqr(sqrt(x)), x, "of a negative x it was NaN; may change rounding"),
    _rule("sqrt_sqr", sqrt(sqr(x)), abs_(x), _RANGE),
    _rule("sqrt_over", sqrt(x) / x, 1 / sqrt(x), "of 0 it was NaN, of -0.0 too"),
    _rule("over_sqrt", x / sqrt(x), sqrt(x), "of 0 it was NaN"),
)
