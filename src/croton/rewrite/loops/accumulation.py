"""A sum of every step's product is one product after the loop, a sum of sums is one sum."""

from __future__ import annotations

from typing import Any

from croton.graph import Apply, Variable, trace
from croton.graph.traversal import ancestors, replace
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.lifting import Lifting, steps_of
from croton.rewrite.loops.parts import Assembled, StatePart, states_of
from croton.tensor.elementwise import Elemwise
from croton.tensor.product import Dot, dot
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import SpecifyShape, dimshuffle, reshape


def _accumulation(graph: Graph, node: Apply) -> Swaps | None:
    for part in states_of([node]):
        factors = _product(_term(part))
        if factors is not None:
            return _after(graph, node, part, factors)
    return None


def _sum_of_sums(graph: Graph, node: Apply) -> Swaps | None:
    lifting = Lifting(node, steps_of(node))
    for part in states_of([node]):
        term = _term(part)
        if term is None or term not in lifting.varying:
            continue
        for v, axes in _summands(term):
            rows = lifting.rows(v)
            if rows is not None or _is_collected(graph, node, v):
                return _summed(graph, node, part, v, rows, axes)
    return None


def _summands(term: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Of what ``term`` is the sum, and over which of its dimensions."""
    found: list[tuple[Any, tuple[int, ...]]] = [(term, ())]
    if term.owner is not None and isinstance(term.owner.op, Reduce):
        (v,) = term.owner.inputs
        if term.owner.op.kind == "sum":
            found.append((v, term.owner.op.axis))
    return found


def _is_collected(graph: Graph, node: Apply, v: Variable) -> bool:
    """Whether all rows of ``v`` are kept in any case."""
    op: Any = node.op
    pairs = zip(op.layout.targets, op.inner.outputs, strict=True)
    found = (t for t, u in pairs if u is v and t.kind == "collected")
    return any(graph.is_read(node.outputs[t.outer]) for t in found)


def _term(part: StatePart) -> Any:
    """What every step adds to a state that nothing else reads, of which the last is wanted."""
    if part.node.op.layout.states[part.k].history:  # type: ignore[attr-defined]
        return None
    op: Any = part.node.op
    if len(part.rows) > 1:
        return None
    (row,) = part.rows
    new: Any = part.new
    while new.owner is not None and isinstance(new.owner.op, SpecifyShape):
        new = new.owner.inputs[0]
    if new in ancestors([v for k, v in enumerate(op.inner.outputs) if k != part.k]):
        return None
    if new.owner is None or not isinstance(new.owner.op, Elemwise) or new.owner.op.name != "add":
        return None
    readers = [n for n in op.inner.nodes if row in n.inputs]
    terms = [v for v in new.owner.inputs if v is not row]
    if readers != [new.owner] or row in op.inner.outputs or len(terms) != 1:
        return None
    return terms[0] if len(new.owner.inputs) == 2 else None


def _product(term: Any) -> tuple[Any, Any] | None:
    """The two matrices whose product ``term`` is."""
    node = None if term is None else term.owner
    if node is None or term.type.ndim != 2:
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
    lifting = Lifting(node, steps_of(node))
    stacked: dict[Variable, Any] = {
        v: lifting.rows(v) if v in lifting.varying else None for v in factors
    }
    missing = [v for v, rows in stacked.items() if rows is None]
    made = _without(graph, node, part, missing)
    for v in missing:
        stacked[v] = made.pop(v)
    a, b = _counted(node, made, [stacked[v] for v in factors])
    with trace.made_by(part.new.made_at):
        total = dot(dimshuffle(_flat(dimshuffle(a, (0, 2, 1))), (1, 0)), _flat(b))
        made[part.result] = _initial(part) + dimshuffle(total, ("x", 0, 1))
    return made


def _summed(
    graph: Graph, node: Apply, part: StatePart, v: Variable, rows: Any, axes: tuple[int, ...]
) -> Swaps:
    """Without the state, which is the sum of the ``rows`` of ``v`` or of those collected."""
    made = _without(graph, node, part, [v] if rows is None else [])
    (rows,) = _counted(node, made, [made.pop(v) if rows is None else rows])
    dtype: str = part.result.type.dtype  # type: ignore[attr-defined]
    with trace.made_by(part.new.made_at):
        total = Reduce("sum", (0, *(a + 1 for a in axes)), dtype)(rows)
        made[part.result] = _initial(part) + dimshuffle(total, ("x", *range(total.type.ndim)))
    return made


def _without(graph: Graph, node: Apply, part: StatePart, collected: list[Variable]) -> Swaps:
    """The scan without the state ``part``; values of steps are ``collected`` as well."""
    wanted = [v for v in node.outputs if graph.is_read(v) and v is not part.result]
    if node.op.layout.until:  # type: ignore[attr-defined]
        wanted.append(node.outputs[-1])
    others = [[p] for p in states_of([node]) if p != part]
    return Assembled([node], others, wanted).make(collected)


def _counted(node: Apply, made: Swaps, rows: list[Any]) -> list[Any]:
    """``rows`` of as many steps as the new scan made."""
    if not node.op.layout.until:  # type: ignore[attr-defined]
        return rows
    return replace(rows, {node.outputs[-1]: made[node.outputs[-1]]})


def _initial(part: StatePart) -> Any:
    return part.node.inputs[part.node.op.layout.state_input(part.k)]  # type: ignore[attr-defined]


def _flat(rows: Any) -> Any:
    n, p, k = (rows.shape[d] for d in range(3))
    return reshape(rows, (n * p, k), ndim=2)


ACCUMULATION = LoopRule("sum_of_products_after_loop", _accumulation, "may change rounding")
SUMS = LoopRule("sum_of_sums_after_loop", _sum_of_sums, "may change rounding")
