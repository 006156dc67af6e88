"""What a gradient by a whole history says of its last row alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from croton.tensor.convert import constant_scalar
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing import IncSubtensor
from croton.tensor.indexing.basic import Slice


class Split(NamedTuple):
    """An array as a sum: an array, and one that is 0 but for its last row (None: nothing)."""

    whole: Any
    last: Any


def split(array: Any) -> Split:
    """``array`` without what was put into the last row of zeros, and that."""
    node = array.owner
    if node is None:
        return Split(array, None)
    if isinstance(node.op, Elemwise) and node.op.name == "add":
        parts = [split(v) for v in node.inputs]
        if all(_fits(v, array.type.shape) for v in node.inputs):
            return Split(_sum(p.whole for p in parts), _sum(p.last for p in parts))
    if isinstance(node.op, IncSubtensor) and _is_zero(node.inputs[0]):
        (first, *rest) = node.op.entries or (None,)
        y = node.inputs[1]
        if first == -1 and not rest and _fits(y, array.type.shape[1:]):
            return Split(None, y)
        # Rows from one on to the end.
        if isinstance(first, Slice) and not rest and isinstance(first.start, int):
            plain = first.stop is None and first.step in (None, 1)
            if plain and _fits(y, array.type.shape):
                inner = split(y)
                if inner.whole is None:
                    return inner
    return Split(array, None)


def _is_zero(v: Any) -> bool:
    if v.owner is not None and isinstance(v.owner.op, Alloc):
        v = v.owner.inputs[0]
    return bool(constant_scalar(v) == 0)


def _fits(v: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether ``v`` has this shape without being repeated."""
    return len(v.type.shape) == len(shape) and all(
        have != 1 or want == 1 for have, want in zip(v.type.shape, shape, strict=True)
    )


def _sum(parts: Any) -> Any:
    total = None
    for p in parts:
        if p is not None:
            total = p if total is None else total + p
    return total
