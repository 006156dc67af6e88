"""Transforming tiles: of the image and of the gradient before their products, of these back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, broadcast, const, index, mul, op, sub
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Prefetch,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.direct_filters.shape import Shape
from croton.schedule.convolution.winograd.geometry import SIZE, begin
from croton.schedule.convolution.winograd.matrices import Matrix
from croton.schedule.convolution.winograd.transforms import transform
from croton.schedule.product.pack import below
from croton.schedule.product.strips import ZERO

#: The tile, and the first one of a chunk, by its image and its place in that.
TILE, TILES = Var("tile"), Var("tiles_there")
FIRST = tuple(Var(f"first_{name}") for name in ("image", "down", "across"))


class Source(NamedTuple):
    """Element (n, i, j, c) is ``buffer[((n * high + i) * wide + j) * pitch + start + c]``.

    There are ``present`` channels.  Tile (0, 0) begins ``above`` and ``left`` of place (0, 0);
    the places of a tile are ``apart``.
    """

    name: str
    buffer: Buffer
    high: Expr
    wide: Expr
    pitch: Expr
    start: Expr
    present: Expr
    above: Expr
    left: Expr
    apart: tuple[Expr, Expr]


class Spread(NamedTuple):
    """Element (point, tile, c) is ``buffer[point * apart + tile * pitch + c]``."""

    buffer: Buffer
    apart: Expr
    pitch: Expr


def spread(
    t: Shape,
    grid: tuple[Expr, Expr],
    rows: Matrix,
    columns: Matrix,
    source: Source,
    to: Spread,
) -> Body:
    """Transform ``TILES`` tiles: ``rows`` times each, times the transpose of ``columns``.

    There are ``grid`` tiles in an image, which begin where
    :func:`croton.schedule.convolution.winograd.geometry.begin` says.  What is outside counts as
    zeros.
    """
    name, reach = source.name, len(columns[0])
    side, fresh = SIZE["side"], min(reach, len(columns) - 2)
    lanes, dtype = t.lanes, t.dtype
    image, down, across = (Var(f"{name}_{n}") for n in ("image", "down", "across"))
    top, left, line = Var(f"{name}_top"), Var(f"{name}_left"), Var(f"{name}_line")
    corner, channel, place = (Var(f"{name}_{n}") for n in ("corner", "channel", "to"))
    row_pitch, pitch = Var(f"{name}_row_pitch"), Var(f"{name}_pitch")
    row_there = [Var(f"{name}_row{r}", "bool") for r in range(reach)]
    column_there = [Var(f"{name}_column{q}", "bool") for q in range(reach)]
    shown = [Var(f"{name}_shown{r}", "bool", lanes) for r in range(reach)]
    mask = Var(f"{name}_lanes", "bool", lanes)
    kept = [[Var(f"{name}_d{r}_{q}", dtype, lanes) for q in range(reach)] for r in range(len(rows))]

    def there(start: Expr, at: int, apart: Expr, extent: Expr) -> Expr:
        value = add(start, mul(apart, index(at)))
        return op("and", op("ge", value, ZERO), op("lt", value, extent))

    vector: list[Stmt] = [
        Let(mask, below(source.present, channel, lanes)),
        *(
            Let(v, op("and", broadcast(flag, lanes), mask))
            for v, flag in zip(shown, row_there, strict=True)
        ),
    ]
    for q in range(reach):
        values = [Var(f"{name}_x{r}_{q}", dtype, lanes) for r in range(reach)]
        at = Var(f"{name}_at{q}")
        reads: list[Stmt] = [Let(at, add(add(corner, mul(pitch, index(q))), channel))]
        reads += [
            Let(value, Load(source.buffer, add(at, mul(row_pitch, index(r))), lanes, shown[r]))
            for r, value in enumerate(values)
        ]
        if q < fresh:
            # A later line of tiles needs these places of later rows.
            reads += [
                Prefetch(source.buffer, add(at, mul(row_pitch, add(side, index(r)))), level=2)
                for r in range(reach - fresh, reach)
            ]
        lines, results = transform(rows, values, f"{name}_a{q}_")
        reads += lines
        reads += [Assign(k[q], value) for k, value in zip(kept, results, strict=True)]
        vector += [Local(k[q], const(0.0, dtype, lanes)) for k in kept]
        vector.append(If(column_there[q], tuple(reads)))
    for r, row in enumerate(kept):
        lines, results = transform(columns, row, f"{name}_b{r}_")
        vector += lines
        for q, value in enumerate(results):
            point = index(r * len(columns) + q)
            vector.append(Store(to.buffer, add(add(place, mul(to.apart, point)), channel), value))
    body: Body = (
        Let(top, sub(begin(down, source.apart[0]), source.above)),
        Let(left, sub(begin(across, source.apart[1]), source.left)),
        *(Let(v, there(top, r, source.apart[0], source.high)) for r, v in enumerate(row_there)),
        *(Let(v, there(left, q, source.apart[1], source.wide)) for q, v in enumerate(column_there)),
        Let(line, add(mul(image, source.high), top)),
        Let(corner, add(mul(add(mul(line, source.wide), left), source.pitch), source.start)),
        Let(place, mul(TILE, to.pitch)),
        For(channel, ZERO, source.present, tuple(vector), step=index(lanes)),
        Assign(across, add(across, index(1))),
        If(
            op("eq", across, grid[1]),
            (
                Assign(across, ZERO),
                Assign(down, add(down, index(1))),
                If(
                    op("eq", down, grid[0]),
                    (Assign(down, ZERO), Assign(image, add(image, index(1)))),
                ),
            ),
        ),
    )
    return (
        Let(row_pitch, mul(mul(source.wide, source.pitch), source.apart[0])),
        Let(pitch, mul(source.pitch, source.apart[1])),
        *(Local(v, first) for v, first in zip((image, down, across), FIRST, strict=True)),
        For(TILE, ZERO, TILES, body),
    )


class Goal(NamedTuple):
    """Element (i, j, c, f) is ``buffer[start + i * row + j * column + c * pitch + f]``.

    Stored are the lanes of ``mask``, or whole vectors.
    """

    buffer: Buffer
    start: Expr
    row: Expr
    column: Expr
    pitch: Expr
    mask: Var | None


def gather(
    t: Shape,
    rows: Matrix,
    columns: Matrix,
    products: Spread,
    extents: tuple[Expr, Expr],
    earlier: Goal | None,
    goal: Goal,
) -> Body:
    """``rows`` times the products of each channel and filter, times ``columns`` transposed.

    The products' tiles are channels here; ``extents`` are of channels and filters.  What is at
    ``earlier`` is added.
    """
    lanes, dtype = t.lanes, t.dtype
    channel, vector, source = (Var(f"g_{n}") for n in ("channel", "filter", "from"))
    body: list[Stmt] = [Let(source, add(mul(channel, products.pitch), vector))]
    if goal.mask is not None:
        body.append(Let(goal.mask, below(extents[1], vector, lanes)))
    found: list[Sequence[Expr]] = []
    points = len(columns[0])
    for r in range(len(rows[0])):
        values = [Var(f"g_m{r}_{q}", dtype, lanes) for q in range(points)]
        for q, value in enumerate(values):
            at = add(source, mul(products.apart, index(r * points + q)))
            body.append(Let(value, Load(products.buffer, at, lanes)))
        lines, results = transform(columns, values, f"g_a{r}_")
        body += lines
        found.append(results)

    def corner(place: Goal) -> Expr:
        return add(add(place.start, mul(channel, place.pitch)), vector)

    to, before = Var("g_to"), Var("g_before")
    body.append(Let(to, corner(goal)))
    if earlier is not None:
        body.append(Let(before, corner(earlier)))
    for q in range(len(columns)):
        lines, results = transform(rows, [line[q] for line in found], f"g_b{q}_")
        body += lines
        for r, result in enumerate(results):
            total = result
            if earlier is not None:
                at = add(before, _place(earlier, r, q))
                total = add(result, Load(earlier.buffer, at, lanes))
            body.append(Store(goal.buffer, add(to, _place(goal, r, q)), total, goal.mask))
    inner = For(vector, ZERO, extents[1], tuple(body), step=index(lanes))
    return (For(channel, ZERO, extents[0], (inner,)),)


def _place(goal: Goal, row: int, column: int) -> Expr:
    return add(mul(goal.row, index(row)), mul(goal.column, index(column)))
