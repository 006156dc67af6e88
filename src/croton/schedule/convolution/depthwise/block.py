"""The innermost loops: some neighbouring places of the result, for some vectors of channels.

Their sums stay in registers while the taps run.  Each tap reads its row of the filters once
and the source at each of the places.  Where the next tap reads what the next place does, some
taps are taken at once, so that each place is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op, shuffle, sub
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
    """Neighbouring places, vectors of channels at each of them, lanes of a vector, and of a group.

    A sum takes products with all lanes of its group.
    """

    places: int
    vectors: int
    lanes: int
    group: int


class Moves(NamedTuple):
    """What is added to go on to the next tap of each dimension, and to the next place.

    ``triples`` are three times ``place``, and what is added to go on in the filters along the
    last dimension.  ``inner`` leads to what the next lane of a group is multiplied with.
    """

    source: tuple[Expr, Expr, Expr]
    filters: tuple[Expr, Expr, Expr]
    place: Expr
    result: Expr
    triples: tuple[Expr, Expr]
    inner: Expr


class Taps(NamedTuple):
    """Taps of the last dimension that all places have: ``runs`` of :data:`RUN`, then single ones.

    There are runs only where the next tap reads what the next place does.
    """

    runs: Expr | None
    single: Expr


class Window(NamedTuple):
    """What places read along the last dimension that do not see all ``taps`` inside.

    Tap ``j`` of place ``i`` reads element ``i + j`` of the window, of which those in
    ``[low, high)`` are inside of the source.  There are at least as many taps as places but one.
    """

    low: Expr
    high: Expr
    taps: Expr


class Start(NamedTuple):
    """Where the first place reads and writes with its first tap, and which taps it has."""

    source: Expr
    filters: Expr
    result: Expr
    outer: Expr
    middle: Expr
    last: Taps | Window


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
    past: Expr | None = None,
) -> Body:
    """The block; ``masks`` are those of the vectors that are read, and ``stored`` of the result.

    Where ``past`` holds, what is stored without a mask goes past the caches.
    """
    return _Block(shape, buffers, moves, masks).body(start, stored, past)


def spread(x: Expr, group: int, c: int) -> Expr:
    """Lane ``c`` of each ``group`` of neighbouring lanes, in all of that group."""
    if group == 1:
        return x
    return shuffle(x, x, tuple(lane - lane % group + c for lane in range(x.lanes)))


class _Block:
    def __init__(
        self, shape: Shape, buffers: Buffers, moves: Moves, masks: Sequence[Expr | None]
    ) -> None:
        self.shape, self.buffers, self.moves, self.masks = shape, buffers, moves, masks
        places, vectors, lanes, _ = shape
        self.dtype = buffers.source.dtype
        self.sums = [
            [Var(f"sum{i}_{v}", self.dtype, lanes) for v in range(vectors)] for i in range(places)
        ]
        self.near = (ZERO, moves.place, mul(moves.place, index(2)), moves.triples[0])
        self.row = Var("row_of_filters")

    def body(self, start: Start, stored: Sequence[Expr | None], past: Expr | None) -> Body:
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
            *self.store(lines, stored, past),
        )

    def store(self, lines: list[Var], stored: Sequence[Expr | None], past: Expr | None) -> Body:
        """Store the sums."""

        def stores(past: bool) -> Body:
            return tuple(
                Store(
                    self.buffers.result,
                    add(line, index(v * self.shape.lanes)),
                    s,
                    stored[v],
                    nontemporal=past,
                )
                for line, place_sums in zip(lines, self.sums, strict=True)
                for v, s in enumerate(place_sums)
            )

        if past is None or stored[0] is not None:
            return stores(False)
        return (If(past, stores(True), stores(False)),)

    def middle(self, start: Start, outer: Expr, filters: Expr) -> Body:
        """The taps of the middle dimension."""
        moves = self.moves
        at, own = Var("read_middle"), Var("filters_middle")
        last = start.last
        body: Body = (
            *(self.window(last, at, own) if isinstance(last, Window) else self.taps(last, at, own)),
            Assign(at, add(at, moves.source[1])),
            Assign(own, add(own, moves.filters[1])),
        )
        loop = For(Var("tap_middle"), ZERO, start.middle, body)
        return (Local(at, outer), Local(own, filters), loop)

    def taps(self, taps: Taps, at: Expr, own: Expr) -> Body:
        """Taps of the last dimension that all places have."""
        places, moves = self.shape.places, self.moves
        number = places if taps.runs is None else places + RUN - 1
        groups = [Var(f"read{g}") for g in range(-(-number // GROUP))]
        runs: Body = ()
        if taps.runs is not None:
            runs = (For(Var("tap_run"), ZERO, taps.runs, self.run(groups)),)
        return (
            *(
                Local(g, add(at, mul(moves.place, index(GROUP * number))))
                for number, g in enumerate(groups)
            ),
            Local(self.row, own),
            *runs,
            For(Var("tap_inner"), ZERO, taps.single, self.single(groups)),
        )

    def window(self, window: Window, at: Expr, own: Expr) -> Body:
        """All of the window that is inside, element by element.

        First come those that the later places do not see, and last those that the earlier ones
        do not.
        """
        places, moves = self.shape.places, self.moves
        move, step = moves.source[2], moves.filters[2]
        steps = (ZERO, step, mul(step, index(2)), moves.triples[1])
        element, first, read, row = (Var(n) for n in ("element", "first", "read", "row"))
        behind, last = Var("read_behind"), Var("filters_behind")
        low, high, taps = window

        def inside(element: Expr) -> Expr:
            return op("and", op("le", low, element), op("lt", element, high))

        def part(element: Expr, at: Expr, begin: Expr, rows: dict[int, Expr]) -> If:
            """An element, for the places of ``rows``, whose rows of the filters those are."""
            return If(inside(element), self.element(at, begin, rows))

        body: list[Stmt] = []
        for e in range(places - 1):
            rows = {i: steps[e - i] for i in range(e + 1)}
            body.append(part(index(e), add(at, self.near[e]), own, rows))
        middle = self.element(read, row, {i: steps[places - 1 - i] for i in range(places)})
        body += [
            Let(first, op("maximum", low, index(places - 1))),
            Local(read, add(at, mul(first, move))),
            Local(row, add(own, mul(sub(first, index(places - 1)), step))),
            For(
                element,
                first,
                op("minimum", high, taps),
                (*middle, Assign(read, add(read, move)), Assign(row, add(row, step))),
            ),
            Let(behind, add(at, mul(taps, move))),
            Let(last, add(own, mul(sub(taps, index(places - 1)), step))),
        ]
        for e in range(places - 1):
            rows = {i: steps[places - 1 + e - i] for i in range(e + 1, places)}
            body.append(part(add(taps, index(e)), add(behind, self.near[e]), last, rows))
        return tuple(body)

    def element(self, at: Expr, begin: Expr, rows: dict[int, Expr]) -> Body:
        """One element of a window, for some places."""
        body: list[Stmt] = []
        lanes = self.shape.lanes
        for v, mask in enumerate(self.masks):
            x = Var(f"x_{v}", self.dtype, lanes)
            body.append(Let(x, Load(self.buffers.source, add(at, index(v * lanes)), lanes, mask)))
            for c in range(self.shape.group):
                inner = add(begin, mul(self.moves.inner, index(c)))
                for i, row in rows.items():
                    place = add(add(inner, row), index(v * lanes))
                    w = Load(self.buffers.filters, place, lanes, mask)
                    body.append(self.onto(self.sums[i][v], spread(x, self.shape.group, c), w))
        return tuple(body)

    def single(self, groups: list[Var]) -> Body:
        """One tap of the last dimension."""
        body: list[Stmt] = []
        rows = [self.filters(0, c, body) for c in range(self.shape.group)]
        for i, place_sums in enumerate(self.sums):
            for v, s in enumerate(place_sums):
                x = Var(f"x{i}_{v}", self.dtype, self.shape.lanes)
                body.append(Let(x, self.source(groups, i, v)))
                body += [
                    self.onto(s, spread(x, self.shape.group, c), row[v])
                    for c, row in enumerate(rows)
                ]
        used = groups[: -(-self.shape.places // GROUP)]
        return (*body, *self.go_on(used, 1))

    def run(self, groups: list[Var]) -> Body:
        """Some taps of the last dimension, of which each reads where the next place does."""
        places, vectors, lanes, group = self.shape
        body: list[Stmt] = []
        for c in range(group):
            rows = [self.filters(j, c, body) for j in range(RUN)]
            for i in range(places + RUN - 1):
                for v in range(vectors):
                    x = Var(f"x{i}_{v}", self.dtype, lanes)
                    if c == 0:
                        body.append(Let(x, self.source(groups, i, v)))
                    body += [
                        self.onto(self.sums[i - j][v], spread(x, self.shape.group, c), rows[j][v])
                        for j in range(RUN)
                        if 0 <= i - j < places
                    ]
        return (*body, *self.go_on(groups, RUN))

    def filters(self, tap: int, c: int, body: list[Stmt]) -> list[Var]:
        """The row of the filters of a tap and a lane of the group, which ``body`` loads."""
        lanes, moves = self.shape.lanes, self.moves
        names = [Var(f"filter{tap}_{c}_{v}", self.dtype, lanes) for v in range(self.shape.vectors)]
        where = Var(f"filter_at{tap}_{c}")
        at = add(self.row, add(mul(moves.filters[2], index(tap)), mul(moves.inner, index(c))))
        body.append(Let(where, at))
        for v, name in enumerate(names):
            place = add(where, index(v * lanes))
            body.append(Let(name, Load(self.buffers.filters, place, lanes, self.masks[v])))
        return names

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
