"""What only rearranges: dimshuffle, reshape, promised shapes, markers for gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import Constant
from croton.rewrite.pattern import AnyOf, op, var
from croton.rewrite.rule import Match, Rule
from croton.tensor.convert import constant
from croton.tensor.elementwise import Elemwise
from croton.tensor.shapes import DimShuffle, Reshape, SpecifyShape, dimshuffle

x = var("x")


def _rule(name: str, pattern: Any, replacement: Any, note: str = "") -> Rule:
    return Rule(name, pattern, replacement, "canonicalise", note=note)


def _useless_dimshuffle(m: Match) -> Any:
    return m.x if _changes_nothing(m.op.new_order, m.x) else None


def _changes_nothing(order: Sequence[int | str], v: Any) -> bool:
    # A dimension of 1 may be dropped and put back in its place.
    shape = v.type.shape
    if len(order) != len(shape):
        return False
    for k, d in enumerate(order):  # noqa: SIM110 (asked of every dimshuffle again and again)
        if d != k and (d != "x" or shape[k] != 1):
            return False
    return True


def _dimshuffles(m: Match) -> Any:
    inner = m.d.new_order
    return dimshuffle(m.x, ["x" if d == "x" else inner[d] for d in m.op.new_order])


def _dimshuffle_of_function(m: Match) -> Any:
    """Where the arguments were rearranged just to be rearranged back they are left alone."""
    node = m.inputs[0].owner
    order = m.op.new_order
    inputs = []
    for v in node.inputs:
        if isinstance(v, Constant):
            inputs.append(dimshuffle(v, order))
            continue
        if v.owner is None or not isinstance(v.owner.op, DimShuffle):
            return None
        inner = v.owner.op.new_order
        both = ["x" if d == "x" else inner[d] for d in order]
        (below,) = v.owner.inputs
        if not _changes_nothing(both, below):
            return None
        inputs.append(below)
    return node.op(*inputs)


def _function_of_scalars(m: Match) -> Any:
    """What is a function of scalars is computed as one, whatever rank it is used with."""
    inputs = []
    for v in m.inputs:
        if isinstance(v, Constant) and v.data.size == 1:
            inputs.append(constant(v.data.reshape(())))
        elif (
            v.owner is not None
            and isinstance(v.owner.op, DimShuffle)
            and not (v.owner.inputs[0].type.ndim)
        ):
            inputs.append(v.owner.inputs[0])
        else:
            return None
    if not m.out.type.ndim:
        return None
    return dimshuffle(m.op(*inputs), ["x"] * m.out.type.ndim)


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
    _rule("dimshuffle_of_function", op(DimShuffle, op(Elemwise)), _dimshuffle_of_function),
    _rule(
        "function_of_scalars",
        AnyOf(op(Elemwise, op(DimShuffle), rest=True), op(Elemwise, x, op(DimShuffle), rest=True)),
        _function_of_scalars,
    ),
    _rule("reshape_reshape", op(Reshape, op(Reshape, x, rest=True), rest=True),
          lambda m: m.op(m.x, *m.inputs[1:])),
    _rule("reshape_same_sizes", op(Reshape, x, rest=True), _same_sizes),
    _rule("kept_promise", op(SpecifyShape, x), _kept_promise),
    _rule("promised_promise", op(SpecifyShape, op(SpecifyShape, x, bind="s")), _promises),
)  # fmt: skip
