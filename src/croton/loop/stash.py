"""What of a step is kept for its gradient, and what is computed again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from croton.graph.apply import Apply
from croton.graph.traversal import toposort
from croton.graph.variable import Variable
from croton.tensor.creation import Alloc, ARange
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing import Subtensor
from croton.tensor.joining import Join
from croton.tensor.shapes import DimShuffle, MakeVector, Reshape, Shape_i, SpecifyShape

#: Functions that cost no more than to store their result and read it again.
_CHEAP = frozenset(
    """add sub mul true_div reciprocal neg abs sgn sqr maximum minimum clip switch identity
    eq ne lt le gt ge and or xor invert floor ceil trunc isnan isinf""".split()
)
_MOVES = (Alloc, ARange, DimShuffle, Join, MakeVector, Reshape, SpecifyShape, Subtensor)


def is_cheap(node: Apply) -> bool:
    """Whether computing it again costs no more than to keep its result."""
    op = node.op
    if isinstance(op, Elemwise):
        return op.name in _CHEAP or op.name.startswith("Cast")
    return isinstance(op, _MOVES) or getattr(op, "passes_through", False)


def choose(
    results: Sequence[Variable], rows: Collection[Variable], given: Collection[Variable]
) -> list[Variable]:
    """What ``results``, computed from ``given`` gradients, had better find ready of the step.

    ``rows`` are the step's inputs that differ from step to step.  What depends on neither is
    the same in every step and needs no keeping; nor do sizes.
    """
    backward, varying = set(given), set(rows)
    chosen: dict[Variable, None] = {}
    seen: set[Variable] = set()

    def look(start: Variable) -> None:
        stack = [start]
        while stack:
            v = stack.pop()
            if v in seen or v.owner is None or v not in varying or v in backward:
                continue
            seen.add(v)
            if isinstance(v.owner.op, Shape_i):
                continue
            if is_cheap(v.owner):
                stack.extend(reversed(v.owner.inputs))
            else:
                chosen[v] = None

    for node in toposort(results):
        if any(v in backward for v in node.inputs):
            backward.update(node.outputs)
            if not isinstance(node.op, Shape_i):
                for v in node.inputs:
                    look(v)
        elif any(v in varying for v in node.inputs):
            varying.update(node.outputs)
    for v in results:
        look(v)
    return list(chosen)


def needed(results: Sequence[Variable], kept: Collection[Variable], inputs: Sequence[Any]) -> Any:
    """Those of ``inputs`` that ``results`` are computed from where ``kept`` are ready."""
    used = set(results)
    for node in toposort(results, kept):
        used.update(node.inputs)
    return [v for v in inputs if v in used]
