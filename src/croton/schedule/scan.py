"""Which scans a program repeats by itself; the others run in Python."""

from __future__ import annotations

from typing import Any

from croton.graph.apply import Apply
from croton.loop.op import Scan
from croton.schedule.sizes import ShapeOf
from croton.tensor.type import TensorType


def is_native(node: Apply) -> bool:
    """Whether a scan's steps deal in tensors only, and the sizes of its rows are known before."""
    op: Any = node.op
    if not isinstance(op, Scan):
        return False
    inner = op.inner
    within = [*inner.inputs, *(v for n in inner.nodes for v in n.outputs), *inner.outputs]
    if not all(isinstance(v.type, TensorType) for v in (*node.inputs, *within)):
        return False
    shapes = op.infer_shape(node, [ShapeOf(v) for v in node.inputs])
    return all(size is not None for shape in shapes for size in shape)
