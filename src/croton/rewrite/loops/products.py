"""A product with every step's row of a sequence is one product with all rows, before the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from croton.graph import Apply, Variable, trace
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.lifting import Lifting
from croton.rewrite.loops.parts import Assembled, states_of
from croton.tensor.product import Dot, dot
from croton.tensor.shapes import dimshuffle, reshape


def _products(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    if op.layout.until:
        # The loop may end long before its sequences do.
        return None
    lifting = Lifting(node)
    instead: dict[Variable, Variable] = {}
    for inner in op.inner.nodes:
        if isinstance(inner.op, Dot):
            product = product_of_rows(lifting, inner, lifting.rows)
            if product is not None:
                instead[inner.outputs[0]] = product
    if not instead:
        return None
    wanted = [v for v in node.outputs if graph.is_read(v)]
    states = [[p] for p in states_of([node])]
    return Assembled([node], states, wanted, instead=instead).make()


def product_of_rows(lifting: Lifting, inner: Any, rows_of: Callable[[Variable], Any]) -> Any:
    """A product of all steps, a row for each; ``rows_of`` gives those of a factor, or None.

    None if no factor is the same in every step.
    """
    if inner.op.batched:
        return None
    a, b = inner.inputs
    if a in lifting.varying and b not in lifting.varying:
        rows, matrix = rows_of(a), lifting.whole(b)
        if rows is not None:
            with trace.made_by(inner.made_at):
                return _rows_by_matrix(rows, matrix)
    if b in lifting.varying and a not in lifting.varying:
        rows, matrix = rows_of(b), lifting.whole(a)
        if rows is not None:
            with trace.made_by(inner.made_at):
                turned = _rows_by_matrix(dimshuffle(rows, (0, 2, 1)), dimshuffle(matrix, (1, 0)))
                return dimshuffle(turned, (0, 2, 1))
    return None


def _rows_by_matrix(rows: Any, matrix: Any) -> Any:
    n, p, k = (rows.shape[d] for d in range(3))
    found = dot(reshape(rows, (n * p, k), ndim=2), matrix)
    return reshape(found, (n, p, matrix.shape[1]), ndim=3)


PRODUCTS = LoopRule("products_before_loop", _products)
