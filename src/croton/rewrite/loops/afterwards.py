"""Products that steps compute but do not read are one product with all rows, after the loop."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from croton.graph import Apply, Variable, trace
from croton.graph.traversal import ancestors, replace
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.lifting import Lifting, below_steps, steps_of
from croton.rewrite.loops.parts import Assembled, StatePart, states_of
from croton.rewrite.loops.products import product_of_rows
from croton.tensor.elementwise import Elemwise
from croton.tensor.product import Dot
from croton.tensor.shapes import DimShuffle, dimshuffle
from croton.tensor.type import TensorType


def _afterwards(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    for target, v in zip(op.layout.targets, op.inner.outputs, strict=True):
        result = node.outputs[target.outer]
        if target.kind == "collected" and graph.is_read(result):
            others = [u for k, u in enumerate(op.inner.outputs) if k != target.outer]
            moving = _Moving(node, ancestors(others))
            rows = moving.rows(v)
            if moving.products and len(moving.collected) <= 2:
                return _without(graph, node, result, rows, moving.collected)
    return None


class _Moving:
    """Rows of what steps compute, from rows of what they must compute for themselves.

    ``inside`` is what they do compute.  ``collected`` has, for each such value, what stands for
    its rows; ``products`` counts the products by a matrix that is the same in every step.
    """

    def __init__(self, node: Apply, inside: Collection[Variable]) -> None:
        self.lifting = Lifting(node, steps_of(node))
        self.inside = set(inside)
        self.collected: dict[Variable, Variable] = {}
        self.products = 0

    def rows(self, v: Any) -> Any:
        """``v`` of each step, stacked."""
        if v not in self.lifting.varying:
            whole = self.lifting.whole(v)
            return dimshuffle(whole, ["x", *range(whole.type.ndim)])
        node = v.owner
        if node is not None and v not in self.inside:
            if isinstance(node.op, Dot):
                found = product_of_rows(self.lifting, node, self.rows)
                if found is not None:
                    self.products += 1
                    return found
            if isinstance(node.op, DimShuffle):
                return below_steps(self.rows(node.inputs[0]), node.op)
            if isinstance(node.op, Elemwise):
                inputs = [self.rows(u) for u in node.inputs]
                with trace.made_by(node.made_at):
                    return node.op(*inputs)
        known = self.lifting.rows(v)
        if known is not None:
            return known
        if v not in self.collected:
            self.collected[v] = TensorType(v.type.dtype, (None, *v.type.shape))()
        return self.collected[v]


def _without(
    graph: Graph, node: Apply, result: Variable, rows: Any, collected: dict[Variable, Variable]
) -> Swaps:
    """The scan without one of its collected outputs, which is computed from ``collected``."""
    wanted = [v for v in node.outputs if graph.is_read(v) and v is not result]
    if node.op.layout.until:  # type: ignore[attr-defined]
        wanted.append(node.outputs[-1])
    states = states_of([node])
    histories = {p.new: p for p in states if _has_history(p) and p.result in wanted}
    extra = [v for v in collected if v not in histories]
    made = Assembled([node], [[p] for p in states], wanted).make(extra)
    given: dict[Variable, Variable] = {}
    if node.op.layout.until:  # type: ignore[attr-defined]
        given[node.outputs[-1]] = made[node.outputs[-1]]
    for v, stands in collected.items():
        given[stands] = _computed(made, histories[v]) if v in histories else made.pop(v)
    (made[result],) = replace([rows], given)
    return made


def _has_history(part: StatePart) -> bool:
    op: Any = part.node.op
    return op.layout.states[part.k].history  # type: ignore[no-any-return]


def _computed(made: Swaps, part: StatePart) -> Any:
    """The rows of a state that steps have computed."""
    op: Any = part.node.op
    rows: Any = made[part.result]
    depth = op.layout.states[part.k].depth
    return rows[:-depth] if op.layout.backwards else rows[depth:]


AFTERWARDS = LoopRule("products_after_loop", _afterwards)
