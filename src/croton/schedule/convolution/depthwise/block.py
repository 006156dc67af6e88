"""The innermost loops: some neighbouring places of the result, for some vectors of channels.

Their sums stay in registers while the taps run.  Each tap reads its row of the filters once
and the source at each of the places.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)

ZERO = index(0)

#: Places that are reached from one address.
GROUP = 4


class Shape(NamedTuple):
    """Neighbouring places, vectors of channels at each of them, and lanes of a vector."""

    places: int
    vectors: int
    lanes: int


class Moves(NamedTuple):
    """What is added to go on to the next tap of each dimension, and to the next place.

    ``triple`` is three times ``place``.
    """

    source: tuple[Expr, Expr, Expr]
    filters: tuple[Expr, Expr, Expr]
    place: Expr
    triple: Expr
    result: Expr


class Start(NamedTuple):
    """Where the first place reads and writes, and its numbers of taps."""

    source: Expr
    filters: Expr
    result: Expr
    taps: tuple[Expr, Expr, Expr]


class Buffers(NamedTuple):
    """What is read and written."""

    source: Buffer
    filters: Buffer
    result: Buffer


def block(
    shape: Shape,
    buffers: Buffers,
    start: Start,
    moves: Moves,
    masks: tuple[Expr | None, ...],
    stored: tuple[Expr | None, ...],
) -> Body:
    """The block; ``masks`` are those of the vectors that are read, and ``stored`` of the result."""
    places, vectors, lanes = shape
    dtype = buffers.source.dtype
    sums = [[Var(f"sum{i}_{v}", dtype, lanes) for v in range(vectors)] for i in range(places)]
    body: list[Stmt] = [
        Local(s, const(0.0, dtype, lanes)) for place_sums in sums for s in place_sums
    ]
    near = (ZERO, moves.place, mul(moves.place, index(2)), moves.triple)
    groups = [Var(f"read{g}") for g in range(-(-places // GROUP))]
    row = Var("row_of_filters")
    read: list[Stmt] = []
    filters = [Var(f"filter{v}", dtype, lanes) for v in range(vectors)]
    read += [
        Let(f, Load(buffers.filters, add(row, index(v * lanes)), lanes, masks[v]))
        for v, f in enumerate(filters)
    ]
    for i, place_sums in enumerate(sums):
        at = add(groups[i // GROUP], near[i % GROUP])
        for v, s in enumerate(place_sums):
            x = Load(buffers.source, add(at, index(v * lanes)), lanes, masks[v])
            read.append(Assign(s, op("add", op("mul", x, filters[v]), s)))
    read += [Assign(g, add(g, moves.source[2])) for g in groups]
    read.append(Assign(row, add(row, moves.filters[2])))
    middle, at_middle = Var("read_middle"), Var("filters_middle")
    outer, at_outer = Var("read_outer"), Var("filters_outer")
    inner: Body = (
        *(
            Local(g, add(middle, mul(moves.place, index(GROUP * number))))
            for number, g in enumerate(groups)
        ),
        Local(row, at_middle),
        For(Var("tap_inner"), ZERO, start.taps[2], tuple(read)),
        Assign(middle, add(middle, moves.source[1])),
        Assign(at_middle, add(at_middle, moves.filters[1])),
    )
    across: Body = (
        Local(middle, outer),
        Local(at_middle, at_outer),
        For(Var("tap_middle"), ZERO, start.taps[1], inner),
        Assign(outer, add(outer, moves.source[0])),
        Assign(at_outer, add(at_outer, moves.filters[0])),
    )
    body += [
        Local(outer, start.source),
        Local(at_outer, start.filters),
        For(Var("tap_outer"), ZERO, start.taps[0], across),
    ]
    lines = [Var(f"write{i}") for i in range(places)]
    body += [
        Let(line, add(lines[i - 1], moves.result) if i else start.result)
        for i, line in enumerate(lines)
    ]
    body += [
        Store(buffers.result, add(line, index(v * lanes)), s, stored[v])
        for line, place_sums in zip(lines, sums, strict=True)
        for v, s in enumerate(place_sums)
    ]
    return tuple(body)
