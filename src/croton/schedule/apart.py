"""Rows apart: scans whose steps make each row of a batch from the same row of what was before.

The rows of such a batch never meet, so all steps may be done for some of them and then for
others, or by several threads at once, which then need not wait for each other in every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from croton.graph.apply import Apply
from croton.graph.traversal import toposort
from croton.graph.variable import Constant, Variable
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing.advanced import AdvancedSubtensor
from croton.tensor.indexing.basic import IncSubtensor, Slice, Subtensor
from croton.tensor.joining import Join
from croton.tensor.product import Dot
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, Shape_i, SpecifyShape, shape_i

_ALL = Slice(None, None, None)


class Apart(NamedTuple):
    """A step for any number of rows of the batch.

    Its inputs and outputs are those of the scan's step; those inputs that are ``batched`` (and
    all outputs) have a row for each of the batch in their first dimension.
    """

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    batched: frozenset[int]
    products: bool


def rows_apart(node: Any) -> Apart | None:
    """The step of the scan ``node`` for some of the rows, if no row needs another one."""
    layout, graph = node.op.layout, node.op.inner
    if layout.until or not layout.states or not all(v.type.ndim for v in graph.outputs):
        return None
    states = range(
        sum(len(s.taps) for s in layout.sequences), len(graph.inputs) - layout.non_sequences
    )
    try:
        search = _Search(graph.inputs, [graph.inputs[k] for k in states], graph.outputs)
        return search.rebuilt(graph)
    except _TogetherError:
        return None


class _TogetherError(Exception):
    """A row needs others, or may."""


class _Search:
    """What has the rows of the batch, beginning from what a step is to make."""

    def __init__(
        self, inputs: Sequence[Variable], states: Sequence[Variable], outputs: Sequence[Variable]
    ) -> None:
        self.inputs = set(inputs)
        #: What has a row for each, and what must be the same for all of them.
        self.batched: set[Variable] = set()
        self.shared: set[Variable] = set()
        self.size: int | None = states[0].type.shape[0]  # type: ignore[attr-defined]
        if self.size is not None and self.size < 2:
            raise _TogetherError
        stack: list[Variable] = [*states, *outputs]
        while stack:
            v = stack.pop()
            if v not in self.batched:
                self.batched.add(v)
                stack += self._rows_of(v)
        stack = list(self.shared)
        while stack:
            v = stack.pop()
            # The other dimensions of a batch are the same for all rows.
            if v.owner is not None and not (isinstance(v.owner.op, Shape_i) and v.owner.op.i):
                stack += [u for u in v.owner.inputs if u not in self.shared]
                self.shared.update(v.owner.inputs)
        if self.batched & self.shared:
            raise _TogetherError

    def _rows_of(self, v: Any) -> list[Variable]:
        """The values whose rows ``v`` is made of, each of its rows of the same of theirs."""
        if v in self.inputs:
            return []
        if isinstance(v, Constant) or v.owner is None:
            raise _TogetherError
        node, op = v.owner, v.owner.op
        first: Any = node.inputs[0]
        if isinstance(op, Elemwise):
            return self._divided(node.inputs)
        if isinstance(op, Dot):
            if op.batched:
                return self._divided(node.inputs)
            self.shared.add(node.inputs[1])
            return [first]
        if isinstance(op, DimShuffle) and op.new_order[0] == 0:
            return [first]
        if isinstance(op, Reduce) and 0 not in op.axis:
            return [first]
        if isinstance(op, SpecifyShape):
            return [first]
        if isinstance(op, Join) and op.axis != 0:
            return list(node.inputs)
        if isinstance(op, Subtensor | IncSubtensor) and (not op.entries or op.entries[0] == _ALL):
            tensors = 1 + isinstance(op, IncSubtensor)
            self.shared.update(node.inputs[tensors:])
            return self._divided(node.inputs[:tensors])
        if isinstance(op, AdvancedSubtensor) and op.start == 0 and len(node.inputs) == 2:
            # Rows of a table, by their numbers.
            self.shared.add(first)
            return [node.inputs[1]]
        if isinstance(op, Alloc):
            self.shared.update(node.inputs[2:])
            return [*self._divided([first]), *self._counted(node.inputs[1])]
        raise _TogetherError

    def _divided(self, inputs: Sequence[Any]) -> list[Variable]:
        """Of ``inputs`` those with rows; the others are the same for all rows."""
        one = [v for v in inputs if v.type.shape[0] == 1]
        self.shared.update(one)
        return [v for v in inputs if v.type.shape[0] != 1]

    def _counted(self, size: Any) -> list[Variable]:
        """The values whose rows ``size`` counts, if it is the number of rows."""
        if isinstance(size, Constant):
            if self.size is None or int(size.data) != self.size:
                raise _TogetherError
            return []
        if size.owner is None or not isinstance(size.owner.op, Shape_i) or size.owner.op.i:
            raise _TogetherError
        return list(size.owner.inputs)

    def rebuilt(self, graph: Any) -> Apart:
        """The step with as many rows as there are."""
        now: dict[Variable, Variable] = {}
        for v in graph.inputs:
            kind = v.type.clone(shape=(None, *v.type.shape[1:])) if v in self.batched else v.type
            now[v] = kind(v.name)
        state = next(v for v in graph.inputs if v in self.batched)
        for node in toposort(graph.outputs, graph.inputs):
            if node.outputs[0] not in self.batched:
                made = node.op.make_node(*(now.get(u, u) for u in node.inputs))
            else:
                made = _with_rows(node, now, now[state])
            made.made_at = node.made_at
            for old, new in zip(node.outputs, made.outputs, strict=True):
                new.made_at = old.made_at
                now[old] = new
        batched = frozenset(k for k, v in enumerate(graph.inputs) if v in self.batched)
        products = any(isinstance(node.op, Dot) for node in graph.nodes)
        inputs, outputs = (tuple(now[v] for v in vs) for vs in (graph.inputs, graph.outputs))
        return Apart(inputs, outputs, batched, products)


def _with_rows(node: Any, now: Mapping[Variable, Variable], state: Variable) -> Apply:
    """``node`` where the number of rows is not known."""
    inputs = [now.get(u, u) for u in node.inputs]
    if isinstance(node.op, SpecifyShape):
        return SpecifyShape((None, *node.op.sizes[1:])).make_node(*inputs)
    if isinstance(node.op, Alloc):
        inputs[1] = shape_i(state, 0)
    made: Apply = node.op.make_node(*inputs)
    return made
