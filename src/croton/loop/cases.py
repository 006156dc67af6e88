"""What of a graph is needed only in one case of a choice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from croton.graph.apply import Apply
from croton.graph.traversal import toposort
from croton.graph.variable import Variable
from croton.loop.choosing import IfElse
from croton.tensor.creation import zeros_like


def needed_only(
    order: Sequence[Apply],
    kept: Collection[Variable],
    cases: Mapping[Apply, tuple[Sequence[Variable], Sequence[Variable]]],
) -> set[Apply]:
    """The nodes of ``order`` that are needed in one case only, if at all.

    ``cases`` has the nodes that choose, with what each takes in the case, and what else.  What is
    ``kept`` is needed in any case.
    """
    mine = {v for taken, _ in cases.values() for v in taken}
    elsewhere = {*kept, *(v for _, others in cases.values() for v in others)}
    readers: dict[Variable, list[Apply]] = {}
    for node in order:
        for v in node.inputs:
            readers.setdefault(v, []).append(node)
    found: set[Apply] = set()

    def is_own(v: Variable) -> bool:
        if v in elsewhere:
            return False
        return all(r in found or (v in mine and r in cases) for r in readers.get(v, []))

    for node in reversed(order):
        if node not in cases and all(map(is_own, node.outputs)):
            if any(v in mine or readers.get(v) for v in node.outputs):
                found.add(node)
    return found


def in_their_cases(values: Sequence[Variable], outputs: Sequence[Variable]) -> list[Any]:
    """``values`` of the graph of ``outputs``, as zeros where these need them not to be computed."""
    order = toposort(outputs)
    choices: dict[Variable, list[Apply]] = {}
    for node in order:
        if isinstance(node.op, IfElse):
            choices.setdefault(node.inputs[0], []).append(node)
    found: dict[Variable, Any] = {}
    # A choice in a branch comes before that which takes the branch, and is left to it.
    for condition, nodes in choices.items():
        for side in (0, 1):
            cases = {node: node.op.cases(node.inputs, side) for node in nodes}  # type: ignore[attr-defined]
            own = needed_only(order, outputs, cases)
            for v in values:
                if v.owner in own:
                    pair = (v, zeros_like(v)) if side == 0 else (zeros_like(v), v)
                    found[v] = IfElse(1, True).make_node(condition, *pair).outputs[0]
    return [found.get(v, v) for v in values]
