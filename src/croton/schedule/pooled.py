"""What a pooling takes of a convolution, part by part while it is in the cache.

The kernel made here has the layout of :mod:`croton.schedule.convolution.region`: it is called for
a part of the convolution's result, finds that in a tile, and stores what the group computes from
the windows that lie in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import Allocate, Buffer, Expr, For, Function, Let, Load, Stmt, Var
from croton.schedule.convolution import region
from croton.schedule.convolutions import pooled_value
from croton.schedule.elements import Arguments, Elements, Index
from croton.schedule.epilogue import stores
from croton.schedule.group import Group
from croton.schedule.product import tile
from croton.schedule.sizes import ONE, Size, Sizes
from croton.schedule.versions import versions


def pooling_kernel(
    group: Group,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    stored: Sequence[Variable],
    error_of: Callable[[Any], int],
    in_place: Collection[Variable],
) -> tuple[Function, tuple[Any, ...], tuple[Size, ...]]:
    """The kernel, the keys of its buffers, and its sizes."""
    arguments = Arguments()
    members = set(group.members)
    elements = Elements(sizes, arguments, lambda v: None if v in members else memory(v))
    y = group.members[0]
    dtype: str = y.type.dtype  # type: ignore[attr-defined]
    image, row, place, column = (Var(n) for n in ("image", "row", "place", "column"))
    number = {name: Var(name if name.startswith("n") else f"{name}_") for name in region.NUMBERS}
    part, leading = Buffer("tile", dtype, 64), build.index(tile.LEADING[dtype])

    def in_tile(index: Index) -> Expr:
        n, p1, p2, channel = index
        at = build.mul(build.sub(n, Var("lo")), number["image"])
        at = build.add(at, build.mul(build.sub(p1, number["place1"]), number["row"]))
        at = build.add(at, build.mul(build.sub(p2, number["place2"]), leading))
        return elements.masked(part, build.add(at, build.sub(channel, number["n0"])))

    elements.bind(y, in_tile)
    assert group.pool is not None
    align = group.pool.align
    axes = dict(zip(align[pooled_value(group.pool)], (image, row, place, column), strict=True))

    def index_of(v: Variable) -> Index:
        zero = build.index(0)
        return tuple(
            zero if a is None or s == ONE else axes[a]
            for a, s in zip(align[v], sizes.shape(v), strict=True)
        )

    before, inside, after = stores(elements, stored, index_of, error_of, in_place)
    fresh = iter(range(1 << 30))
    columns = versions(
        For(column, number["n0"], number["n1"], inside, "vector"),
        lambda name: f"{name}{next(fresh)}",
    )
    body: tuple[Stmt, ...] = columns
    for d, v in ((2, place), (1, row)):
        body = (For(v, number[f"first{d}"], number[f"end{d}"], body),)
    header = Buffer("header", "int64", 64)
    numbers = (Let(v, Load(header, build.index(k))) for k, v in enumerate(number.values()))
    function = Function(
        "kernel",
        tuple(arguments.buffers.values()),
        tuple(arguments.sizes.values()),
        (
            Allocate(header, build.index(region.HEADER)),
            *numbers,
            Allocate(part, build.index(region.TILE)),
            *before,
            For(image, Var("lo"), Var("hi"), body),
            *after,
        ),
        True,
    )
    return function, tuple(arguments.buffers), tuple(arguments.sizes)
