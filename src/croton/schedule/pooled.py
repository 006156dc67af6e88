"""What a pooling takes of a convolution, part by part while it is in the cache.

The kernel made here has the layout of :mod:`croton.schedule.convolution.region`: it is called for
a part of the convolution's result, finds that in a tile, stores of it what others read, and then
what the group computes from the windows that lie in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import Allocate, Body, Buffer, Expr, For, Function, Let, Load, Stmt, Var
from croton.schedule.convolution import region
from croton.schedule.convolutions import pooled_value
from croton.schedule.elements import Arguments, Elements, Index
from croton.schedule.epilogue import stores
from croton.schedule.group import Alignment, Group
from croton.schedule.product import tile
from croton.schedule.sizes import ONE, Size, Sizes
from croton.schedule.versions import versions

_IMAGE, _ROW, _PLACE, _COLUMN = _AXES = tuple(Var(n) for n in ("image", "row", "place", "column"))
_NUMBER = {
    name: Var(name if name.startswith("n") else f"{name}_") for name in region.NUMBERS
}  # fmt: skip


def pooling_kernel(
    group: Group,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    stored: Sequence[Variable],
    error_of: Callable[[Any], int],
    in_place: Collection[Variable],
) -> tuple[Function, tuple[Any, ...], tuple[Size, ...]]:
    """The kernel, the keys of its buffers, and its sizes."""
    assert group.pool is not None
    y, z, members = group.members[0], pooled_value(group.pool), set(group.members)
    arguments = Arguments()
    elements = Elements(sizes, arguments, lambda v: None if v in members else memory(v))
    part = Buffer("tile", y.type.dtype, 64)  # type: ignore[attr-defined]
    elements.bind(y, lambda index: elements.masked(part, _in_tile(part, index)))
    of_places = [v for v in stored if v not in group.pool.members]
    of_pools = [v for v in stored if v in group.pool.members]
    before: list[Stmt] = []
    after: list[Stmt] = []
    loops: list[Stmt] = []

    def store(some: Sequence[Variable], align: Mapping[Variable, Alignment], first: Alignment,
              ranges: Sequence[tuple[Expr, Expr]]) -> None:  # fmt: skip
        """Loops that store ``some``, whose axes are those that ``first`` has in the tile."""
        axes = dict(zip(first, _AXES, strict=True))

        def index_of(v: Variable) -> Index:
            return tuple(
                build.index(0) if a is None or s == ONE else axes[a]
                for a, s in zip(align[v], sizes.shape(v), strict=True)
            )

        opening, inside, closing = stores(elements, some, index_of, error_of, in_place)
        before.extend(opening)
        after.extend(closing)
        columns = For(_COLUMN, _NUMBER["n0"], _NUMBER["n1"], inside, "vector")
        body: Body = versions(columns, lambda name: f"{name}{len(loops)}")
        for v, limits in zip((_PLACE, _ROW), reversed(ranges), strict=True):
            body = (For(v, *limits, body),)
        loops.extend(body)

    spans: list[tuple[Expr, Expr]] = [(_NUMBER[f"first{d}"], _NUMBER[f"end{d}"]) for d in (1, 2)]
    if group.stores_unpooled:
        op: Any = z.owner.op  # type: ignore[union-attr]
        steps = [build.index(s) for s in op.strides[:2]]
        ends = [arguments.size(n) for n in sizes.shape(y)[1:3]]
        places = [
            (build.mul(first, s), build.op("minimum", build.mul(end, s), n))
            for (first, end), s, n in zip(spans, steps, ends, strict=True)
        ]
        store(of_places, group.align, tuple(range(len(_AXES))), places)
        for v in of_places:
            elements.bind(v, lambda index, v=v: _stored(elements, v, index))  # type: ignore[misc]
        counts = [arguments.size(n) for n in sizes.shape(z)[1:3]]
        spans = [(first, build.op("minimum", end, n))
                 for (first, end), n in zip(spans, counts, strict=True)]  # fmt: skip
    store(of_pools, group.pool.align, group.pool.align[z], spans)
    header = Buffer("header", "int64", 64)
    function = Function(
        "kernel",
        tuple(arguments.buffers.values()),
        tuple(arguments.sizes.values()),
        (
            Allocate(header, build.index(region.HEADER)),
            *(Let(v, Load(header, build.index(k))) for k, v in enumerate(_NUMBER.values())),
            Allocate(part, build.index(region.TILE)),
            *before,
            For(_IMAGE, Var("lo"), Var("hi"), tuple(loops)),
            *after,
        ),
        True,
    )
    return function, tuple(arguments.buffers), tuple(arguments.sizes)


def _in_tile(part: Buffer, index: Index) -> Expr:
    """Where an element of the convolution's result is in the tile."""
    image, p1, p2, channel = index
    at = build.mul(build.sub(image, Var("lo")), _NUMBER["image"])
    at = build.add(at, build.mul(build.sub(p1, _NUMBER["place1"]), _NUMBER["row"]))
    leading = build.index(tile.LEADING[part.dtype])
    at = build.add(at, build.mul(build.sub(p2, _NUMBER["place2"]), leading))
    return build.add(at, build.sub(channel, _NUMBER["n0"]))


def _stored(elements: Elements, v: Variable, index: Index) -> Expr:
    """An element that this kernel has stored."""
    dtype: str = v.type.dtype  # type: ignore[attr-defined]
    return elements.load(v, dtype, elements.flat(v, index))
