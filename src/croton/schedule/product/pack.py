"""Copying a part of a factor so that the innermost loop reads it in order."""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, broadcast, cast, index, mul, op, ramp, shuffle, sub
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Prefetch,
    Store,
    Var,
)
from croton.schedule.product.tiling import Tiling


class Source(NamedTuple):
    """Element (i, k) of the part is ``buffer[start + i * across + k * along]``."""

    buffer: Buffer
    start: Expr
    across: Expr
    along: Expr
    present: Expr
    depth: Expr


class Copy(NamedTuple):
    """Element (i, k) of the copy is ``buffer[start + k * pitch + i]`` for i below ``width``.

    Elements that the source does not have hold anything.  Up to a vector's lanes
    of rows beyond the source's depth may be written.
    """

    buffer: Buffer
    start: Expr
    pitch: Expr
    width: Expr


#: Vectors of each line of the source that are transposed before the next lines are.
PIECE = 4

GROUP, K = Var("pack_group"), Var("pack_k")
THERE = "pack_there"


def pack(t: Tiling, source: Source, copy: Copy) -> Body:
    """Make the copy."""
    turned = op("eq", source.along, index(1))
    return (If(turned, _turned(t, source, copy), pack_apart(t, source, copy)),)


def pack_apart(t: Tiling, source: Source, copy: Copy) -> Body:
    """Make the copy, of a source whose elements of a row are apart."""
    straight = op("eq", source.across, index(1))
    return (If(straight, _straight(t, source, copy), _gathered(t, source, copy)),)


def below(limit: Expr, start: Expr, lanes: int) -> Expr:
    """Which of ``start, start + 1, ...`` are below ``limit``."""
    rest = op("minimum", sub(limit, start), index(lanes))
    return op("lt", ramp(Const(0, "int32"), lanes), broadcast(cast(rest, "int32"), lanes))


def _groups(copy: Copy, size: int, body: Body) -> Body:
    """Run ``body`` for each ``size`` columns of the copy.

    From the last to the first: what reaches into the next row is written over.
    """
    back, number = Var("pack_back"), op("floordiv", add(copy.width, index(size - 1)), index(size))
    group = mul(sub(sub(number, index(1)), back), index(size))
    return (For(back, index(0), number, (Let(GROUP, group), *body)),)


def _rows(t: Tiling, source: Source, copy: Copy, at: Expr, mask: Expr | None) -> Body:
    """Copy a vector ``at`` some place (or places) of each row."""
    place, to = Var("pack_from", "int64", at.lanes), Var("pack_to")
    body: Body = (
        Store(copy.buffer, to, Load(source.buffer, place, t.lanes, mask)),
        Assign(place, op("add", place, source.along)),
        Assign(to, add(to, copy.pitch)),
    )
    return (
        Local(place, at),
        Local(to, add(copy.start, GROUP)),
        For(K, index(0), source.depth, body),
    )


def _straight(t: Tiling, source: Source, copy: Copy) -> Body:
    """Neighbours in the source are neighbours in the copy."""
    there = Var(THERE, "bool", t.lanes)
    at = add(source.start, GROUP)
    masked: Body = (
        Let(there, below(source.present, GROUP, t.lanes)),
        *_rows(t, source, copy, at, there),
    )
    if t.masks:
        return _groups(copy, t.lanes, masked)
    whole = op("le", add(GROUP, index(t.lanes)), source.present)
    return _groups(copy, t.lanes, (If(whole, _rows(t, source, copy, at, None), masked),))


def _gathered(t: Tiling, source: Source, copy: Copy) -> Body:
    there = Var(THERE, "bool", t.lanes)
    first = op("add", op("mul", ramp(GROUP, t.lanes), source.across), source.start)
    body: Body = (
        Let(there, below(source.present, GROUP, t.lanes)),
        *_rows(t, source, copy, first, there),
    )
    return _groups(copy, t.lanes, body)


def _turned(t: Tiling, source: Source, copy: Copy) -> Body:
    """Neighbours in the source come under each other: squares of 16 bytes, transposed."""
    lanes, side = t.lanes, 16 // t.itemsize
    mask, last = Var(THERE, "bool", lanes), sub(source.present, index(1))
    lines = [Var(f"pack_line{i}") for i in range(side)]
    values = [Var(f"pack_value{i}", t.dtype, lanes) for i in range(side)]
    turned = [Var(f"pack_turned{i}", t.dtype, lanes) for i in range(side)]
    places = [Var(f"pack_place{i}") for i in range(lanes)]
    to, first, stop = Var("pack_to"), Var("pack_first"), Var("pack_stop")
    square: Body = (
        Let(mask, below(source.depth, K, lanes)),
        *(Prefetch(source.buffer, add(line, add(K, index(PIECE * lanes)))) for line in lines),
        *(
            Let(value, Load(source.buffer, add(line, K), lanes, mask))
            for value, line in zip(values, lines, strict=True)
        ),
        *(Let(v, e) for v, e in zip(turned, transpose(list(values), side), strict=True)),
        *(
            Let(place, add(places[i - 1], copy.pitch) if i else to)
            for i, place in enumerate(places)
        ),
        *(
            Store(copy.buffer, place, part(turned[i % side], i - i % side, side))
            for i, place in enumerate(places)
        ),
        Assign(to, add(places[-1], copy.pitch)),
    )
    # Lines that are not there are read as the last one that is.
    rows = [op("minimum", add(GROUP, index(i)), last) for i in range(side)]
    group: Body = (
        *(
            Let(line, add(source.start, mul(row, source.across)))
            for line, row in zip(lines, rows, strict=True)
        ),
        Local(to, add(add(copy.start, GROUP), mul(first, copy.pitch))),
        For(K, first, stop, square, step=index(lanes)),
    )
    # So few steps at a time that the rows of the copy stay in the first cache.  The next
    # ones are asked for: no hardware follows so many lines at once.
    steps: Body = (
        Let(stop, op("minimum", add(first, index(PIECE * lanes)), source.depth)),
        *_groups(copy, side, group),
    )
    return (For(first, index(0), source.depth, steps, step=index(PIECE * lanes)),)


def part(value: Expr, start: int, lanes: int) -> Expr:
    """So many lanes of ``value`` from ``start``."""
    return shuffle(value, value, tuple(range(start, start + lanes)))


def transpose(rows: list[Expr], side: int) -> list[Expr]:
    """Transpose each of the squares that ``side`` rows are made of, side by side."""
    lanes = rows[0].lanes
    rows = list(rows)
    step = 1
    while step < side:
        low = tuple(lanes + i - step if i & step else i for i in range(lanes))
        high = tuple(lanes + i if i & step else i + step for i in range(lanes))
        for i in range(side):
            if not i & step:
                a, b = rows[i], rows[i + step]
                rows[i], rows[i + step] = shuffle(a, b, low), shuffle(a, b, high)
        step *= 2
    return rows
