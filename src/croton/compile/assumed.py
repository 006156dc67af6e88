"""Sizes of shared variables, taken to stay what they are.

A shared variable may get a value of other sizes at any time, but hardly ever does.  So a function
is compiled for the sizes that its shared variables have when it is made; a call that finds others
has it made again, without what turned out wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from croton.graph.shared import SharedVariable
from croton.graph.traversal import toposort
from croton.graph.variable import Variable
from croton.tensor.indexing import Subtensor
from croton.tensor.type import TensorType

Shape = tuple[int, ...]


def assume(variables: Iterable[Any], without: Collection[Any]) -> dict[SharedVariable, Shape]:
    """The shapes of the shared variables among ``variables``, but for those in ``without``."""
    return {
        v: v.container.shape
        for v in variables
        if isinstance(v, SharedVariable)
        and v not in without
        and isinstance(v.type, TensorType)
        and None in v.type.shape
    }


def filters(outputs: Sequence[Variable]) -> set[SharedVariable]:
    """The shared variables that are filters of convolutions on the way to ``outputs``."""
    found: set[SharedVariable] = set()
    for node in toposort(outputs):
        parts = getattr(node.op, "parts", ())
        if "w" not in parts[:2]:
            continue
        v: Any = node.inputs[parts.index("w")]
        while v.owner is not None and isinstance(v.owner.op, Subtensor):
            v = v.owner.inputs[0]
        if isinstance(v, SharedVariable):
            found.add(v)
    return found


def stand_in(v: SharedVariable, shape: Shape, is_filter: bool) -> SharedVariable:
    """A variable on the container of ``v``, with ``tag.assumed`` for what its shape will be.

    Its type does not tell sizes of 1: what is known to have them would broadcast.  But filters,
    which only meet what has their own shape, may tell that they have one tap in a dimension.
    """
    known: Any = v.type
    sizes = [
        size if n is None and (size > 1 or (size == 1 and is_filter and d >= 2)) else n
        for d, (n, size) in enumerate(zip(known.shape, shape, strict=True))
    ]
    other = type(v)(TensorType(known.dtype, sizes), None, name=v.name)
    other.container = v.container
    other.made_at = v.made_at
    other.tag.assumed = shape
    return other


def broken(assumed: dict[SharedVariable, Shape]) -> set[SharedVariable]:
    """The variables whose values have other shapes by now."""
    return {v for v, shape in assumed.items() if v.container.shape != shape}
