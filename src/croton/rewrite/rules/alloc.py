"""Repeated values: a repetition that the rest of the expression makes anyway is left out."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import AnyOf, op, var
from croton.rewrite.rule import Match, Rule
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import Elemwise
from croton.tensor.shapes import DimShuffle, Reshape, dimshuffle, known_size

x, y = var("x y")
_alloc = Alloc()


def _repeats(v: Any) -> bool:
    return v.owner is not None and isinstance(v.owner.op, Alloc)


def _repeated_axes(v: Any) -> list[int]:
    """The dimensions that the :class:`Alloc` of ``v`` makes longer."""
    inner = v.owner.inputs[0].type.shape
    return [d for d, (n, m) in enumerate(zip(inner, v.type.shape, strict=True)) if n == 1 != m]


def _in_elementwise(m: Match) -> Any:
    """Values instead of their repetition, where another input has that size or the result can."""
    inputs = list(m.inputs)
    bare = [v.owner.inputs[0] if _repeats(v) else v for v in inputs]
    # For each dimension the sizes that inputs have there, and have without repeating.
    wanted: list[set[int]] = [set() for _ in m.out.type.shape]
    covered: list[set[int]] = [set() for _ in m.out.type.shape]
    for v, inner in zip(inputs, bare, strict=True):
        for d, size in enumerate(m.sizes(v)):
            if v.type.shape[d] != 1:
                wanted[d].add(id(size))
            if inner.type.shape[d] != 1:
                covered[d].add(id(size))
    changed = False
    for k, v in enumerate(inputs):
        # Where sizes are not known to be the same it stays: that is checked when running.
        if _repeats(v) and all(
            id(m.sizes(v)[d]) in covered[d] or len(wanted[d]) == 1 for d in _repeated_axes(v)
        ):
            inputs[k] = bare[k]
            changed = True
    if not changed:
        return None
    new = m.op(*inputs)
    if new.type.broadcastable == m.out.type.broadcastable:
        return new
    return _alloc(new, *m.sizes(m.out))


def _alloc_alloc(m: Match) -> Any:
    if not _repeats(m.x):
        return None
    inner = m.x.owner.inputs[0]
    for d in _repeated_axes(m.x):
        if m.out.type.shape[d] != 1 and m.sizes(m.x)[d] is not m.sizes(m.out)[d]:
            return None
    return _alloc(inner, *m.inputs[1:])


def _useless_alloc(m: Match) -> Any:
    if m.x.type.broadcastable == m.out.type.broadcastable and all(
        a is b for a, b in zip(m.sizes(m.x), m.sizes(m.out), strict=True)
    ):
        return m.x
    return None


def _dimshuffle_alloc(m: Match) -> Any:
    """The value is rearranged, then repeated."""
    inner = m.x
    value, *sizes = inner.owner.inputs
    order = m.op.new_order
    # What is repeated once has the size 1, known or not.
    value = value.specify_shape([1 if n == 1 else None for n in inner.type.shape])
    moved = dimshuffle(value, order)
    if all(n == 1 for n in m.out.type.shape):
        return moved
    one = m.sizes(m.out)
    return _alloc(moved, *(one[k] if d == "x" else sizes[d] for k, d in enumerate(order)))


def _reshape_alloc(m: Match) -> Any:
    """A repeated number under another shape is the number repeated."""
    value = m.x.owner.inputs[0]
    if any(n != 1 for n in value.type.shape):
        return None
    known = [known_size(s) for s in m.inputs[1:]]
    before = [known_size(s) for s in m.x.owner.inputs[1:]]
    # Whether both hold as many elements may be known only when running.
    if (None in known or None in before) and not _as_many(m):
        return None
    return _alloc(dimshuffle(value, ()), *m.inputs[1:])


def _as_many(m: Match) -> bool:
    before = sorted(id(s) for s in m.sizes(m.x) if known_size(s) != 1)
    after = sorted(id(s) for s in m.sizes(m.out) if known_size(s) != 1)
    return before == after


RULES = (
    Rule(
        "repetition_in_elementwise",
        AnyOf(
            op(Elemwise, op(Alloc), rest=True),
            op(Elemwise, x, op(Alloc), rest=True),
            op(Elemwise, x, y, op(Alloc), rest=True),
        ),
        _in_elementwise,
        "canonicalise",
    ),
    Rule("repetition_of_repetition", op(Alloc, x, rest=True), _alloc_alloc, "canonicalise"),
    Rule("useless_repetition", op(Alloc, x, rest=True), _useless_alloc, "canonicalise"),
    Rule("dimshuffle_of_repetition", op(DimShuffle, x), lambda m: (
        _dimshuffle_alloc(m) if _repeats(m.x) else None), "canonicalise"),
    Rule("reshape_of_repetition", op(Reshape, x, rest=True), lambda m: (
        _reshape_alloc(m) if _repeats(m.x) else None), "canonicalise"),
)  # fmt: skip
