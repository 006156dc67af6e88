"""Scans over the same steps become one; what they have in common is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import Apply
from croton.rewrite.loops.alike import classes_of
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.parts import Assembled, states_of


def _join(graph: Graph, node: Apply) -> Swaps | None:
    for other in graph.scans[graph.scans.index(node) + 1 :]:
        if _go_together(node, other) and not graph.depends(other, node):
            return _merged(graph, [node, other])
    states = states_of([node])
    if len({p.key for p in states}) < len(states):
        if len(classes_of([node])[0]) < len(states):
            return _merged(graph, [node])
    return None


def _go_together(a: Apply, b: Apply) -> bool:
    first: Any = a.op
    second: Any = b.op
    return (
        a.inputs[0] is b.inputs[0]
        and first.layout.backwards == second.layout.backwards
        and first.layout.until == second.layout.until
        and (not first.layout.until or _end_together(a, b))
    )


def _end_together(a: Apply, b: Apply) -> bool:
    """Whether the same condition ends both."""
    _, numbers = classes_of([a, b])
    first, second = (node.op.inner.outputs[-1] for node in (a, b))  # type: ignore[attr-defined]
    return numbers.of(a, first) == numbers.of(b, second)


def _merged(graph: Graph, nodes: Sequence[Apply]) -> Swaps:
    wanted = [v for node in nodes for v in node.outputs if graph.is_read(v)]
    return Assembled(nodes, classes_of(nodes)[0], wanted).make()


JOIN = LoopRule("join_loops", _join)
