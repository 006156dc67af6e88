"""What nobody needs of a scan is not computed."""

from __future__ import annotations

from typing import Any

from croton.graph import Apply, Variable
from croton.graph.traversal import ancestors
from croton.loop.layout import Target
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.parts import Assembled, StatePart, states_of


def _trim(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    wanted = [v for v in node.outputs if graph.is_read(v)]
    kept = _needed(node, wanted)
    layout = op.layout
    idle = [p for p in states_of([node]) if layout.states[p.k].history and p.result not in wanted]
    results = [p.new for p in kept]
    unread = 0
    for target, v in zip(layout.targets, op.inner.outputs, strict=True):
        if target.kind == "collected" and _result(node, target) not in wanted:
            unread += 1
        elif target.kind != "state":
            results.append(v)
    used = set(ancestors(results))
    spare = any(
        v not in used
        for source, v in zip(layout.sources, op.inner.inputs, strict=True)
        if source.kind != "state"
    )
    if len(kept) == len(layout.states) and not (unread or idle or spare):
        return None
    return Assembled([node], [[p] for p in kept], wanted, used).make()


def _result(node: Apply, target: Target) -> Variable:
    return node.outputs[target.outer]


def _needed(node: Apply, wanted: list[Variable]) -> list[StatePart]:
    """The states that are wanted, or that a step reads to compute what is."""
    op: Any = node.op
    results = [
        v
        for target, v in zip(op.layout.targets, op.inner.outputs, strict=True)
        if target.kind == "until" or _result(node, target) in wanted
    ]
    states = states_of([node])
    while True:
        used = set(ancestors(results))
        more = [p.new for p in states if p.new not in results and used.intersection(p.rows)]
        if not more:
            break
        results += more
    return [p for p in states if p.result in wanted or used.intersection(p.rows)]


TRIM = LoopRule("trim_loop", _trim)
