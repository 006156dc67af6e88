"""Sums and other reductions: of what is constant along the axis, of transposes, of sums."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import App, op, reduction, var
from croton.rewrite.rule import Match, Rule
from croton.tensor.convert import constant
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import cast, mul, neg, true_div
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, dimshuffle, known_size, product

x, y = var("x y")
_alloc = Alloc()

_ORDER = "may change the order of summation"


def _rule(name: str, pattern: Any, replacement: Any, when: Any = None, note: str = "") -> Rule:
    return Rule(name, pattern, replacement, "canonicalise", when, note)


def _as_result(v: Any, m: Match) -> Any:
    """``v`` in the dtype of the reduction, as a reduction of one element gives it."""
    if m.op.kind in ("all", "any") and v.type.dtype != "bool":
        return v.ne(constant(0, dtype=v.type.dtype))
    return cast(v, m.op.dtype)


def _over_ones(m: Match) -> Any:
    """Dimensions of size 1 need no reduction."""
    ones = [a for a in m.op.axis if m.x.type.shape[a] == 1]
    if not ones and m.op.axis:
        return None
    rest = [d for d in range(m.x.type.ndim) if d not in ones]
    inner = dimshuffle(m.x, rest)
    axes = tuple(k for k, d in enumerate(rest) if d in m.op.axis)
    if not axes:
        return _as_result(inner, m)
    return Reduce(m.op.kind, axes, m.op.dtype)(inner)


def _of_dimshuffle(m: Match) -> Any:
    """The reduction of rearranged dimensions is that of others."""
    order = m.d.new_order
    inner = m.x
    axes = tuple(sorted(order[a] for a in m.op.axis if order[a] != "x"))
    left = [d for d in range(inner.type.ndim) if d not in axes]
    kept = [d for k, d in enumerate(order) if k not in m.op.axis]
    out = Reduce(m.op.kind, axes, m.op.dtype)(inner)
    return dimshuffle(out, ["x" if d == "x" else left.index(d) for d in kept])


def _of_reduction(m: Match) -> Any:
    """One reduction over the axes of both."""
    inner = m.i
    if inner.kind != m.op.kind or (m.op.kind in ("sum", "prod") and inner.dtype != m.op.dtype):
        return None
    left = [d for d in range(m.x.type.ndim) if d not in inner.axis]
    axes = tuple(sorted((*inner.axis, *(left[a] for a in m.op.axis))))
    return Reduce(m.op.kind, axes, m.op.dtype)(m.x)


def _of_repetition(m: Match) -> Any:
    """Of equal elements: the number of them tells."""
    repeated = m.x
    value, *sizes = repeated.owner.inputs
    shape = repeated.type.shape
    constant_axes = [a for a in m.op.axis if value.type.shape[a] == 1 and shape[a] != 1]
    if not constant_axes or m.op.kind == "prod":
        return None
    if m.op.kind != "sum" and any(not known_size(sizes[a]) for a in constant_axes):
        # Of no elements there is no largest, and all of none is true.
        return None
    count = product([sizes[a] for a in constant_axes])
    kept = [sizes[d] for d in range(len(shape)) if d not in m.op.axis]
    inner = Reduce(m.op.kind, m.op.axis, m.op.dtype)(value)
    if m.op.kind == "sum":
        inner = mul(inner, cast(count, m.op.dtype))
    if not kept:
        return inner
    return _alloc(inner, *kept)


def _of_negative(m: Match) -> Any:
    return neg(Reduce("sum", m.op.axis, m.op.dtype)(m.x))


def _splits(m: Match) -> bool:
    return bool(m.x.type.dtype == m.op.dtype and m.op.dtype != "bool")


def _constant_along(v: Any, m: Match) -> bool:
    return all(v.type.shape[a] == 1 for a in m.op.axis)


def _of_product(m: Match) -> Any:
    """A factor that does not vary along the axes goes outside."""
    for name, combine in (("mul", mul), ("true_div", true_div)):
        args = m.arguments(m.p, name)
        if args is None:
            continue
        u, v = args
        if u.type.dtype != m.op.dtype or (_constant_along(u, m) and _constant_along(v, m)):
            return None
        rest = [d for d in range(m.p.type.ndim) if d not in m.op.axis]
        if _constant_along(v, m):
            return combine(Reduce("sum", m.op.axis, m.op.dtype)(u), dimshuffle(v, rest))
        if name == "mul" and _constant_along(u, m):
            return combine(dimshuffle(u, rest), Reduce("sum", m.op.axis, m.op.dtype)(v))
    return None


def _is_repetition(v: Any) -> bool:
    return v.owner is not None and isinstance(v.owner.op, Alloc)


RULES = (
    _rule("reduce_ones", op(Reduce, x), _over_ones),
    _rule("reduce_dimshuffle", op(Reduce, op(DimShuffle, x, bind="d")), _of_dimshuffle,
          note=_ORDER),
    _rule("reduce_reduction", op(Reduce, op(Reduce, x, bind="i")), _of_reduction, note=_ORDER),
    _rule("reduce_repetition", op(Reduce, x),
          lambda m: _of_repetition(m) if _is_repetition(m.x) else None,
          note="a product takes the place of the sum; may change rounding"),
    _rule("sum_negative", reduction("sum", App("neg", (x,))), _of_negative, _splits),
    _rule("sum_product", reduction("sum", var("p")), _of_product, note="may change rounding"),
)  # fmt: skip
