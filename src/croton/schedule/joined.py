"""Values put together from parts of one shape: each part is stored in its place where it is made.

So the loop over the parts' elements makes one of each, instead of choosing among the parts for
each element of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from croton.graph.apply import Apply
from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.schedule.elements import Elements, Index
from croton.schedule.group import Group
from croton.schedule.sizes import ONE, Size, Sizes
from croton.tensor.joining import Join

if TYPE_CHECKING:
    from croton.schedule.groups import Grouping

#: Of more parts the loop would become long.
_MOST = 16


def are_even_parts(node: Apply, sizes: Sizes) -> bool:
    """Whether ``node`` puts together a few parts of one shape."""
    if not isinstance(node.op, Join) or not 1 < len(node.inputs) <= _MOST:
        return False
    first, *others = (sizes.shape(v) for v in node.inputs)
    return any(s != ONE for s in first) and all(shape == first for shape in others)


def place_joined(grouping: Grouping, v: Variable) -> None:
    """Put ``v``, of even parts, into a group that computes what they need, or into a new one."""
    parts: Sequence[Any] = v.owner.inputs  # type: ignore[union-attr]
    shape = grouping.sizes.shape(parts[0])
    for group in grouping._candidates(parts):
        if group.kind != "loop" or not grouping._can_join(group, v):
            continue
        alignment = grouping._combine(group, parts, shape)
        if alignment is not None and group.is_full(alignment):
            break
    else:
        group = grouping._new("loop", [s for s in shape if s != ONE], [])
        place = iter(range(group.rank))
        alignment = tuple(None if s == ONE else next(place) for s in shape)
    group.joined.add(v)
    grouping._join(group, v, alignment)
    for part in parts:
        grouping._align(group, part, alignment)


def stored(group: Group, v: Variable) -> Sequence[Variable]:
    """What ``group`` computes to store ``v``: itself, or its parts."""
    return v.owner.inputs if v in group.joined else (v,)  # type: ignore[union-attr]


def pieces(group: Group, elements: Elements, v: Variable, index: Index) -> list[tuple[Expr, Expr]]:
    """What is stored of ``v`` at ``index``, and where: one element of each of its parts."""
    if v not in group.joined:
        return [(elements.element(v, index), elements.flat(v, index))]
    node: Any = v.owner
    axis: int = node.op.axis
    size = elements.sizes.shape(node.inputs[0])[axis]
    found: list[tuple[Expr, Expr]] = []
    for k, part in enumerate(node.inputs):
        place = list(index)
        if k:
            place[axis] = build.add(place[axis], elements.arguments.size(size * Size.of(k)))
        found.append((elements.element(part, index), elements.flat(v, place)))
    return found
