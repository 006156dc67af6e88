"""What is the same in every step is computed before the loop."""

from __future__ import annotations

from typing import Any

from croton.graph import Apply
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.lifting import Lifting
from croton.rewrite.loops.parts import Assembled, states_of
from croton.tensor.creation import Alloc, ARange
from croton.tensor.indexing import Subtensor
from croton.tensor.shapes import DimShuffle, MakeVector, Reshape, Shape_i, SpecifyShape

#: Nothing to compute, or nothing that memory would save.
_FREE = (Alloc, ARange, MakeVector, Reshape, Shape_i, SpecifyShape, Subtensor)


def _invariants(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    lifting = Lifting(node)
    read = [v for n in op.inner.nodes if n.outputs[0] in lifting.varying for v in n.inputs]
    fixed = {v: lifting.whole(v) for v in (*read, *op.inner.outputs) if _is_work(v, lifting)}
    if not fixed:
        return None
    wanted = [v for v in node.outputs if graph.is_read(v)]
    states = [[p] for p in states_of([node])]
    return Assembled([node], states, wanted, fixed=fixed).make()


def _is_work(v: Any, lifting: Lifting) -> bool:
    """Whether ``v`` is the same in every step, and takes more than to look at what is there."""
    node = v.owner
    if v in lifting.varying or node is None or getattr(node.op, "loop", None) is None:
        return False
    if isinstance(node.op, DimShuffle):
        # Only what is turned lies better in memory of its own.
        kept = [d for d in node.op.new_order if d != "x"]
        return kept != sorted(kept) or _is_work(node.inputs[0], lifting)
    return not isinstance(node.op, _FREE)


INVARIANTS = LoopRule("invariants_before_loop", _invariants)
