"""``ifelse`` as a program runs it: what only one branch needs is computed if that is taken.

A branch becomes a scan of one step or none, whose results are the branch's.  One behind the
other, those of both branches are what was chosen.  What two choices by one condition need in the
same case, a gradient and what it is the gradient of, say, goes from one to the other in a row
that is there in this case only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from croton.graph import Apply, Constant, Op, Variable, trace
from croton.graph.traversal import replace, toposort
from croton.loop.cases import needed_only
from croton.loop.choosing import IfElse
from croton.loop.inner import Inner
from croton.loop.layout import Layout
from croton.loop.layout import Sequence as Rows
from croton.loop.op import Scan
from croton.loop.stash import is_cheap
from croton.rewrite.intern import Table
from croton.tensor import dtypes
from croton.tensor.elementwise import Elemwise, switch
from croton.tensor.indexing import IncSubtensor, Subtensor
from croton.tensor.joining import join
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import Shape_i, dimshuffle, flatten, reshape, shape_tuple
from croton.tensor.type import TensorType

#: Functions of so few numbers are computed in both cases, if there are not more of them than that.
_SMALL, _SMALL_ONES = 8, 16
#: The sizes of a variable; equal ones are the same variable.
SizesOf = Callable[[Variable], Sequence[Variable]]


class OnlyIf(Op):
    """Its second input in one row if the branch ``side`` is taken, and no row if it is not."""

    __props__ = ("side",)

    def __init__(self, side: int) -> None:
        self.side = side

    def make_node(self, condition: Any, v: Any) -> Apply:
        """The condition of a choice, and what is wanted of it in one case."""
        return Apply(self, [condition, v], [TensorType(v.type.dtype, (None, *v.type.shape))()])

    def cases(self, inputs: Sequence[Any], side: int) -> tuple[Sequence[Any], Sequence[Any]]:
        """What of ``inputs`` is needed if the branch ``side`` is taken, and what otherwise."""
        return (inputs[1:], inputs[:1]) if side == self.side else ((), inputs)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One row or none."""
        return [(_count(node.inputs[0], self.side), *shapes[1])]

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """One row or none."""
        taken = bool(inputs[0]) == (self.side == 0)
        outputs[0][0] = inputs[1][None] if taken else inputs[1][None][:0]


def _count(condition: Any, side: int) -> Any:
    """How many steps the branch ``side`` has."""
    count = condition.astype("int64")
    return 1 - count if side else count


def branch(outputs: Sequence[Variable], table: Table, sizes: SizesOf) -> list[Variable]:
    """``outputs``, interned in ``table``, without any :class:`IfElse`."""
    current = list(outputs)
    while True:
        order = toposort(current)
        nodes = [node for node in order if isinstance(node.op, IfElse | OnlyIf)]
        if not nodes:
            return current
        choice = _Choice.of(nodes, order, current)
        places = _decided(choice) or _chosen(choice, table, sizes)
        became = {old: table.adopt(new) for old, new in places.items()}
        for node in order:
            inputs = [became.get(v, v) for v in node.inputs]
            if all(v in became for v in node.outputs) or inputs == node.inputs:
                continue
            fresh = table.apply(node.op, inputs, like=node)
            became.update(zip(node.outputs, fresh.outputs, strict=True))
        current = [became.get(v, v) for v in current]


class _Side(NamedTuple):
    """One branch: its results, what nobody else needs of it, and what that is computed from.

    Of what it is computed from, ``shared`` is needed by this branch of other choices only, and
    costs something.
    """

    number: int
    results: list[Any]
    own: list[Apply]
    taken: list[Any]
    shared: list[Any]


class _Choice(NamedTuple):
    """Choices by the same condition that are made together.

    ``nodes`` choose; ``rows`` are wanted of one branch.
    """

    condition: Any
    nodes: list[Any]
    rows: list[Any]
    sides: tuple[_Side, _Side]

    @staticmethod
    def of(nodes: Sequence[Any], order: Sequence[Apply], outputs: Sequence[Variable]) -> _Choice:
        """The last choice of a graph, with those by its condition that do not need each other."""
        choosing = [node for node in nodes if isinstance(node.op, IfElse)]
        last = (choosing or nodes)[-1]
        alike = [node for node in nodes if node.inputs[0] is last.inputs[0]]
        chosen: list[Any] = []
        for node in reversed(alike):
            if node in choosing and not _related(node, chosen):
                chosen.append(node)
        rows = [n for n in alike if isinstance(n.op, OnlyIf) and not _related(n, chosen)]
        graph = _Graph(order, outputs)
        while True:
            sides = tuple(_side(number, chosen, rows, alike, graph) for number in (0, 1))
            made = {node for side in sides for node in side.own}
            # What an earlier choice needs as well comes with that one.
            ready = [node for node in rows if node.inputs[1].owner in made]
            if len(ready) == len(rows) or not (chosen or ready):
                return _Choice(last.inputs[0], chosen, rows, sides)  # type: ignore[arg-type]
            rows = ready


class _Graph(NamedTuple):
    """A graph in order, and what is handed out."""

    order: Sequence[Apply]
    outputs: Sequence[Variable]

    def only_for(self, nodes: Iterable[Any], number: int, but: Iterable[Any]) -> set[Apply]:
        """What is computed for branch ``number`` of the choices ``nodes`` only, and not ``but``."""
        cases = {node: node.op.cases(node.inputs, number) for node in nodes}
        return needed_only(self.order, {*self.outputs, *but}, cases)


