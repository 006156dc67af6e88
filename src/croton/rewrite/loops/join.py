"""Scans over the same steps become one; what they have in common is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import Apply
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.parts import Assembled, StatePart, states_of


def _join(graph: Graph, node: Apply) -> Swaps | None:
    for other in graph.scans[graph.scans.index(node) + 1 :]:
        if _go_together(node, other) and not graph.depends(other, node):
            return _merged(graph, [node, other])
    states = states_of([node])
    if len({p.key for p in states}) < len(states):
        classes = _classes([node])
        if len(classes) < len(states):
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
    step = Assembled([a, b], _classes([a, b]), ())
    return step.condition(a) is step.condition(b)


def _merged(graph: Graph, nodes: Sequence[Apply]) -> Swaps:
    wanted = [v for node in nodes for v in node.outputs if graph.is_read(v)]
    return Assembled(nodes, _classes(nodes), wanted).make()


def _classes(nodes: Sequence[Apply]) -> list[list[StatePart]]:
    """The states that are the same: they start alike, and steps do alike to them.

    All that start alike are taken for the same, until a step tells them apart.
    """
    label: dict[StatePart, Any] = {p: p.key for p in states_of(nodes)}
    while True:
        classes: dict[Any, list[StatePart]] = {}
        for part, mark in label.items():
            classes.setdefault(mark, []).append(part)
        found = list(classes.values())
        trial = Assembled(nodes, found, ())
        told = {
            part: (k, new)
            for k, (parts, news) in enumerate(zip(found, trial.news, strict=True))
            for part, new in zip(parts, news, strict=True)
        }
        if len(set(told.values())) == len(found):
            return found
        label = dict(told)


JOIN = LoopRule("join_loops", _join)
