"""Columns: what an index selects that takes a part of the last dimension, and all of the others."""

from __future__ import annotations

from typing import Any, NamedTuple

from croton.tensor.indexing.basic import Slice, Subtensor


class Columns(NamedTuple):
    """Those of ``array`` from ``start`` to ``stop``."""

    array: Any
    start: int
    stop: int


def columns_of(v: Any) -> Columns | None:
    """The columns that ``v`` is; None if it is something else, or its ends are not known."""
    node = v.owner
    if node is None or not isinstance(node.op, Subtensor) or len(node.inputs) > 1:
        return None
    array, whole = node.inputs[0], Slice(None, None, None)
    if not array.type.ndim or [whole] * (array.type.ndim - 1) != [*node.op.entries[:-1]]:
        return None
    last, size = node.op.entries[-1], array.type.shape[-1]
    if not isinstance(last, Slice) or last.step not in (None, 1):
        return None
    start, stop = last.start or 0, size if last.stop is None else last.stop
    if not isinstance(start, int) or not isinstance(stop, int):
        return None
    if size is not None:
        # Ends that count from the last column, or lie behind it.
        start, stop, _ = slice(start, stop).indices(size)
    return Columns(array, start, stop) if 0 <= start < stop else None
