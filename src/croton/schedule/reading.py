"""Sizes that are read from memory: who needs them waits for who computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from croton.graph.variable import Variable
from croton.schedule.group import Group
from croton.schedule.sizes import ShapeOf, Sizes
from croton.tensor.type import TensorType


def need_sizes(groups: Sequence[Group], home: Mapping[Variable, Group], sizes: Sizes) -> None:
    """Let each group need the groups that compute the sizes that it has to know."""
    for group in groups:
        seen: set[Variable] = set()
        stack = [*group.members, *group.terminals]
        while stack:
            v = stack.pop()
            if v in seen or not isinstance(v.type, TensorType):
                continue
            seen.add(v)
            known = list(sizes.shape(v))
            node = v.owner
            if node is not None and hasattr(node.op, "scalars"):
                shapes = [ShapeOf(u) for u in node.inputs]
                known += [sizes.of(u) for u in node.op.scalars(node, shapes)]
            for value in sizes.values_in(known):
                source = home.get(value)
                if source is not None and source is not group:
                    group.needs.add(source)
            if node is not None and (v in group.members or v not in home):
                stack.extend(node.inputs)
