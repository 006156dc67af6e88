"""``ifelse`` as a program runs it: what only one branch needs is computed if that is taken.

A branch becomes a scan of one step or none, whose results are the branch's.  One behind the
other, those of both branches are what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from croton.graph import Apply, Constant, Variable, trace
from croton.graph.traversal import replace, toposort
from croton.loop.choosing import IfElse
from croton.loop.inner import Inner
from croton.loop.layout import Layout
from croton.loop.op import Scan
from croton.loop.stash import is_cheap
from croton.rewrite.intern import Table
from croton.tensor.elementwise import switch
from croton.tensor.joining import join
from croton.tensor.shapes import dimshuffle, flatten, reshape, shape_tuple

#: The sizes of a variable; equal ones are the same variable.
SizesOf = Callable[[Variable], Sequence[Variable]]


def branch(outputs: Sequence[Variable], table: Table, sizes: SizesOf) -> list[Variable]:
    """``outputs``, interned in ``table``, without any :class:`IfElse`."""
    current = list(outputs)
    while True:
        order = toposort(current)
        nodes = [node for node in order if isinstance(node.op, IfElse)]
        if not nodes:
            return current
        choice = _Choice.of(nodes, order, current)
        places = _chosen(choice, table, sizes)
        became = {old: table.adopt(new) for old, new in places.items()}
        for node in order:
            inputs = [became.get(v, v) for v in node.inputs]
            if node in choice.nodes or inputs == node.inputs:
                continue
            fresh = table.apply(node.op, inputs, like=node)
            became.update(zip(node.outputs, fresh.outputs, strict=True))
        current = [became.get(v, v) for v in current]


class _Side(NamedTuple):
    """One branch: its results, what nobody else needs of it, and what that is computed from."""

    results: list[Any]
    own: list[Apply]
    taken: list[Any]


class _Choice(NamedTuple):
    """Choices by the same condition that are made together."""

    nodes: list[Any]
    outputs: list[Any]
    sides: tuple[_Side, _Side]

    @staticmethod
    def of(nodes: Sequence[Any], order: Sequence[Apply], outputs: Sequence[Variable]) -> _Choice:
        """The last choice of a graph, with those by its condition that do not need each other."""
        chosen = [nodes[-1]]
        for node in reversed(nodes[:-1]):
            if node.inputs[0] is chosen[0].inputs[0]:
                if not any(n in chosen or n is node for c in chosen for n in toposort(c.inputs)):
                    chosen.append(node)
        results: tuple[list[Any], list[Any]] = ([], [])
        for node in chosen:
            results[0].extend(node.inputs[1 : 1 + node.op.n])
            results[1].extend(node.inputs[1 + node.op.n :])
        readers: dict[Variable, list[Apply]] = {}
        for node in order:
            for v in node.inputs:
                readers.setdefault(v, []).append(node)
        sides = [
            _side(results[k], results[1 - k], chosen, order, readers, set(outputs)) for k in (0, 1)
        ]
        given = [v for node in chosen for v in node.outputs]
        return _Choice(chosen, given, (sides[0], sides[1]))


def _side(
    results: list[Any],
    others: list[Any],
    chosen: list[Any],
    order: Sequence[Apply],
    readers: dict[Variable, list[Apply]],
    handed_out: set[Variable],
) -> _Side:
    mine, theirs = set(results), {*others, chosen[0].inputs[0]}
    own: set[Apply] = set()

    def is_own(v: Variable) -> bool:
        if v in handed_out or v in theirs:
            return False
        reading = readers.get(v, [])
        return all(r in own or (v in mine and r in chosen) for r in reading)

    for node in reversed(order):
        if node not in chosen and all(map(is_own, node.outputs)):
            if any(v in mine or readers.get(v) for v in node.outputs):
                own.add(node)
    made = {v for node in own for v in node.outputs}
    ordered = [node for node in order if node in own]
    taken: dict[Any, None] = {}
    for v in [*(v for node in ordered for v in node.inputs), *results]:
        if v not in made and not isinstance(v, Constant):
            taken[v] = None
    return _Side(results, ordered, list(taken))


def _chosen(choice: _Choice, table: Table, sizes: SizesOf) -> dict[Any, Any]:
    """What takes the place of the outputs of a choice."""
    condition = choice.nodes[0].inputs[0]
    then, other = choice.sides
    with trace.made_by(choice.nodes[0].made_at):
        same = [
            all(a is b for a, b in zip(sizes(u), sizes(v), strict=True))
            for u, v in zip(then.results, other.results, strict=True)
        ]
        if all(same) and all(is_cheap(node) for node in (*then.own, *other.own)):
            return {
                out: switch(dimshuffle(condition, ["x"] * out.type.ndim), a, b)
                for out, a, b in zip(choice.outputs, then.results, other.results, strict=True)
            }
        count = condition.astype("int64")
        rows = [_run(then, count), _run(other, 1 - count)]
        places = {}
        for k, out in enumerate(choice.outputs):
            a, b = rows[0][k], rows[1][k]
            if same[k]:
                places[out] = join(0, a, b)[0]
                continue
            both = zip(shape_tuple(a)[1:], shape_tuple(b)[1:], strict=True)
            shape = [switch(condition, m, n) for m, n in both]
            places[out] = reshape(join(0, flatten(a), flatten(b)), shape)
        return places


def _run(side: _Side, count: Any) -> list[Any]:
    """The results of a branch, in one row or none."""
    own = [v.type(v.name) for v in side.taken]
    inside = replace(side.results, list(zip(side.taken, own, strict=True)))
    # What a branch computes may hold choices of its own.
    table = Table()
    inside = branch(
        table.copy(inside, {}), table, lambda v: [table.adopt(n) for n in shape_tuple(v)]
    )
    layout = Layout(collected=len(inside), non_sequences=len(own))
    return list(Scan(Inner(own, inside), layout, lazy=True).make_node(count, *side.taken).outputs)
