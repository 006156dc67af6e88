"""Products of one value with several matrices are one product with all of them, side by side."""

from __future__ import annotations

from typing import Any

from croton.graph import Apply, Variable, trace
from croton.graph.traversal import replace
from croton.loop.inner import Inner
from croton.loop.op import Scan
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.lifting import Lifting
from croton.tensor.joining import join
from croton.tensor.product import Dot, dot


def _together(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    lifting = Lifting(node)
    found: dict[tuple[Variable, int], list[Apply]] = {}
    for inner in op.inner.nodes:
        if not isinstance(inner.op, Dot) or inner.op.batched:
            continue
        for side in (0, 1):
            value, matrix = inner.inputs[side], inner.inputs[1 - side]
            # Matrices lie beside each other along what is not summed over: 1 of a right factor.
            known = matrix.type.shape[1 - side] is not None and value.type.shape[side] != 1
            if value in lifting.varying and matrix not in lifting.varying and known:
                found.setdefault((value, side), []).append(inner)
    for (value, side), products in found.items():
        kinds = [v.type for p in products for v in p.inputs]
        if len(products) > 1 and len({kind.dtype for kind in kinds}) == 1:  # type: ignore[attr-defined]
            return _one_product(node, lifting, value, side, products)
    return None


def _one_product(
    node: Apply, lifting: Lifting, value: Any, side: int, products: list[Apply]
) -> Swaps:
    """The scan with one product of ``value``, its factor number ``side``, for ``products``."""
    op: Any = node.op
    axis = 1 - side
    matrices: list[Any] = [p.inputs[1 - side] for p in products]
    with trace.made_by(products[0].made_at):
        joined = join(axis, *(lifting.whole(m) for m in matrices))
        whole = joined.type()
        product = dot(value, whole) if side == 0 else dot(whole, value)
    parts: dict[Variable, Variable] = {}
    start = 0
    for p, matrix in zip(products, matrices, strict=True):
        stop = start + matrix.type.shape[axis]
        with trace.made_by(p.made_at):
            part = product[:, start:stop] if side == 0 else product[start:stop]
        parts[p.outputs[0]] = part
        start = stop
    inner = Inner([*op.inner.inputs, whole], replace(op.inner.outputs, parts))
    layout = op.layout._replace(non_sequences=op.layout.non_sequences + 1)
    made = Scan(inner, layout, op.name).make_node(*node.inputs, joined)
    return dict(zip(node.outputs, made.outputs, strict=True))


TOGETHER = LoopRule("products_together", _together, "may change rounding")
