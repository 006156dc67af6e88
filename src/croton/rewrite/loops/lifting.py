"""What a step computes from rows of sequences alone, for all steps at once."""

from __future__ import annotations

from typing import Any

from croton.graph import Apply, Variable, trace
from croton.graph.traversal import replace
from croton.tensor.elementwise import Elemwise
from croton.tensor.joining import Join, join
from croton.tensor.shapes import DimShuffle, dimshuffle


class Lifting:
    """Expressions of a scan's step as expressions outside.

    ``whole(v)`` is one that is the same in every step, ``rows(v)`` has a row for each step, in
    the order of time; both are None where that cannot be said.  ``steps``: how many steps
    there are, if not as many as planned.
    """

    def __init__(self, node: Apply, steps: Any = None) -> None:
        op: Any = node.op
        self.node = node
        self._wholes: dict[Variable, Variable] = {}
        self._sequences: dict[Variable, Any] = {}
        steps = node.inputs[0] if steps is None else steps
        varying: set[Variable] = set()
        for source, v in zip(op.layout.sources, op.inner.inputs, strict=True):
            outer: Any = node.inputs[source.outer]
            if source.kind == "non_sequence":
                self._wholes[v] = outer
                continue
            varying.add(v)
            if source.kind == "sequence":
                self._sequences[v] = (outer, source.offset, steps)
        #: What differs from step to step.
        self.varying = varying
        for inner in op.inner.nodes:
            if any(v in varying for v in inner.inputs):
                varying.update(inner.outputs)
        self._rows: dict[Variable, Any] = {}

    def whole(self, v: Variable) -> Any:
        """``v``, which is the same in every step, outside; else None."""
        return None if v in self.varying else replace([v], self._wholes)[0]

    def rows(self, v: Variable) -> Any:
        """``v`` of each step, stacked; else None."""
        if v not in self._rows:
            self._rows[v] = self._find(v)
        return self._rows[v]

    def _find(self, v: Any) -> Any:
        known = self._sequences.get(v)
        if known is not None:
            outer, tap, steps = known
            return outer[tap : steps + tap] if tap else outer[:steps]
        node = v.owner
        if node is None:
            return None
        if isinstance(node.op, DimShuffle):
            inner = self.rows(node.inputs[0])
            if inner is None:
                return None
            return below_steps(inner, node.op)
        if isinstance(node.op, Join):
            parts = [self.rows(u) if u in self.varying else None for u in node.inputs]
            return None if None in parts else join(node.op.axis + 1, *parts)
        if not isinstance(node.op, Elemwise):
            return None
        inputs = []
        for u in node.inputs:
            if u in self.varying:
                lifted = self.rows(u)
            else:
                lifted = self.whole(u)
                lifted = dimshuffle(lifted, ["x", *range(lifted.type.ndim)])
            if lifted is None:
                return None
            inputs.append(lifted)
        with trace.made_by(node.made_at):
            return node.op(*inputs)


def steps_of(node: Apply) -> Any:
    """How many steps the scan ``node`` makes."""
    op: Any = node.op
    return node.outputs[-1] if op.layout.until else node.inputs[0]


def below_steps(rows: Any, op: Any) -> Any:
    """What the dimshuffle ``op`` makes of each of the ``rows``."""
    return dimshuffle(rows, [0, *("x" if d == "x" else d + 1 for d in op.new_order)])
