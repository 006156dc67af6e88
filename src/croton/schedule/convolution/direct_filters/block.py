"""The innermost loops: a block of the result in registers, summed over lines of places.

The rows of a block are neighbours in the image, its columns neighbouring filters.  At each
place the elements of the image are read one by one into all lanes, the result's gradient as
vectors.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, broadcast, const, index, mul, op, select
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
from croton.schedule.convolution.direct_filters.shape import ENTRY, Shape


class Lines(NamedTuple):
    """``number`` lines of places, whose starts and lengths a ``table`` tells (see ``ENTRY``)."""

    table: Buffer
    number: Expr


class Image(NamedTuple):
    """Row i of a line's place p is ``buffer[line + start + p * pitch + i]``."""

    buffer: Buffer
    start: Expr
    pitch: Expr


class Gradient(NamedTuple):
    """Column j of place p is ``buffer[start + p * pitch + j]``."""

    buffer: Buffer
    start: Expr
    pitch: Expr


class Ahead(NamedTuple):
    """At each place, what is ``offset`` behind its beginning in ``buffer`` is asked for.

    That is the gradient's buffer, if ``later`` holds, or else the image's.  Where ``walks``
    holds, what is asked for begins at ``start``, with ``pitch`` from each place to the next.
    """

    buffer: Buffer
    later: Expr
    offset: Expr
    walks: Expr
    start: Expr
    pitch: Expr


class Target(NamedTuple):
    """Element (i, j) of the block is ``buffer[start + i * pitch + j]``.

    Where ``adds`` holds, the sums are added to what is there.
    """

    buffer: Buffer
    start: Expr
    pitch: Expr
    adds: Expr


def block(
    t: Shape,
    height: int,
    vectors: int,
    lines: Lines,
    x: Image,
    y: Gradient,
    target: Target,
    ahead: Ahead | None = None,
) -> Body:
    """One block of the result."""
    lanes = t.lanes
    sums = [[Var(f"s{i}_{v}", t.dtype, lanes) for v in range(vectors)] for i in range(height)]
    flat = [s for row in sums for s in row]
    line, place, places = Var("line"), Var("place"), Var("line_places")
    x_at, y_at = Var("x_at"), Var("y_at")
    columns = [Var(f"column{v}", t.dtype, lanes) for v in range(vectors)]
    step: list[Stmt] = [
        Let(column, Load(y.buffer, add(y_at, index(v * lanes)), lanes))
        for v, column in enumerate(columns)
    ]
    for i, row in enumerate(sums):
        element = broadcast(Load(x.buffer, add(x_at, index(i))), lanes)
        step += [
            Assign(s, op("add", op("mul", element, column), s))
            for s, column in zip(row, columns, strict=True)
        ]
    step += [
        Assign(x_at, add(x_at, x.pitch)),
        Assign(y_at, add(y_at, y.pitch)),
    ]
    asked: list[Stmt] = []
    walk: Body = ()
    if ahead is not None:
        ask_at, ask_pitch = Var("ask_at"), Var("ask_pitch")
        beside = add(select(ahead.later, y_at, x_at), ahead.offset)
        walk = (
            Local(ask_at, ahead.start),
            Let(ask_pitch, select(ahead.walks, ahead.pitch, select(ahead.later, y.pitch, x.pitch))),
        )
        asked = [Assign(ask_at, select(ahead.walks, ask_at, beside))]
        step += [
            Prefetch(ahead.buffer, ask_at, level=2),
            Assign(ask_at, add(ask_at, ask_pitch)),
        ]
    entry = mul(line, index(ENTRY))
    one_line: Body = (
        Local(x_at, add(Load(lines.table, entry), x.start)),
        Local(y_at, add(mul(Load(lines.table, add(entry, index(1))), y.pitch), y.start)),
        *asked,
        Let(places, Load(lines.table, add(entry, index(2)))),
        For(place, index(0), places, tuple(step)),
    )
    starts = [Var(f"target{i}") for i in range(height)]
    there = [
        (s, add(start, index(v * lanes)))
        for start, row in zip(starts, sums, strict=True)
        for v, s in enumerate(row)
    ]
    more = tuple(Assign(s, op("add", s, Load(target.buffer, at, lanes))) for s, at in there)
    return (
        *(Local(s, const(0.0, t.dtype, lanes)) for s in flat),
        *walk,
        For(line, index(0), lines.number, one_line),
        *(
            Let(start, add(starts[i - 1], target.pitch) if i else target.start)
            for i, start in enumerate(starts)
        ),
        If(target.adds, more),
        *(Store(target.buffer, at, s) for s, at in there),
    )
