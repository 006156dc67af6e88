"""Choices, extremes, comparisons, truth values, conversions that say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from croton.rewrite.pattern import (
    abs_,
    and_,
    clip,
    const,
    eq,
    ge,
    gt,
    identity,
    le,
    lt,
    maximum,
    minimum,
    ne,
    not_,
    op,
    or_,
    switch,
    var,
    xor,
)
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.conditions import filled, is_bool, is_discrete, takes_discrete
from croton.tensor import dtypes
from croton.tensor.elementwise import Elemwise, cast

x, y, z = var("x y z")
a, b = const("a b")

_ZERO = "of 0.0 and -0.0 it may be the other one"


def _rule(
    name: str,
    pattern: Any,
    replacement: Any,
    when: Callable[[Match], bool] | None = None,
    note: str = "",
) -> Rule:
    return Rule(name, pattern, replacement, "canonicalise", when, note)


def _cast(m: Match) -> Any:
    (inner,) = m.inputs
    target = m.out.type.dtype
    if inner.type.dtype == target:
        return inner
    below = inner.owner
    if below is None or not isinstance(below.op, Elemwise) or not below.op.name.startswith("Cast{"):
        return None
    source = below.inputs[0].type.dtype
    # The step in the middle must keep all that the last one looks at.
    if np.can_cast(source, inner.type.dtype, "safe"):
        return cast(below.inputs[0], target)
    return None


def _unsigned(m: Match) -> bool:
    dtype = m.out.type.dtype
    return bool(dtype == "bool" or dtype in dtypes.UNSIGNED)


def _ordered_bounds(m: Match) -> bool:
    return bool(m.number(m.a) <= m.number(m.b))


RULES = (
    _rule("identity", identity(x), x),
    _rule("cast", op("cast", x), _cast),
    _rule("switch_known", switch(a, x, y), lambda m: m.x if m.number(m.a) else m.y),
    _rule("switch_same", switch(x, y, y), y),
    _rule(
        "switch_not", switch(not_(x), y, z), switch(x, z, y),
        lambda m: bool(m.x.type.dtype == "bool"),
    ),
    _rule("switch_switch", switch(x, switch(x, y, z), var("w")), switch(x, y, var("w"))),
    _rule("switch_else_switch", switch(x, y, switch(x, var("w"), z)), switch(x, y, z)),
    _rule("maximum_same", maximum(x, x), x),
    _rule("minimum_same", minimum(x, x), x),
    _rule("maximum_again", maximum(x, maximum(x, y)), maximum(x, y), note=_ZERO),
    _rule("minimum_again", minimum(x, minimum(x, y)), minimum(x, y), note=_ZERO),
    _rule("clip_again", clip(clip(x, a, b), a, b), clip(x, a, b), _ordered_bounds),
    _rule("and_true", and_(x, True), x, is_bool),
    _rule("and_false", and_(x, False), filled(False), is_bool),
    _rule("or_true", or_(x, True), filled(True), is_bool),
    _rule("or_false", or_(x, False), x, is_bool),
    _rule("and_same", and_(x, x), x),
    _rule("or_same", or_(x, x), x),
    _rule("xor_same", xor(x, x), filled(0)),
    _rule("not_not", not_(not_(x)), x),
    _rule("not_eq", not_(eq(x, y)), ne(x, y)),
    _rule("not_ne", not_(ne(x, y)), eq(x, y)),
    _rule("eq_same", eq(x, x), filled(True), takes_discrete),
    _rule("le_same", le(x, x), filled(True), takes_discrete),
    _rule("ge_same", ge(x, x), filled(True), takes_discrete),
    _rule("ne_same", ne(x, x), filled(False), takes_discrete),
    _rule("lt_same", lt(x, x), filled(False)),
    _rule("gt_same", gt(x, x), filled(False)),
    _rule("abs_unsigned", abs_(x), x, _unsigned),
    *(
        _rule(f"{name}_of_integer", op(name, x), x, is_discrete)
        for name in (
            "floor", "ceil", "trunc", "round_half_to_even", "round_half_away_from_zero",
        )
    ),
)  # fmt: skip
