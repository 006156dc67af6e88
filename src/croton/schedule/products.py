"""Matrix products as steps of a program: how the factors lie in memory, and in which amounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from croton.graph.variable import Variable
from croton.schedule.product import Count
from croton.schedule.sizes import ONE, ZERO, Size, Sizes
from croton.tensor.shapes import DimShuffle


class Factor(NamedTuple):
    """Memory in which a factor lies, and its stride in each dimension, in elements."""

    memory: Any
    strides: tuple[Size, ...]


def factor(v: Variable, sizes: Sizes, memory: Callable[[Variable], Any]) -> Factor:
    """How the factor ``v`` of a product lies in memory: transposed views of what is stored."""
    order: list[int | None] = list(range(v.type.ndim))  # type: ignore[attr-defined]
    while memory(v) is None:
        if v.owner is None or not isinstance(v.owner.op, DimShuffle):
            raise KeyError(f"the factor {v} of a product is not in memory")
        new_order = v.owner.op.new_order
        order = [None if d is None or new_order[d] == "x" else new_order[d] for d in order]  # type: ignore[misc]
        v = v.owner.inputs[0]
    shape = sizes.shape(v)
    strides = [ONE] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    return Factor(
        memory(v),
        tuple(ZERO if d is None or shape[d] == ONE else strides[d] for d in order),
    )


def extents(node: Any, sizes: Sizes, a: Factor, b: Factor) -> dict[str, Size]:
    """The names of a product plan (its EXTENTS and STRIDES) with their sizes."""
    left, right = (sizes.shape(v) for v in node.inputs)
    batch = left[0] if len(left) == 3 else ONE
    m, k, n = left[-2], left[-1], right[-1]
    return {
        "batch": batch,
        "m": m,
        "n": n,
        "k": k,
        "a_batch": a.strides[0] if len(left) == 3 else ZERO,
        "a_row": a.strides[-2],
        "a_inner": a.strides[-1],
        "b_batch": b.strides[0] if len(left) == 3 else ZERO,
        "b_inner": b.strides[-2],
        "b_column": b.strides[-1],
        "c_batch": m * n,
        "c_row": n,
    }


def amounts(names: Mapping[str, Size], sizes: Sizes) -> Callable[[Count], Size]:
    """What integer expressions of a plan are as sizes; each is worked out once."""
    known: dict[int, Size] = {}

    def amount(value: Count) -> Size:
        if isinstance(value, int):
            return Size.of(value)
        if isinstance(value, str):
            return names[value]
        found = known.get(id(value))
        if found is None:
            found = known[id(value)] = apply(value.name, [amount(a) for a in value.args])
        return found

    def apply(name: str, args: list[Size]) -> Size:
        if name == "add":
            return args[0] + args[1]
        if name == "sub":
            return args[0] - args[1]
        if name == "mul":
            return args[0] * args[1]
        return sizes.operation(name, *args)

    return amount
