"""What a step function uses of the world around it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from croton.graph.shared import SharedVariable
from croton.graph.traversal import ancestors, graph_inputs, toposort
from croton.graph.variable import Constant, Variable


def outside(
    outputs: Sequence[Variable], own: Sequence[Variable], mark: int, updated: Collection[Any]
) -> list[Variable]:
    """The variables that a step takes from outside, in the order in which it meets them.

    ``own`` are the step's inputs.  What was computed before the step function was called (by
    applications with serial numbers below ``mark``) is not computed again in every step, unless
    it depends on a variable of ``updated``, which steps change.
    """
    mine = set(own)
    changing = {*mine, *updated}
    for node in toposort(outputs, own):
        if any(v in changing for v in node.inputs):
            changing.update(node.outputs)
    ready = {
        v
        for v in ancestors(outputs, own)
        if v.owner is not None and v.owner.serial < mark and v not in changing
    }
    return [
        v
        for v in graph_inputs(outputs, mine | ready)
        if v not in mine and v not in updated and not isinstance(v, Constant)
    ]


def default_updates(
    outputs: Sequence[Variable],
    own: Sequence[Variable],
    mark: int,
    updates: Sequence[tuple[Any, Any]],
) -> list[tuple[SharedVariable, Variable]]:
    """Shared variables that a step uses and that have updates of their own, with these.

    ``updates`` are those that the step function has returned, which go before.
    """
    found: list[tuple[SharedVariable, Variable]] = []
    updated = {s for s, _ in updates}
    wanted = list(outputs)
    while True:
        more = [
            (v, v.default_update)
            for v in outside(wanted, own, mark, updated)
            if isinstance(v, SharedVariable) and v.default_update is not None
        ]
        if not more:
            return found
        found += more
        updated.update(s for s, _ in more)
        wanted += [new for _, new in more]
