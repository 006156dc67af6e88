"""Copies in another order as steps of a program: which groups are such, and their extents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from croton.graph.variable import Variable
from croton.kernel.machine import Machine
from croton.schedule.group import Group
from croton.schedule.products import Tiled, amounts
from croton.schedule.sizes import ONE, Size, Sizes, product
from croton.schedule.transposition import EXTENTS, IN, MOVED, OUT, REVERSED, reversal
from croton.schedule.transposition import plan as transposition_plan
from croton.schedule.views import promised
from croton.tensor.shapes import DimShuffle


def transposition_steps(
    v: Variable, sizes: Sizes, memory: Callable[[Variable], Any], machine: Machine
) -> Tiled:
    """The plan for ``v``, the copy of matrices in memory into the other order."""
    source = promised(v.owner.inputs[0])  # type: ignore[union-attr]
    found = _extents(v, sizes)
    if found is None:
        raise ValueError(f"{v} is no copy of matrices into the other order")
    names, extents = found
    make = reversal if names is REVERSED else transposition_plan
    amount = amounts(dict(zip(names, extents, strict=True)), sizes)
    return Tiled(make(_itemsize(v), machine), amount, {IN: memory(source)}, OUT)


def only_transposes(
    group: Group, stored: Sequence[Variable], sizes: Sizes, memory: Callable[[Variable], Any]
) -> bool:
    """Whether all that the group does is to store matrices in the other order."""
    if group.kind != "loop" or group.terminals or group.row_reductions or group.serial:
        return False
    return bool(stored) and all(_is_transposition(v, group, sizes, memory) for v in stored)


def _is_transposition(
    v: Variable, group: Group, sizes: Sizes, memory: Callable[[Variable], Any]
) -> bool:
    if v.owner is None or not isinstance(v.owner.op, DimShuffle):
        return False
    source = promised(v.owner.inputs[0])
    if source in group.members or memory(source) is None or _itemsize(v) not in MOVED:
        return False
    return _extents(v, sizes) is not None


def _itemsize(v: Variable) -> int:
    return np.dtype(v.type.dtype).itemsize  # type: ignore[attr-defined]


def _extents(v: Variable, sizes: Sizes) -> tuple[Sequence[str], Sequence[Size]] | None:
    """The extents of what ``v`` has in the other order, and their names; None if it is not so.

    Dimensions that are neighbours in both orders count as one, those of size 1 not at all.
    """
    shape = sizes.shape(v.owner.inputs[0])  # type: ignore[union-attr]
    kept = [d for d, size in enumerate(shape) if size != ONE]
    order = [d for d in v.owner.op.new_order if d in kept]  # type: ignore[union-attr]
    runs: list[list[int]] = []
    for d in order:
        place = kept.index(d)
        if runs and place and kept[place - 1] == runs[-1][-1]:
            runs[-1].append(d)
        else:
            runs.append([d])
    extents = [product([shape[d] for d in run]) for run in runs]
    if len(runs) == 2:
        return EXTENTS, (ONE, extents[1], extents[0])
    if len(runs) == 3 and runs[0] < runs[2] < runs[1]:
        return EXTENTS, (extents[0], extents[2], extents[1])
    if len(runs) == 3 and runs[2] < runs[1] < runs[0]:
        return REVERSED, extents[::-1]
    return None
