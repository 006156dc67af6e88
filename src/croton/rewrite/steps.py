"""The graphs within loops: simplified as the graph around them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from croton.graph import Variable
from croton.graph.traversal import toposort
from croton.loop.inner import Inner
from croton.loop.op import Scan
from croton.rewrite.intern import Table


class Steps:
    """Simplifies the steps of scans by ``simplify``, which takes and gives a graph's outputs."""

    def __init__(self, simplify: Callable[[Sequence[Variable]], Sequence[Variable]]) -> None:
        self._simplify = simplify
        self._simple: dict[Inner, Inner] = {}

    def __call__(self, outputs: Sequence[Variable], table: Table) -> list[Variable]:
        """``outputs``, interned in ``table``, with the steps of all scans simplified."""
        order = toposort(outputs)
        if not any(isinstance(node.op, Scan) for node in order):
            return list(outputs)
        became: dict[Variable, Variable] = {}
        for node in order:
            op = node.op
            if isinstance(op, Scan):
                inner = self._of(op.inner)
                if inner is not op.inner:
                    op = Scan(inner, op.layout, op.name)
            inputs = [became.get(v, v) for v in node.inputs]
            if op is not node.op or inputs != node.inputs:
                new = table.apply(op, inputs, like=node)
                became.update(zip(node.outputs, new.outputs, strict=True))
        return [became.get(v, v) for v in outputs]

    def _of(self, inner: Inner) -> Inner:
        found = self._simple.get(inner)
        if found is None:
            found = Inner(inner.inputs, self._simplify(inner.outputs))
            self._simple[inner] = self._simple[found] = found
        return found
