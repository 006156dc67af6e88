"""Variances: squared deviations from the mean as one reduction, where that saves a pass."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import reduction, sqr, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.normalised import spread_reduction
from croton.tensor.deviations import SquaredDeviations
from croton.tensor.shapes import DimShuffle

d = var("d")


def _factors(v: Any, m: Match) -> list[Any]:
    args = m.arguments(v, "mul")
    if args is None:
        return [v]
    return [f for a in args for f in _factors(a, m)]


def _is_count(v: Any, x: Any, axes: tuple[int, ...], m: Match) -> bool:
    """Whether ``v`` is the number of elements of ``x`` along ``axes``."""
    if v.owner is not None and isinstance(v.owner.op, DimShuffle):
        v = v.owner.inputs[0]
    sizes = [m.sizes(x)[a] for a in axes]
    number = m.number(v)
    if number is not None:
        known = [m.number(s) for s in sizes]
        total = 1
        for k in known:
            if k is None:
                return False
            total *= k
        return bool(number == total)
    args = m.arguments(v, f"Cast{{{x.type.dtype}}}")
    if args is None:
        return False
    return sorted(map(id, _factors(args[0], m))) == sorted(map(id, sizes))


def _deviations(m: Match) -> Any:
    """``sum((x - sum(x) / n)**2)`` over the leading axes."""
    axes = m.op.axis
    if axes != tuple(range(len(axes))) or m.op.dtype not in ("float32", "float64"):
        return None
    difference = m.arguments(m.d, "sub")
    if difference is None:
        return None
    x, mean = difference
    quotient = m.arguments(mean, "true_div")
    if quotient is None or x.type.dtype != m.op.dtype:
        return None
    total = spread_reduction(quotient[0], "sum")
    if total is None or total[0] is not x or total[1] != axes:
        return None
    return SquaredDeviations(axes)(x) if _is_count(quotient[1], x, axes, m) else None


RULES = (
    Rule(
        "squared_deviations",
        reduction("sum", sqr(d)),
        _deviations,
        "stabilise",
        note="may change rounding",
    ),
)
