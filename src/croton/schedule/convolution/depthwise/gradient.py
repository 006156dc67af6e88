"""The kernels of the filters kind: for each tap and channel a sum over all places.

An item sums over its lines into its own part, line by line: for some vectors of channels and
some taps the sums of a line stay in registers.  The parts are added in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.depthwise.block import RUN
from croton.schedule.convolution.depthwise.choice import Tiling
from croton.schedule.convolution.depthwise.dimensions import (
    ONE,
    ZERO,
    Reach,
    ceil,
    clip,
    dimensions,
    floor,
    reach,
)
from croton.schedule.convolution.depthwise.walk import (
    AT0,
    AT1,
    C0,
    C1,
    CHANNELS,
    IMAGE,
    LINE,
    LINE0,
    LINE1,
    PART,
    PLACE0,
    PLACE1,
    WALK_SIZES,
    C,
    item_of,
    next_line,
)
from croton.schedule.product.pack import below

#: Places that are taken at once.
PLACES = 4

#: Sizes of the kernel that adds the parts: elements of one, and how many there are.
SUM_SIZES = ("elements", "parts")
#: Elements of an item of that kernel.
CHUNK = 4096

#: Where the line begins in both arrays, and where the part does.
X_LINE, Y_LINE, SUMS = Var("x_line"), Var("y_line"), Var("sums_at")


class Places(NamedTuple):
    """Places of a line, from the first one on; ``several`` of them are taken at once."""

    first: Expr
    several: Expr
    single: Expr


def gradient_kernel(t: Tiling) -> Function:
    """The kernel that computes the parts."""
    return _Gradient(t).function()


class _Gradient:
    def __init__(self, t: Tiling) -> None:
        self.t = t
        self.x, self.y, self.out = (Buffer(n, t.dtype) for n in ("x", "y", "parts"))
        table = Buffer("classes", "int64")
        self.table = table
        self.fill, self.dimensions = dimensions(True, table)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        d0, d1, d2 = self.dimensions
        row, channels = Var("x_row"), CHANNELS
        every = mul(mul(Var("k0"), Var("k1")), Var("k2"))
        tap, c = Var("zero_tap"), Var("zero_c")
        zero = const(0.0, self.t.dtype, self.t.lanes)
        mask = below(C1, c, self.t.lanes)
        clear: Body = (
            For(
                c,
                C0,
                C1,
                (Store(self.out, add(add(SUMS, mul(tap, channels)), c), zero, mask),),
                step=index(self.t.lanes),
            ),
        )
        item: Body = (
            *item_of(self.dimensions),
            Let(SUMS, mul(mul(PART, Var("all_taps")), channels)),
            For(tap, ZERO, Var("all_taps"), clear),
            For(LINE, LINE0, LINE1, (*self.line(), *next_line(self.dimensions))),
        )
        body: Body = (
            Allocate(self.table, index(64)),
            *self.fill,
            Let(Var("all_taps"), every),
            Let(row, mul(d2.source, channels)),
            Let(Var("x_plane"), mul(d1.source, row)),
            Let(Var("x_place"), mul(d2.stride, channels)),
            Let(Var("x_tap"), mul(d2.reach, channels)),
            Let(Var("runs"), floor(Var("k2"), index(RUN))),
            For(Var("item"), Var("lo"), Var("hi"), item),
        )
        sizes = tuple(Var(n) for n in WALK_SIZES)
        name = f"depthwise_filters_{self.t.dtype}"
        return Function(name, (self.x, self.y, self.out), sizes, body, contract=True)

    def line(self) -> Body:
        """One line of ``y``."""
        d0, d1, d2 = self.dimensions
        body: list[Stmt] = []
        found: list[Reach] = []
        for d, at in ((d0, AT0), (d1, AT1)):
            made, reached = reach(d, self.table, ZERO, at, "line")
            body += made
            found.append(reached)
        plane = add(mul(IMAGE, d0.source), found[0].source)
        row = add(mul(plane, d1.source), found[1].source)
        taps = mul(add(mul(found[0].tap, Var("k1")), found[1].tap), Var("k2"))
        vectors, lanes = self.vectors, self.t.lanes
        masks = tuple(Var(f"lanes{v}", "bool", lanes) for v in range(vectors))
        step, rest = index(vectors * lanes), sub(C1, C)
        begin = Var("x_begin"), Var("sums_begin")
        many = found[0].many, found[1].many
        channels: Body = (
            If(
                op("ge", rest, step),
                self.rows(begin, many, (None,) * vectors),
                (
                    *(Let(m, below(rest, index(v * lanes), lanes)) for v, m in enumerate(masks)),
                    *self.rows(begin, many, masks),
                ),
            ),
        )
        return (
            *body,
            Let(X_LINE, sub(mul(row, Var("x_row")), mul(Var("before2"), CHANNELS))),
            Let(Y_LINE, mul(mul(LINE, d2.result), CHANNELS)),
            Let(Var("sums_line"), add(SUMS, mul(taps, CHANNELS))),
            For(
                C,
                C0,
                C1,
                (
                    Let(begin[0], add(X_LINE, C)),
                    Let(begin[1], add(Var("sums_line"), C)),
                    *channels,
                ),
                step=step,
            ),
        )

    @property
    def vectors(self) -> int:
        """Vectors of channels that are taken at once."""
        return 2 if self.t.registers >= 32 else 1

    def rows(
        self, begin: tuple[Expr, Expr], many: tuple[Expr, Expr], masks: Sequence[Expr | None]
    ) -> Body:
        """The taps of the first two dimensions."""
        d0, d1, _ = self.dimensions
        outer, sums_outer = Var("x_outer"), Var("sums_outer")
        middle, sums_middle = Var("x_middle"), Var("sums_middle")
        own = mul(Var("k2"), CHANNELS)
        inner: Body = (
            *self.row(middle, sums_middle, masks),
            Assign(middle, add(middle, mul(d1.reach, Var("x_row")))),
            Assign(sums_middle, add(sums_middle, own)),
        )
        across: Body = (
            Local(middle, outer),
            Local(sums_middle, sums_outer),
            For(Var("tap1"), ZERO, many[1], inner),
            Assign(outer, add(outer, mul(d0.reach, Var("x_plane")))),
            Assign(sums_outer, add(sums_outer, mul(Var("k1"), own))),
        )
        return (
            Local(outer, begin[0]),
            Local(sums_outer, begin[1]),
            For(Var("tap0"), ZERO, many[0], across),
        )

    def seen(self, tap: Expr) -> tuple[Expr, Expr]:
        """The places whose tap ``tap`` of the last dimension is inside: from, and up to."""
        d = self.dimensions[2]
        left = sub(Var("before2"), mul(tap, d.reach))
        low = clip(ceil(left, d.stride), PLACE0, PLACE1)
        high = add(floor(add(sub(d.source, ONE), left), d.stride), ONE)
        return low, clip(high, low, PLACE1)

    def row(self, x: Expr, sums: Expr, masks: Sequence[Expr | None]) -> Body:
        """The taps of the last dimension, for one row of ``x`` and one of ``y``."""
        d = self.dimensions[2]
        run, tap, first, side = Var("run"), Var("tap2"), Var("first_tap"), Var("side")
        low, high, several = Var("low"), Var("high"), Var("several")
        own_low, own_high = Var("own_low"), Var("own_high")
        start, stop = Var("start"), Var("stop")
        plain = masks[0] is None
        many = sub(high, low)
        sliding = op("eq", d.reach, d.stride)
        if plain:
            several_value = select(sliding, floor(many, index(PLACES)), ZERO)
        else:
            several_value = ZERO
        last = sub(add(first, index(RUN)), ONE)
        runs: Body = (
            Let(first, mul(run, index(RUN))),
            Let(low, self.seen(first)[0]),
            Let(high, op("maximum", low, self.seen(last)[1])),
            Let(several, several_value),
            *self.products(
                RUN,
                x,
                sums,
                first,
                Places(low, several, sub(many, mul(several, index(PLACES)))),
                masks,
            ),
        )
        in_run = op("lt", tap, mul(Var("runs"), index(RUN)))
        left = op("eq", side, ZERO)
        whole = Var("whole", "bool")
        count = sub(stop, start)
        edge_several = floor(count, index(PLACES)) if plain else ZERO
        sides: Body = (
            Let(
                start, select(left, own_low, select(whole, own_high, op("maximum", high, own_low)))
            ),
            Let(
                stop, select(left, select(whole, own_high, op("minimum", low, own_high)), own_high)
            ),
            If(
                op("lt", start, stop),
                (
                    Let(several, edge_several),
                    *self.products(
                        1,
                        x,
                        sums,
                        tap,
                        Places(start, several, sub(count, mul(several, index(PLACES)))),
                        masks,
                    ),
                ),
            ),
        )
        singles: Body = (
            Let(whole, op("not", in_run)),
            Let(first, mul(floor(tap, index(RUN)), index(RUN))),
            Let(low, self.seen(first)[0]),
            Let(high, op("maximum", low, self.seen(last)[1])),
            Let(own_low, self.seen(tap)[0]),
            Let(own_high, self.seen(tap)[1]),
            For(side, ZERO, index(2), sides),
        )
        return (
            For(run, ZERO, Var("runs"), runs),
            For(tap, ZERO, Var("k2"), singles),
        )

    def products(
        self,
        taps: int,
        x: Expr,
        sums: Expr,
        tap: Expr,
        places: Places,
        masks: Sequence[Expr | None],
    ) -> Body:
        """Sums over ``places`` for ``taps`` neighbouring taps, added to the part."""
        lanes, dtype, vectors = self.t.lanes, self.t.dtype, len(masks)
        phases = (2 if taps > 1 else PLACES) if masks[0] is None else 1
        accumulators = [
            [[Var(f"sum{p}_{j}_{v}", dtype, lanes) for v in range(vectors)] for j in range(taps)]
            for p in range(phases)
        ]
        x_at, y_at, at = Var("x_at"), Var("y_at"), Var("sum_at")
        move, reach_tap = Var("x_place"), Var("x_tap")

        def onto(phase: int, j: int, v: int, a: Expr, b: Expr) -> Assign:
            s = accumulators[phase][j][v]
            return Assign(s, op("add", op("mul", a, b), s))

        def read(buffer: Buffer, at: Expr, v: int) -> Expr:
            return Load(buffer, add(at, index(v * lanes)), lanes, masks[v])

        many: list[Stmt] = []
        if masks[0] is None:
            spots = [Var(f"x_at{i}") for i in range(PLACES + taps - 1)]
            rows = [Var(f"y_at{i}") for i in range(PLACES)]
            many += [Let(s, add(spots[i - 1], move) if i else x_at) for i, s in enumerate(spots)]
            many += [Let(s, add(rows[i - 1], CHANNELS) if i else y_at) for i, s in enumerate(rows)]
            for v in range(vectors):
                ys = [Var(f"y{i}_{v}", dtype, lanes) for i in range(PLACES)]
                many += [Let(y, read(self.y, r, v)) for y, r in zip(ys, rows, strict=True)]
                for i, spot in enumerate(spots):
                    value = Var(f"x{i}_{v}", dtype, lanes)
                    many.append(Let(value, read(self.x, spot, v)))
                    many += [
                        onto((i - j) % phases, j, v, value, ys[i - j])
                        for j in range(taps)
                        if 0 <= i - j < PLACES
                    ]
            many += [
                Assign(x_at, add(x_at, mul(move, index(PLACES)))),
                Assign(y_at, add(y_at, mul(CHANNELS, index(PLACES)))),
            ]
        one: list[Stmt] = []
        for v in range(vectors):
            y = Var(f"y_{v}", dtype, lanes)
            one.append(Let(y, read(self.y, y_at, v)))
            for j in range(taps):
                one.append(onto(0, j, v, read(self.x, add(x_at, mul(reach_tap, index(j))), v), y))
        one += [Assign(x_at, add(x_at, move)), Assign(y_at, add(y_at, CHANNELS))]
        body: list[Stmt] = [
            Local(s, const(0.0, dtype, lanes)) for p in accumulators for j in p for s in j
        ]
        body += [
            Local(x_at, add(x, add(mul(places.first, move), mul(tap, reach_tap)))),
            Local(y_at, add(add(Y_LINE, C), mul(places.first, CHANNELS))),
        ]
        if many:
            body.append(For(Var("group"), ZERO, places.several, tuple(many)))
        body.append(For(Var("place"), ZERO, places.single, tuple(one)))
        for p in accumulators[1:]:
            for j, row in enumerate(p):
                body += [
                    Assign(a, op("add", a, b)) for a, b in zip(accumulators[0][j], row, strict=True)
                ]
        for j, row in enumerate(accumulators[0]):
            where = Var(f"sum_at{j}")
            body.append(Let(where, add(sums, mul(add(tap, index(j)), CHANNELS))))
            for v, s in enumerate(row):
                place = add(where, index(v * lanes))
                present = Load(self.out, place, lanes, masks[v])
                body.append(Store(self.out, place, op("add", present, s), masks[v]))
        return tuple(body)


def sum_kernel(t: Tiling) -> Function:
    """The kernel that adds the parts; an item is :data:`CHUNK` elements of the result."""
    parts, out = Buffer("parts", t.dtype), Buffer("w", t.dtype)
    elements, number = Var("elements"), Var("parts")
    at, part, total, place = Var("at"), Var("part"), Var("total", t.dtype, t.lanes), Var("place")
    there, stop = Var("there", "bool", t.lanes), Var("stop")
    addition: Body = (
        Assign(total, op("add", total, Load(parts, place, t.lanes, there))),
        Assign(place, add(place, elements)),
    )
    vector: Body = (
        Let(there, below(stop, at, t.lanes)),
        Local(total, const(0.0, t.dtype, t.lanes)),
        Local(place, at),
        For(part, ZERO, number, addition),
        Store(out, at, total, there),
    )
    first = mul(Var("item"), index(CHUNK))
    body: Body = (
        Let(stop, op("minimum", add(first, index(CHUNK)), elements)),
        For(at, first, stop, vector, step=index(t.lanes)),
    )
    items = For(Var("item"), Var("lo"), Var("hi"), body)
    name = f"depthwise_filters_{t.dtype}_sum"
    return Function(name, (parts, out), tuple(Var(n) for n in SUM_SIZES), (items,))