def _wanted(node: Any, number: int) -> Sequence[Any]:
    """What ``node`` takes of the branch ``number``."""
    return node.op.cases(node.inputs, number)[0]  # type: ignore[no-any-return]


def _related(node: Any, chosen: Sequence[Any]) -> bool:
    """Whether one of ``node`` and those that are ``chosen`` needs the other."""
    if any(node in toposort(c.inputs) for c in chosen):
        return True
    return any(n in chosen for n in toposort(node.inputs))


def _side(
    number: int, chosen: Sequence[Any], rows: Sequence[Any], alike: Sequence[Any], graph: _Graph
) -> _Side:
    results = [v for node in (*chosen, *rows) for v in _wanted(node, number)]
    own = graph.only_for([*chosen, *rows], number, ())
    made = {v for node in own for v in node.outputs}
    ordered = [node for node in graph.order if node in own]
    taken: dict[Any, None] = {}
    for v in [*(v for node in ordered for v in node.inputs), *results]:
        if v not in made and not isinstance(v, Constant):
            taken[v] = None
    elsewhere = graph.only_for(alike, number, [node.inputs[1] for node in rows])
    costly: set[Apply] = set()
    for node in graph.order:
        few = _is_cheap(node) or _is_small(node)
        if node in elsewhere and not (few and costly.isdisjoint(v.owner for v in node.inputs)):
            costly.add(node)
    shared = [v for v in taken if v.owner in costly and _is_data(v)]
    return _Side(number, results, ordered, [v for v in taken if v not in shared], shared)


def _is_cheap(node: Apply) -> bool:
    return is_cheap(node) or isinstance(node.op, Shape_i)


def _is_small(node: Apply) -> bool:
    """Whether it computes so few numbers that a choice before takes longer."""
    if is_cheap(node) or not isinstance(node.op, Elemwise | Reduce):
        return False
    shapes = [v.type.shape for v in (*node.inputs, *node.outputs)]  # type: ignore[attr-defined]
    return all(None not in shape and math.prod(shape) <= _SMALL for shape in shapes)


def _may_fail(node: Any, sizes: SizesOf) -> bool:
    """Whether an index may be out of bounds."""
    if not isinstance(node.op, Subtensor | IncSubtensor):
        return False
    checks = node.op.checks(node, [sizes(v) for v in node.inputs])
    return any(kind != "eq" for kind, *_ in checks)


def _is_data(v: Any) -> bool:
    # What may be a size stays one that is known beforehand.
    return bool(v.type.ndim) or v.type.dtype in dtypes.FLOATS


def _decided(choice: _Choice) -> dict[Any, Any]:
    """What stands for choices that are made in a branch of the same condition."""
    return {
        out: v
        for side in choice.sides
        for node in side.own
        if isinstance(node.op, IfElse) and node.inputs[0] is choice.condition
        for out, v in zip(node.outputs, _wanted(node, side.number), strict=True)
    }


def _chosen(choice: _Choice, table: Table, sizes: SizesOf) -> dict[Any, Any]:
    """What takes the place of the outputs of a choice."""
    condition = choice.condition
    then, other = choice.sides
    outputs = [v for node in choice.nodes for v in node.outputs]
    count = len(outputs)
    with trace.made_by((choice.nodes or choice.rows)[0].made_at):
        pairs = list(zip(then.results[:count], other.results[:count], strict=True))
        same = [all(a is b for a, b in zip(sizes(u), sizes(v), strict=True)) for u, v in pairs]
        own = (*then.own, *other.own)
        cheap = all(_is_cheap(node) or _is_small(node) for node in own)
        cheap = cheap and sum(map(_is_small, own)) <= _SMALL_ONES
        cheap = cheap and not any(_may_fail(node, sizes) for node in own)
        alike = [node.op.alike for node in choice.nodes for _ in node.outputs]
        fits = all(s or a for s, a in zip(same, alike, strict=True))
        if fits and cheap and not (then.shared or other.shared or choice.rows):
            return {
                out: switch(dimshuffle(condition, ["x"] * out.type.ndim), a, b)
                for out, (a, b) in zip(outputs, pairs, strict=True)
            }
        found = [_run(side, condition) for side in choice.sides]
        places = {}
        for k, out in enumerate(outputs):
            a, b = found[0][k], found[1][k]
            if same[k]:
                places[out] = join(0, a, b)[0]
                continue
            both = zip(shape_tuple(a)[1:], shape_tuple(b)[1:], strict=True)
            shape = [switch(condition, m, n) for m, n in both]
            places[out] = reshape(join(0, flatten(a), flatten(b)), shape)
        of_one = [iter(results[count:]) for results in found]
        for node in choice.rows:
            places[node.outputs[0]] = next(of_one[node.op.side])
        return places


def _run(side: _Side, condition: Any) -> list[Any]:
    """The results of a branch, in one row or none."""
    if not side.results:
        return []
    given = [*side.shared, *side.taken]
    own = [v.type(v.name) for v in given]
    inside = replace(side.results, list(zip(given, own, strict=True)))
    # What a branch computes may hold choices of its own.
    table = Table()
    inside = branch(
        table.copy(inside, {}), table, lambda v: [table.adopt(n) for n in shape_tuple(v)]
    )
    rows = [OnlyIf(side.number).make_node(condition, v).outputs[0] for v in side.shared]
    layout = Layout((Rows(),) * len(rows), (), len(inside), len(side.taken))
    steps = _count(condition, side.number)
    return list(
        Scan(Inner(own, inside), layout, lazy=True).make_node(steps, *rows, *side.taken).outputs
    )
