"""Reductions in two steps, where one would walk through memory against its order."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import op, var
from croton.rewrite.rule import Match, Rule
from croton.tensor.reduction import Reduce

x = var("x")

_WORTHWHILE = 16
"""How many elements a row should have, where that is known, to be reduced apart."""


def _around_kept(m: Match) -> Any:
    """Over axes on both sides of those that stay: the rows first, which lie in one piece."""
    shape = m.x.type.shape
    kept = [d for d in range(len(shape)) if d not in m.op.axis and shape[d] != 1]
    if not kept or m.op.dtype == "float16":
        return None
    leading = tuple(a for a in m.op.axis if a < kept[-1])
    trailing = tuple(a for a in m.op.axis if a > kept[-1])
    if not trailing or not any(shape[a] != 1 and a < kept[-1] for a in leading):
        return None
    count = 1
    for a in trailing:
        if shape[a] is None:
            break
        count *= shape[a]
    else:
        if count < _WORTHWHILE:
            return None
    rows = Reduce(m.op.kind, trailing, m.op.dtype)(m.x)
    return Reduce(m.op.kind, leading, m.op.dtype)(rows)


RULES = (
    Rule(
        "reduce_rows_first",
        op(Reduce, x),
        _around_kept,
        "split",
        note="may change the order of summation",
    ),
)
