"""A sum of every step's product is one product after the loop, a sum of sums is one sum.

What steps add to elements or rows of an array is added to it at once: an array of which each
step reads an element has such a gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.graph import Apply, Variable, trace
from croton.graph.traversal import ancestors, replace
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.lifting import Lifting, below_steps, steps_of
from croton.rewrite.loops.parts import Assembled, StatePart, states_of
from croton.tensor.convert import constant_scalar
from croton.tensor.creation import Alloc, alloc
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing import AdvancedIncSubtensor, IncSubtensor
from croton.tensor.indexing.basic import Given, Slice
from croton.tensor.product import Dot, dot
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, SpecifyShape, dimshuffle, reshape, shape_tuple


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
    """What every step adds to a state, if it is one summand (see :func:`_terms`)."""
    terms = _terms(part)
    return terms[0] if len(terms) == 1 else None


def _terms(part: StatePart) -> list[Any]:
    """What every step adds to a state that nothing else reads, of which the last is wanted."""
    new, others = _new(part), _others(part)
    if not _is_sum(part) or new in ancestors(others) or new.owner is None:
        return []
    if not isinstance(new.owner.op, Elemwise) or new.owner.op.name != "add":
        return []
    (row,) = part.rows
    if not _reads_once(part, row, new.owner):
        return []
    return [v for v in new.owner.inputs if v is not row]


def _is_sum(part: StatePart) -> bool:
    """Whether the last of a state is wanted, which each step makes of the one before."""
    return not part.node.op.layout.states[part.k].history and len(part.rows) == 1  # type: ignore[attr-defined]


def _new(part: StatePart) -> Any:
    new: Any = part.new
    while new.owner is not None and isinstance(new.owner.op, SpecifyShape):
        new = new.owner.inputs[0]
    return new


def _others(part: StatePart) -> list[Any]:
    """What else a step gives."""
    return [v for k, v in enumerate(part.node.op.inner.outputs) if k != part.k]  # type: ignore[attr-defined]


def _reads_once(part: StatePart, row: Any, node: Any) -> bool:
    """Whether ``node`` alone reads ``row``, and once."""
    inner: Any = part.node.op.inner  # type: ignore[attr-defined]
    readers = [n for n in inner.nodes if row in n.inputs]
    return readers == [node] and node.inputs.count(row) == 1 and row not in inner.outputs


def _puts(v: Any) -> tuple[list[Any], Any]:
    """What adds something to an array where leading indices say, one after the other; the array."""
    found: list[Any] = []
    while v.owner is not None and isinstance(v.owner.op, IncSubtensor):
        op = v.owner.op
        rest = [e for e in op.entries if isinstance(e, Slice)]
        leading = op.entries[: len(op.entries) - len(rest)]
        whole = all(e == Slice(None, None, None) for e in rest)
        if op.set_instead_of_inc or not leading or not whole:
            break
        if any(isinstance(e, Slice) for e in leading):
            break
        found.append(v.owner)
        v = v.owner.inputs[0]
    return found, v


def _is_zeros(v: Any) -> bool:
    if v.owner is not None and isinstance(v.owner.op, Alloc):
        v = v.owner.inputs[0]
    return bool(constant_scalar(v) == 0)


def _sum_of_parts(graph: Graph, node: Apply) -> Swaps | None:
    for part in states_of([node]):
        puts = _parts_in(part)
        if puts:
            return _put_together(graph, node, part, puts)
    return None


def _parts_in(part: StatePart) -> list[Any]:
    """What adds parts to a state, if only that makes it what it is in the end."""
    found: list[Any] = []
    for term in _terms(part):
        puts, array = _puts(term)
        if not puts or not _is_zeros(array):
            return []
        found += puts
    if found or not _is_sum(part):
        return found
    puts, array = _puts(_new(part))
    (row,) = part.rows
    if array is not row or not puts or not _reads_once(part, row, puts[-1]):
        return []
    added = [v for put in puts for v in put.inputs[1:]]
    if row in ancestors([*added, *_others(part)]):
        return []
    return puts


def _put_together(graph: Graph, node: Apply, part: StatePart, puts: list[Any]) -> Swaps:
    """Without the state, to which is added at once what each step puts somewhere."""
    lifting = Lifting(node, steps_of(node))
    read = [v for put in puts for v in put.inputs[1:]]
    known = {v: lifting.rows(v) if v in lifting.varying else None for v in read}
    missing = [v for v, rows in known.items() if rows is None and v in lifting.varying]
    made = _without(graph, node, part, missing)
    known.update((v, made.pop(v)) for v in missing)
    with trace.made_by(part.new.made_at):
        for v in [v for v in known if v not in lifting.varying]:
            whole = lifting.whole(v)
            known[v] = alloc(whole, steps_of(node), *shape_tuple(whole))
        stacked = dict(zip(known, _counted(node, made, list(known.values())), strict=True))
        (steps,) = _counted(node, made, [steps_of(node)])
        total: Any = _initial(part)[0]
        for put in puts:
            y, *scalars = put.inputs[1:]
            places = [
                stacked[scalars[e.position]] if isinstance(e, Given) else alloc(np.int64(e), steps)
                for e in put.op.entries
                if not isinstance(e, Slice)
            ]
            total = AdvancedIncSubtensor().make_node(total, stacked[y], *places).outputs[0]
        made[part.result] = dimshuffle(total, ("x", *range(total.type.ndim)))
    return made


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
    # Rows of a batch stay apart if they are not transposed in a step.
    bases = {v: _in_order(v) for v in missing}
    made = _without(graph, node, part, list(dict.fromkeys(bases.values())))
    found = {base: made.pop(base) for base in set(bases.values())}
    for v, base in bases.items():
        rows, turned = found[base], v.owner
        stacked[v] = rows if v is base or turned is None else below_steps(rows, turned.op)
    a, b = _counted(node, made, [stacked[v] for v in factors])
    with trace.made_by(part.new.made_at):
        total = dot(dimshuffle(_flat(dimshuffle(a, (0, 2, 1))), (1, 0)), _flat(b))
        made[part.result] = _initial(part) + dimshuffle(total, ("x", 0, 1))
    return made


def _in_order(v: Any) -> Any:
    """``v``, or what it has in another order of dimensions."""
    is_turned = v.owner is not None and isinstance(v.owner.op, DimShuffle)
    return v.owner.inputs[0] if is_turned else v


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


PARTS = LoopRule("sum_of_parts_after_loop", _sum_of_parts, "may change rounding")
ACCUMULATION = LoopRule("sum_of_products_after_loop", _accumulation, "may change rounding")
SUMS = LoopRule("sum_of_sums_after_loop", _sum_of_sums, "may change rounding")
