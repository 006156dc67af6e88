"""What only rearranges: dimshuffle, reshape, promised shapes, markers for gradients."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import op, var
from croton.rewrite.rule import Match, Rule
from croton.tensor.shapes import DimShuffle, Reshape, SpecifyShape, dimshuffle

x = var("x")


def _rule(name: str, pattern: Any, replacement: Any, note: str = "") -> Rule:
    return Rule(name, pattern, replacement, "canonicalise", note=note)


def _useless_dimshuffle(m: Match) -> Any:
    return m.x if m.op.new_order == tuple(range(m.x.type.ndim)) else None


def _dimshuffles(m: Match) -> Any:
    inner = m.d.new_order
    return dimshuffle(m.x, ["x" if d == "x" else inner[d] for d in m.op.new_order])


def _same_sizes(m: Match) -> Any:
    """A reshape to the sizes that are there already, but for dimensions of size 1."""
    before = [(d, s) for d, s in enumerate(m.sizes(m.x)) if m.x.type.shape[d] != 1]
    after = [(d, s) for d, s in enumerate(m.inputs[1:]) if m.out.type.shape[d] != 1]
    if len(before) != len(after) or any(
        a is not b for (_, a), (_, b) in zip(before, after, strict=True)
    ):
        return None
    order: list[int | str] = ["x"] * m.out.type.ndim
    for (old, _), (new, _) in zip(before, after, strict=True):
        order[new] = old
    # Dimensions of 1 keep their place where nothing is moved.
    if len(order) == m.x.type.ndim and all(
        a == b for (a, _), (b, _) in zip(before, after, strict=True)
    ):
        return m.x
    return dimshuffle(m.x, order)


def _kept_promise(m: Match) -> Any:
    have = m.x.type.shape
    if all(n is None or n == k for n, k in zip(m.op.sizes, have, strict=True)):
        return m.x
    return None


def _promises(m: Match) -> Any:
    both = tuple(b if a is None else a for a, b in zip(m.op.sizes, m.s.sizes, strict=True))
    return SpecifyShape(both)(m.x)


RULES = (
    _rule("marker", op("marker", x), x),
    _rule("useless_dimshuffle", op(DimShuffle, x), _useless_dimshuffle),
    _rule("dimshuffle_dimshuffle", op(DimShuffle, op(DimShuffle, x, bind="d")), _dimshuffles),
    _rule("reshape_reshape", op(Reshape, op(Reshape, x, rest=True), rest=True),
          lambda m: m.op(m.x, *m.inputs[1:])),
    _rule("reshape_same_sizes", op(Reshape, x, rest=True), _same_sizes),
    _rule("kept_promise", op(SpecifyShape, x), _kept_promise),
    _rule("promised_promise", op(SpecifyShape, op(SpecifyShape, x, bind="s")), _promises),
)  # fmt: skip
