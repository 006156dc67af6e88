"""The gradient of picking one element a row, and what the sum of that is."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import eq, op, reduction, switch, var
from croton.rewrite.rule import Match, Rule
from croton.tensor.convert import constant
from croton.tensor.creation import Alloc, ARange, arange
from croton.tensor.elementwise import eq as equal
from croton.tensor.elementwise import lt, minimum
from croton.tensor.elementwise import switch as choose
from croton.tensor.indexing import AdvancedIncSubtensor, AdvancedSubtensor
from croton.tensor.shapes import DimShuffle, dimshuffle

x, y, p, q = var("x y p q")
_pick = AdvancedSubtensor(0)


def is_zeros(v: Any, m: Match) -> bool:
    """Whether every element of ``v`` is known to be 0."""
    if v.owner is not None and isinstance(v.owner.op, Alloc):
        v = v.owner.inputs[0]
    return bool(m.number(v) == 0)


def _one_hot(m: Match) -> Any:
    """Zeros with one element a row set are a choice for each element.

    The labels are read as positions in a range: that checks them and counts negative ones
    from the end.
    """
    if m.op.start != 0 or len(m.inputs) != 4 or m.out.type.ndim != 2:
        return None
    zeros, value, rows, columns = m.inputs
    if columns.type.ndim != 1 or columns.type.shape[0] == 1 or not is_zeros(zeros, m):
        return None
    if rows.owner is None or not isinstance(rows.owner.op, ARange):
        return None
    start, _, step = rows.owner.inputs
    if m.number(start) != 0 or m.number(step) != 1:
        return None
    n, count = m.sizes(zeros)
    (given,) = m.sizes(rows)
    if value.owner is not None and isinstance(value.owner.op, Alloc):
        value = value.owner.inputs[0]
    if given is not n:
        # There may be more rows than labels: those keep their zeros.
        every = arange(n)
        near = minimum(every, given - 1)
        columns = _pick(columns, near)
        if value.type.shape[0] != 1:
            value = _pick(value, near)
        value = choose(lt(every, given), value, constant(0, dtype=value.type.dtype))
    classes = arange(count)
    place = _pick(classes, columns)
    hit = equal(dimshuffle(place, [0, "x"]), dimshuffle(classes, ["x", 0]))
    return choose(hit, dimshuffle(value, [0, "x"]), constant(0, dtype=value.type.dtype))


def _sum_of_one_hot(m: Match) -> Any:
    """There is exactly one hit a row."""
    chosen, value = m.p, m.x
    if m.op.axis != (1,) or value.type.ndim != 2 or value.type.shape[1] != 1:
        return None
    for place, classes in ((chosen, m.q), (m.q, chosen)):
        if not (_is_shuffle(place, (0, "x")) and _is_shuffle(classes, ("x", 0))):
            continue
        read, every = place.owner.inputs[0].owner, classes.owner.inputs[0]
        if (
            read is not None
            and isinstance(read.op, AdvancedSubtensor)
            and read.inputs[0] is every
            and isinstance(every.owner.op, ARange)
            and m.op.dtype == value.type.dtype
        ):
            return dimshuffle(value, [0])
    return None


def _is_shuffle(v: Any, order: tuple[int | str, ...]) -> bool:
    owner = v.owner
    return owner is not None and isinstance(owner.op, DimShuffle) and owner.op.new_order == order


RULES = (
    Rule(
        "one_hot", op(AdvancedIncSubtensor, x, y, rest=True), _one_hot, "specialise",
        note="more rows than labels, but no label at all, is an error",
    ),
    Rule(
        "sum_of_one_hot", reduction("sum", switch(eq(p, q), x, 0)), _sum_of_one_hot, "specialise"
    ),
)  # fmt: skip
