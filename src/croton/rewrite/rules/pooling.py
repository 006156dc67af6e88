"""Maxima first: a function that never falls is computed of the maxima of windows only."""

from __future__ import annotations

import math
from typing import Any

from croton.rewrite.pattern import op
from croton.rewrite.rule import Match, Rule
from croton.tensor import dtypes
from croton.tensor.elementwise import Elemwise
from croton.tensor.signal.ops import MaxPool

#: Functions of one argument that are defined everywhere and never fall.
_OF_ONE = frozenset("exp exp2 expm1 tanh sigmoid softplus sinh arcsinh arctan erf".split())
#: Functions of two arguments that never fall if one of them is held: whichever, or the second.
_OF_EITHER, _OF_FIRST = frozenset(("add", "maximum", "minimum")), frozenset(("sub",))
#: Those that never fall if the other one, or the second, is held and positive.
_SCALED, _DIVIDED = "mul", "true_div"


def _moving(m: Match) -> int | None:
    """Which argument of the function varies within a window, if it is the only one."""
    pool, values = m.op, m.inputs[0]
    rank, spatial = values.type.ndim, len(pool.window)
    parts = zip(pool.window, pool.strides, pool.pad, strict=True)
    pooled = [d for d, part in enumerate(parts, rank - spatial) if part != (1, 1, 0)]
    moving = [
        k for k, v in enumerate(values.owner.inputs) if any(v.type.shape[d] != 1 for d in pooled)
    ]
    return moving[0] if len(moving) == 1 else None


def _never_falls(m: Match) -> bool:
    """Whether the function is of the maxima what the maxima are of the function."""
    values = m.inputs[0]
    if not isinstance(values.owner.op, Elemwise) or m.context.uses(values) != 1:
        return False
    name, inputs = values.owner.op.name, values.owner.inputs
    if any(v.type.dtype not in dtypes.FLOATS for v in (values, *inputs)):
        return False
    k = _moving(m)
    if k is None:
        return False
    if len(inputs) == 1:
        return name in _OF_ONE
    if name in _OF_EITHER or (name in _OF_FIRST and k == 0):
        return True
    if name == _SCALED or (name == _DIVIDED and k == 0):
        held = m.number(inputs[1 - k])
        return held is not None and 0 < held < math.inf
    return False


def _maxima_first(m: Match) -> Any:
    values, k = m.inputs[0].owner, _moving(m)
    return values.op(*(m.op(v) if j == k else v for j, v in enumerate(values.inputs)))


RULES = (
    Rule(
        "maxima_first",
        op(MaxPool, op(Elemwise)),
        _maxima_first,
        "specialise",
        _never_falls,
        "may change rounding, the sign of zero, and what infinities of opposite signs add up to",
    ),
)
