"""Taking a part first: what is computed only to be indexed is computed only where it is."""

from __future__ import annotations

from typing import Any

from croton.graph import Constant
from croton.rewrite.pattern import op
from croton.rewrite.rule import Match, Rule
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing import Subtensor
from croton.tensor.indexing.basic import Entry, Given, Slice
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, dimshuffle

_WHOLE = Slice(None, None, None)


def _part(v: Any, entries: list[Entry], scalars: list[Any]) -> Any:
    """``v[entries]``, with only those of the scalars that are used."""
    used: list[Any] = []

    def moved(p: Any) -> Any:
        if not isinstance(p, Given):
            return p
        used.append(scalars[p.position])
        return Given(len(used) - 1)

    new: list[Entry] = [
        Slice(*(moved(p) for p in e)) if isinstance(e, Slice) else moved(e) for e in entries
    ]
    while new and new[-1] == _WHOLE:
        new.pop()
    return Subtensor(new)(v, *used) if new else v


def _entries(m: Match, rank: int) -> list[Entry]:
    return [*m.op.entries, *[_WHOLE] * (rank - len(m.op.entries))]


def _is_used_once(v: Any, m: Match) -> bool:
    return bool(m.context.uses(v) == 1)


def _of_function(m: Match) -> Any:
    """A part of a function's values is the function of parts."""
    whole = m.inputs[0]
    if not _is_used_once(whole, m):
        return None
    entries = _entries(m, whole.type.ndim)
    if not _sizes_agree(whole.owner.inputs, entries, m):
        return None
    inputs = []
    for v in whole.owner.inputs:
        # A dimension that broadcasts is taken as it is, or left out.
        own: list[Entry] = [
            e if n != 1 or k == 1 else _WHOLE if isinstance(e, Slice) else 0
            for e, n, k in zip(entries, v.type.shape, whole.type.shape, strict=True)
        ]
        inputs.append(_shuffled_part(v, own, m))
    return whole.owner.op(*inputs)


def _sizes_agree(inputs: Any, entries: list[Entry], m: Match) -> bool:
    # Of parts it would no longer be checked that the whole ones fit.
    for d, e in enumerate(entries):
        sizes = {id(m.sizes(v)[d]) for v in inputs if v.type.shape[d] != 1}
        if e != _WHOLE and len(sizes) > 1:
            return False
    return True


def _shuffled_part(v: Any, entries: list[Entry], m: Match) -> Any:
    """``v[entries]``; where new dimensions of 1 are just left out again, without both."""
    scalars = list(m.inputs[1:])
    if isinstance(v, Constant) and v.data.size == 1:
        return dimshuffle(v, [d for d, e in enumerate(entries) if isinstance(e, Slice)])
    node = v.owner
    if node is None or not isinstance(node.op, DimShuffle):
        return _part(v, entries, scalars)
    below = node.inputs[0]
    inner: list[Entry] = [_WHOLE] * below.type.ndim
    for d, e in zip(node.op.new_order, entries, strict=True):
        if isinstance(d, int):
            inner[d] = e
        elif e not in (_WHOLE, 0):
            return _part(v, entries, scalars)
    part = _part(below, inner, scalars)
    # Where each dimension of ``below`` has gone, if it is still there.
    place: dict[int, int] = {}
    for d, e in enumerate(inner):
        if isinstance(e, Slice):
            place[d] = len(place)
    order = [
        place[d] if isinstance(d, int) else "x"
        for d, e in zip(node.op.new_order, entries, strict=True)
        if isinstance(e, Slice)
    ]
    return dimshuffle(part, order)


def _of_reduction(m: Match) -> Any:
    """A part of reductions is the reductions of a part."""
    whole = m.inputs[0]
    if not _is_used_once(whole, m):
        return None
    inner = whole.owner.inputs[0]
    axes = whole.owner.op.axis
    rest = iter(_entries(m, whole.type.ndim))
    entries: list[Entry] = [_WHOLE if d in axes else next(rest) for d in range(inner.type.ndim)]
    part = _part(inner, entries, list(m.inputs[1:]))
    gone = [d for d, e in enumerate(entries) if not isinstance(e, Slice)]
    moved = tuple(a - sum(1 for g in gone if g < a) for a in axes)
    return Reduce(whole.owner.op.kind, moved, whole.owner.op.dtype)(part)


def _of_dimshuffle(m: Match) -> Any:
    """A part of what is rearranged is a part, rearranged."""
    whole = m.inputs[0]
    inner = whole.owner.inputs[0].owner
    if inner is None or not isinstance(inner.op, Elemwise | Reduce):
        return None
    if not (_is_used_once(whole, m) and _is_used_once(whole.owner.inputs[0], m)):
        return None
    entries = _entries(m, whole.type.ndim)
    part = _shuffled_part(whole, entries, m)
    return None if part.owner is not None and part.owner.inputs[0] is whole else part


def _rule(name: str, inner: Any, build: Any) -> Rule:
    return Rule(name, op(Subtensor, op(inner), rest=True), build, "select")


RULES = (
    _rule("part_of_function", Elemwise, _of_function),
    _rule("part_of_reduction", Reduce, _of_reduction),
    _rule("part_of_dimshuffle", DimShuffle, _of_dimshuffle),
)
