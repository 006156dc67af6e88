"""The innermost loops: some neighbouring places of the result, for some vectors of channels.

Their sums stay in registers while the taps run.  Each tap reads its row of the filters once
and the source at each of the places.  Where the next tap reads what the next place does, some
taps are taken at once, so that each place is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
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
#: Taps that are taken at once.
RUN = 3


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
    """Where the first place reads and writes, and how many taps it has.

    The last dimension has ``runs`` of :data:`RUN` taps and ``single`` ones behind them.
    """

    source: Expr
    filters: Expr
    result: Expr
    outer: Expr
    middle: Expr
    runs: Expr | None
    single: Expr


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
    masks: Sequence[Expr | None],
    stored: Sequence[Expr | None],
) -> Body:
    """The block; ``masks`` are those of the vectors that are read, and ``stored`` of the result."""
    return _Block(shape, buffers, moves, masks).body(start, stored)


class _Block:
    def __init__(
        self, shape: Shape, buffers: Buffers, moves: Moves, masks: Sequence[Expr | None]
    ) -> None:
        self.shape, self.buffers, self.moves, self.masks = shape, buffers, moves, masks
        places, vectors, lanes = shape
        self.dtype = buffers.source.dtype
        self.sums = [
            [Var(f"sum{i}_{v}", self.dtype, lanes) for v in range(vectors)] for i in range(places)
        ]
        self.near = (ZERO, moves.place, mul(moves.place, index(2)), moves.triple)
        self.row = Var("row_of_filters")

    def body(self, start: Start, stored: Sequence[Expr | None]) -> Body:
        """All of it."""
        lanes, moves = self.shape.lanes, self.moves
        lines = [Var(f"write{i}") for i in range(self.shape.places)]
        zero = const(0.0, self.dtype, lanes)
        outer, filters = Var("read_outer"), Var("filters_outer")
        across: Body = (
            *self.middle(start, outer, filters),
            Assign(outer, add(outer, moves.source[0])),
            Assign(filters, add(filters, moves.filters[0])),
        )
        return (
            *(Local(s, zero) for place_sums in self.sums for s in place_sums),
            Local(outer, start.source),
            Local(filters, start.filters),
            For(Var("tap_outer"), ZERO, start.outer, across),
            *(
                Let(line, add(lines[i - 1], moves.result) if i else start.result)
                for i, line in enumerate(lines)
            ),
            *(
                Store(self.buffers.result, add(line, index(v * lanes)), s, stored[v])
                for line, place_sums in zip(lines, self.sums, strict=True)
                for v, s in enumerate(place_sums)
            ),
        )

    def middle(self, start: Start, outer: Expr, filters: Expr) -> Body:
        """The taps of the middle dimension."""
        moves = self.moves
        at, own = Var("read_middle"), Var("filters_middle")
        number = self.shape.places if start.runs is None else self.shape.places + RUN - 1
        groups = [Var(f"read{g}") for g in range(-(-number // GROUP))]
        runs: Body = ()
        if start.runs is not None:
            runs = (For(Var("tap_run"), ZERO, start.runs, self.run(groups)),)
        body: Body = (
            *(
                Local(g, add(at, mul(moves.place, index(GROUP * number))))
                for number, g in enumerate(groups)
            ),
            Local(self.row, own),
            *runs,
            For(Var("tap_inner"), ZERO, start.single, self.single(groups)),
            Assign(at, add(at, moves.source[1])),
            Assign(own, add(own, moves.filters[1])),
        )
        return (
            Local(at, outer),
            Local(own, filters),
            For(Var("tap_middle"), ZERO, start.middle, body),
        )

    def single(self, groups: list[Var]) -> Body:
        """One tap of the last dimension."""
        names, body = self.filters(0, self.row)
        for i, place_sums in enumerate(self.sums):
            for v, s in enumerate(place_sums):
                body.append(self.onto(s, self.source(groups, i, v), names[v]))
        used = groups[: -(-self.shape.places // GROUP)]
        return (*body, *self.go_on(used, 1))

    def run(self, groups: list[Var]) -> Body:
        """Some taps of the last dimension, of which each reads where the next place does."""
        places, vectors, lanes = self.shape
        body: list[Stmt] = []
        rows: list[list[Var]] = []
        for j in range(RUN):
            names, loads = self.filters(j, add(self.row, mul(self.moves.filters[2], index(j))))
            rows.append(names)
            body += loads
        for i in range(places + RUN - 1):
            for v in range(vectors):
                x = Var(f"x{i}_{v}", self.dtype, lanes)
                body.append(Let(x, self.source(groups, i, v)))
                body += [
                    self.onto(self.sums[i - j][v], x, rows[j][v])
                    for j in range(RUN)
                    if 0 <= i - j < places
                ]
        return (*body, *self.go_on(groups, RUN))

    def filters(self, number: int, at: Expr) -> tuple[list[Var], list[Stmt]]:
        """A row of the filters."""
        lanes = self.shape.lanes
        names = [Var(f"filter{number}_{v}", self.dtype, lanes) for v in range(self.shape.vectors)]
        where = Var(f"filter_at{number}")
        body: list[Stmt] = [Let(where, at)]
        for v, name in enumerate(names):
            place = add(where, index(v * lanes))
            body.append(Let(name, Load(self.buffers.filters, place, lanes, self.masks[v])))
        return names, body

    def source(self, groups: list[Var], i: int, v: int) -> Expr:
        """What is read for place ``i``."""
        at = add(groups[i // GROUP], self.near[i % GROUP])
        lanes = self.shape.lanes
        return Load(self.buffers.source, add(at, index(v * lanes)), lanes, self.masks[v])

    def onto(self, s: Var, x: Expr, row: Expr) -> Assign:
        """Add a product."""
        return Assign(s, op("add", op("mul", x, row), s))

    def go_on(self, groups: list[Var], taps: int) -> Body:
        """To the next taps."""
        move, own = (mul(m[2], index(taps)) for m in (self.moves.source, self.moves.filters))
        return (*(Assign(g, add(g, move)) for g in groups), Assign(self.row, add(self.row, own)))
