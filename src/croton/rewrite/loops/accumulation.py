"""A sum of every step's product is one product, after the loop."""

from __future__ import annotations

from typing import Any

from croton.graph import Apply, Variable
from croton.graph.traversal import ancestors, replace
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.lifting import Lifting, steps_of
from croton.rewrite.loops.parts import Assembled, StatePart, states_of
from croton.tensor.elementwise import Elemwise
from croton.tensor.product import Dot, dot
from croton.tensor.shapes import SpecifyShape, dimshuffle, reshape


def _accumulation(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    for part in states_of([node]):
        factors = _factors(part)
        if factors is not None and not op.layout.states[part.k].history:
            others = [v for k, v in enumerate(op.inner.outputs) if k != part.k]
            if part.new not in ancestors(others):
                return _after(graph, node, part, factors)
    return None


def _factors(part: StatePart) -> tuple[Any, Any] | None:
    """The matrices whose product every step adds to a state that nothing else reads."""
    op: Any = part.node.op
    if len(part.rows) > 1:
        return None
    (row,) = part.rows
    new: Any = part.new
    while new.owner is not None and isinstance(new.owner.op, SpecifyShape):
        new = new.owner.inputs[0]
    if new.owner is None or not isinstance(new.owner.op, Elemwise) or new.owner.op.name != "add":
        return None
    readers = [n for n in op.inner.nodes if row in n.inputs]
    terms = [v for v in new.owner.inputs if v is not row]
    if readers != [new.owner] or row in op.inner.outputs or len(terms) != 1:
        return None
    if len(new.owner.inputs) != 2 or new.type.ndim != 2:
        return None
    return _product(terms[0])


def _product(term: Any) -> tuple[Any, Any] | None:
    node = term.owner
    if node is None:
        return None
    if isinstance(node.op, Dot) and not node.op.batched:
        return node.inputs[0], node.inputs[1]
    if isinstance(node.op, Elemwise) and node.op.name == "mul" and len(node.inputs) == 2:
        a, b = node.inputs
        for column, line in ((a, b), (b, a)):
            if column.type.shape[1] == 1 and line.type.shape[0] == 1:
                return column, line
    return None


def _after(graph: Graph, node: Apply, part: StatePart, factors: tuple[Any, Any]) -> Swaps:
    op: Any = node.op
    lifting = Lifting(node, steps_of(node))
    stacked: dict[Variable, Any] = {
        v: lifting.rows(v) if v in lifting.varying else None for v in factors
    }
    missing = [v for v, rows in stacked.items() if rows is None]
    wanted = [v for v in node.outputs if graph.is_read(v) and v is not part.result]
    if op.layout.until:
        wanted.append(node.outputs[-1])
    others = [[p] for p in states_of([node]) if p != part]
    made = Assembled([node], others, wanted).make(missing)
    for v in missing:
        stacked[v] = made.pop(v)
    if op.layout.until:
        steps = {node.outputs[-1]: made[node.outputs[-1]]}
        stacked = dict(zip(stacked, replace(list(stacked.values()), steps), strict=True))
    a, b = (stacked[v] for v in factors)
    total = dot(dimshuffle(_flat(dimshuffle(a, (0, 2, 1))), (1, 0)), _flat(b))
    initial: Any = node.inputs[op.layout.state_input(part.k)]
    made[part.result] = initial + dimshuffle(total, ("x", 0, 1))
    return made


def _flat(rows: Any) -> Any:
    n, p, k = (rows.shape[d] for d in range(3))
    return reshape(rows, (n * p, k), ndim=2)


ACCUMULATION = LoopRule("sum_of_products_after_loop", _accumulation, "may change rounding")
