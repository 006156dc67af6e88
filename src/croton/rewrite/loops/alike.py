"""Which values of the steps of scans are the same: numbers for them, equal for equal ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import Apply, Constant, Variable
from croton.rewrite.intern import commutes
from croton.rewrite.loops.parts import StatePart, states_of


class Numbers:
    """Numbers for what the steps of ``nodes`` compute, if the states of each class are the same.

    Two values have the same number if equal ops make them of values that have.  All scans go the
    same way.
    """

    def __init__(self, nodes: Sequence[Apply], classes: Sequence[Sequence[StatePart]]) -> None:
        self._known: dict[Any, int] = {}
        self._steps: dict[Apply, dict[Variable, int]] = {node: {} for node in nodes}
        for k, parts in enumerate(classes):
            for part in parts:
                for j, row in enumerate(part.rows):
                    self._steps[part.node][row] = self._number(("state", k, j))
        for node in nodes:
            self._count(node)

    def of(self, node: Apply, v: Variable) -> int:
        """The number of ``v``, which the step of ``node`` computes or reads."""
        found = self._steps[node].get(v)
        if found is None:
            # What is not computed is a row, or all of something; the rest are constants.
            key = v.signature() if isinstance(v, Constant) else id(v)
            found = self._steps[node][v] = self._number(("constant", key))
        return found

    def _number(self, key: Any) -> int:
        return self._known.setdefault(key, len(self._known))

    def _count(self, node: Apply) -> None:
        op: Any = node.op
        mine = self._steps[node]
        for source, v in zip(op.layout.sources, op.inner.inputs, strict=True):
            if source.kind != "state":
                outer = id(node.inputs[source.outer])
                mine[v] = self._number((source.kind, outer, source.offset))
        for inner in op.inner.nodes:
            taken = [self.of(node, v) for v in inner.inputs]
            if len(taken) == 2 and commutes(inner.op):
                taken.sort()
            number = self._number((inner.op, *taken))
            for j, v in enumerate(inner.outputs):
                mine[v] = number if j == 0 else self._number(("output", number, j))


def classes_of(nodes: Sequence[Apply]) -> tuple[list[list[StatePart]], Numbers]:
    """The states that are the same: they start alike, and steps do alike to them.

    All that start alike are taken for the same, until a step tells them apart.
    """
    label: dict[StatePart, Any] = {p: p.key for p in states_of(nodes)}
    while True:
        classes: dict[Any, list[StatePart]] = {}
        for part, mark in label.items():
            classes.setdefault(mark, []).append(part)
        found = list(classes.values())
        numbers = Numbers(nodes, found)
        told = {
            part: (k, numbers.of(part.node, part.new))
            for k, parts in enumerate(found)
            for part in parts
        }
        if len(set(told.values())) == len(found):
            return found, numbers
        label = dict(told)
