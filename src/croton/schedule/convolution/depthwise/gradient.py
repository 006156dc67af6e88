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
    Prefetch,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.depthwise.block import RUN, spread
from croton.schedule.convolution.depthwise.choice import LINE_BYTES, Tiling, family
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
    read_next,
)
from croton.schedule.product.pack import below

#: Sizes of the kernel; ``far`` (0 or 1) is for arrays that are larger than the caches: what the
#: next line reads is fetched ahead.
SIZES = (*WALK_SIZES, "far")

#: Places that are taken at once.
PLACES = 4

#: Sizes of the kernel that adds the parts: elements of one, and how many there are.
SUM_SIZES = ("elements", "parts")
#: Elements of an item of that kernel.
CHUNK = 4096

#: Where the line begins in both arrays, and where the part does.
X_LINE, Y_LINE, SUMS = Var("x_line"), Var("y_line"), Var("sums_at")


class Fetch(NamedTuple):
    """What is fetched next: a place, and a channel of the item; and how many lines at a time."""

    at: Var
    channel: Var
    number: Var


#: Of ``x`` and of ``y``.
FETCHES = [Fetch(*(Var(f"fetch_{name}_{n}") for name in Fetch._fields)) for n in "xy"]

#: From tap to tap of a part.
SUMS_TAP = Var("sums_tap")


#: Words of an entry of the list of what is summed along a line: where it begins in ``x``,
#: ``y`` and the sums, and how many places it has (:class:`Places`).
WORDS = 7
#: Bytes of the list for each tap of the last dimension: it may be in a run and on both sides.
LISTED = 3 * 8 * WORDS

#: How many single entries there are.
SINGLES = Var("singles")


class Places(NamedTuple):
    """How many places: so often :data:`PLACES` at once, and then so many one by one.

    ``beside`` is how many places there are on both sides, of which at most two count.
    """

    several: Expr
    single: Expr
    beside: tuple[Expr, ...]


def gradient_kernel(t: Tiling) -> Function:
    """The kernel that computes the parts."""
    return _Gradient(t).function()


class _Gradient:
    def __init__(self, t: Tiling) -> None:
        self.t = t
        self.x, self.y, self.out = (Buffer(n, t.dtype) for n in ("x", "y", "parts"))
        table = Buffer("classes", "int64")
        self.table = table
        self.work = Buffer("list", "int64")
        self.fill, self.dimensions = dimensions(True, table)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        _, d1, d2 = self.dimensions
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
            *self.list(),
            Let(SUMS, mul(mul(PART, Var("all_taps")), SUMS_TAP)),
            For(tap, ZERO, mul(Var("all_taps"), index(self.t.group)), clear),
            For(LINE, LINE0, LINE1, (*self.line(), *next_line(self.dimensions))),
        )
        body: Body = (
            Allocate(self.work, index(64)),
            Allocate(self.table, add(index(64), mul(Var("k2"), index(LISTED)))),
            *self.fill,
            Let(Var("all_taps"), every),
            Let(SUMS_TAP, mul(channels, index(self.t.group))),
            Let(row, mul(d2.source, channels)),
            Let(Var("x_plane"), mul(d1.source, row)),
            Let(Var("x_place"), mul(d2.stride, channels)),
            Let(Var("x_tap"), mul(d2.reach, channels)),
            Let(Var("runs"), floor(Var("k2"), index(RUN))),
            For(Var("item"), Var("lo"), Var("hi"), item),
        )
        sizes = tuple(Var(n) for n in SIZES)
        name = f"{family(self.t)}_filters_{self.t.dtype}"
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
            Let(Var("sums_line"), add(SUMS, mul(taps, SUMS_TAP))),
            *self.ahead(mul(*many)),
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
        return 2 if self.t.registers >= 32 and self.t.group == 1 else 1

    def rows(
        self, begin: tuple[Expr, Expr], many: tuple[Expr, Expr], masks: Sequence[Expr | None]
    ) -> Body:
        """The taps of the first two dimensions."""
        d0, d1, _ = self.dimensions
        outer, sums_outer = Var("x_outer"), Var("sums_outer")
        middle, sums_middle = Var("x_middle"), Var("sums_middle")
        own = mul(Var("k2"), SUMS_TAP)
        inner: Body = (
            *self.fetches(),
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

    def ahead(self, rows: Expr) -> Body:
        """Where in ``x`` and in ``y`` it begins what the next line reads, for so many rows of taps.

        Lines of the cache are fetched in their order, some with each row of taps.
        """
        d0, d1, d2 = self.dimensions
        plane, first, number = read_next(self.dimensions)
        places = add(mul(mul(add(mul(IMAGE, d0.source), plane), d1.source), d2.source), first)
        span, own = op("maximum", d2.result, ONE), sub(PLACE1, PLACE0)
        begins = (
            add(places, floor(mul(number, PLACE0), span)),
            add(mul(add(LINE, ONE), d2.result), PLACE0),
        )
        lines = ceil(sub(C1, C0), index(LINE_BYTES // self.t.itemsize))
        times = mul(rows, ceil(sub(C1, C0), index(self.vectors * self.t.lanes)))
        body: list[Stmt] = [Let(Var("fetch_times"), op("maximum", times, ONE))]
        for fetch, at, n in zip(FETCHES, begins, (ceil(mul(number, own), span), own), strict=True):
            each = ceil(mul(n, lines), Var("fetch_times"))
            body += [
                Let(fetch.number, select(op("ne", Var("far"), ZERO), each, ZERO)),
                Local(fetch.at, add(mul(at, CHANNELS), C0)),
                Local(fetch.channel, ZERO),
            ]
        return tuple(body)

    def fetches(self) -> Body:
        """Fetch some lines of what the next line reads."""
        found: list[Stmt] = []
        step, end = index(LINE_BYTES // self.t.itemsize), Var("fetch_end", "bool")
        for buffer, fetch in zip((self.x, self.y), FETCHES, strict=True):
            body: Body = (
                # What is needed a line later would only be in the way in the first cache.
                Prefetch(buffer, add(fetch.at, fetch.channel), level=2),
                Assign(fetch.channel, add(fetch.channel, step)),
                Let(end, op("ge", fetch.channel, sub(C1, C0))),
                Assign(fetch.at, add(fetch.at, select(end, CHANNELS, ZERO))),
                Assign(fetch.channel, select(end, ZERO, fetch.channel)),
            )
            found.append(For(Var("fetched"), ZERO, fetch.number, body))
        return tuple(found)

    def seen(self, tap: Expr) -> tuple[Expr, Expr]:
        """The places whose tap ``tap`` of the last dimension is inside: from, and up to."""
        low, high = self.bounds(tap)
        low = clip(low, PLACE0, PLACE1)
        return low, clip(high, low, PLACE1)

    def bounds(self, tap: Expr) -> tuple[Expr, Expr]:
        """The same of a line without ends."""
        d = self.dimensions[2]
        left = sub(Var("before2"), mul(tap, d.reach))
        high = add(floor(add(sub(d.source, ONE), left), d.stride), ONE)
        return ceil(left, d.stride), high

    def list(self) -> Body:
        """List what is to be summed along a line: for runs of taps, and for single ones.

        A run goes over the places that see all of its taps.  If taps move as places do, there
        are places with two and then with one of them on both sides, which go with the run.
        Else, or where such places reach from side to side, what is left goes as single taps.
        """
        d = self.dimensions[2]
        tap, low, high, side = Var("tap"), Var("low"), Var("high"), Var("side")
        own_low, own_high, first = Var("own_low"), Var("own_high"), Var("first_tap")
        start, stop, number, at = Var("start"), Var("stop"), Var("run"), Var("entry")
        slides, whole, before = Var("slides", "bool"), Var("whole", "bool"), Var("from_run")
        in_runs = mul(Var("runs"), index(RUN))
        last = self.seen(add(first, index(RUN - 1)))
        # Where the places that see tap 0 begin, and where they end, whatever the item has.
        bounds = (Var("least"), Var("past"))
        far = sub(add(bounds[1], ONE), in_runs)
        inner = op("and", op("le", bounds[0], PLACE1), op("le", PLACE0, far))
        wide = op("ge", sub(bounds[1], bounds[0]), index(RUN))
        beside = (select(whole, sub(low, PLACE0), ZERO), select(whole, sub(PLACE1, high), ZERO))
        runs: Body = (
            Let(first, mul(number, index(RUN))),
            Let(low, self.seen(first)[0]),
            Let(high, op("maximum", low, last[1])),
            Let(at, mul(number, index(WORDS))),
            *self.entry(at, first, low, sub(high, low), slides),
            *(Store(self.work, add(at, index(5 + w)), value) for w, value in enumerate(beside)),
        )
        left = op("eq", side, ZERO)
        sides: Body = (
            Let(start, select(left, own_low, op("maximum", high, own_low))),
            Let(stop, select(left, op("minimum", low, own_high), own_high)),
            Let(at, mul(add(Var("runs"), SINGLES), index(WORDS))),
            If(
                op("lt", start, stop),
                (
                    *self.entry(at, tap, start, sub(stop, start), None),
                    Assign(SINGLES, add(SINGLES, ONE)),
                ),
            ),
        )
        # A tap that is in no run begins where one would end.
        alone = op("ge", tap, in_runs)
        singles: Body = (
            Let(first, mul(floor(tap, index(RUN)), index(RUN))),
            Let(own_low, self.seen(tap)[0]),
            Let(own_high, self.seen(tap)[1]),
            Let(low, select(alone, own_high, self.seen(first)[0])),
            Let(high, select(alone, own_high, op("maximum", low, last[1]))),
            For(side, ZERO, index(2), sides),
        )
        return (
            *(Let(v, value) for v, value in zip(bounds, self.bounds(ZERO), strict=True)),
            Let(slides, op("eq", d.reach, d.stride)),
            Let(whole, op("and", op("and", slides, wide), inner)),
            Let(before, select(whole, in_runs, ZERO)),
            For(number, ZERO, Var("runs"), runs),
            Local(SINGLES, ZERO),
            For(tap, before, Var("k2"), singles),
        )

    def entry(self, at: Expr, tap: Expr, first: Expr, places: Expr, slides: Expr | None) -> Body:
        """One entry of the list."""
        several = Var("several")
        found = floor(places, index(PLACES))
        values = (
            add(mul(first, Var("x_place")), mul(tap, Var("x_tap"))),
            mul(first, CHANNELS),
            mul(tap, SUMS_TAP),
            several,
            sub(places, mul(several, index(PLACES))),
        )
        return (
            Let(several, found if slides is None else select(slides, found, ZERO)),
            *(Store(self.work, add(at, index(w)), value) for w, value in enumerate(values)),
        )

    def row(self, x: Expr, sums: Expr, masks: Sequence[Expr | None]) -> Body:
        """The taps of the last dimension, for one row of ``x`` and one of ``y``."""
        run, single = Var("run"), Var("single")
        runs, end = Var("runs"), Var("end_of_list")
        return (
            For(run, ZERO, runs, self.listed(RUN, run, x, sums, masks)),
            Let(end, add(runs, SINGLES)),
            For(single, runs, end, self.listed(1, single, x, sums, masks)),
        )

    def listed(
        self, taps: int, number: Expr, x: Expr, sums: Expr, masks: Sequence[Expr | None]
    ) -> Body:
        """What an entry of the list says."""
        at = Var("entry")
        names = [Var(f"listed{w}") for w in range(WORDS if taps > 1 else WORDS - 2)]
        places = Places(names[3], names[4], tuple(names[5:]))
        if masks[0] is not None:
            every = add(mul(names[3], index(PLACES)), names[4])
            places = places._replace(several=ZERO, single=every)
        return (
            Let(at, mul(number, index(WORDS))),
            *(Let(v, Load(self.work, add(at, index(w)))) for w, v in enumerate(names)),
            *self.products(
                taps,
                add(x, names[0]),
                add(add(Y_LINE, C), names[1]),
                add(sums, names[2]),
                places,
                masks,
            ),
        )

    def products(
        self,
        taps: int,
        x: Expr,
        y: Expr,
        sums: Expr,
        places: Places,
        masks: Sequence[Expr | None],
    ) -> Body:
        """Sums over ``places`` for ``taps`` neighbouring taps, added to the part."""
        lanes, dtype, vectors = self.t.lanes, self.t.dtype, len(masks)
        group = self.t.group
        # Enough sums to keep the machine's adders busy.
        phases = min(2, 4 // (group * vectors)) if taps > 1 else min(PLACES, 8 // (group * vectors))
        phases = max(1, phases) if masks[0] is None else 1
        accumulators = [
            [
                [
                    [Var(f"sum{p}_{j}_{c}_{v}", dtype, lanes) for v in range(vectors)]
                    for c in range(group)
                ]
                for j in range(taps)
            ]
            for p in range(phases)
        ]
        x_at, y_at = Var("x_at"), Var("y_at")
        move, reach_tap = Var("x_place"), Var("x_tap")

        def onto(phase: int, j: int, v: int, a: Expr, b: Expr) -> list[Stmt]:
            return [
                Assign(s[v], op("add", op("mul", spread(a, group, c), b), s[v]))
                for c, s in enumerate(accumulators[phase][j])
            ]

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
                    for j in range(taps):
                        if 0 <= i - j < PLACES:
                            many += onto((i - j) % phases, j, v, value, ys[i - j])
            many += [
                Assign(x_at, add(x_at, mul(move, index(PLACES)))),
                Assign(y_at, add(y_at, mul(CHANNELS, index(PLACES)))),
            ]
        one: list[Stmt] = []
        for v in range(vectors):
            value = Var(f"y_{v}", dtype, lanes)
            one.append(Let(value, read(self.y, y_at, v)))
            for j in range(taps):
                near = add(x_at, mul(reach_tap, index(j)))
                one += onto(0, j, v, read(self.x, near, v), value)
        one += [Assign(x_at, add(x_at, move)), Assign(y_at, add(y_at, CHANNELS))]
        body: list[Stmt] = [
            Local(s, const(0.0, dtype, lanes))
            for phase in accumulators
            for tap_sums in phase
            for row in tap_sums
            for s in row
        ]
        body += [Local(x_at, x), Local(y_at, y)]

        def side(have: Expr, least: int, place: int, seen: Sequence[int]) -> If:
            """A place beside the others, which sees some of the taps."""
            found: list[Stmt] = []
            line = add(y_at, mul(CHANNELS, index(place)))
            for v in range(vectors):
                value = Var(f"y_{v}", dtype, lanes)
                found.append(Let(value, read(self.y, line, v)))
                for j in seen:
                    # Taps move as places do.
                    spot = add(x_at, mul(move, index(place + j)))
                    found += onto(j % phases, j, v, read(self.x, spot, v), value)
            return If(op("ge", have, index(least)), tuple(found))

        if places.beside:
            body += [side(places.beside[0], n, -n, range(n, taps)) for n in range(1, taps)]
        if many:
            body.append(For(Var("group"), ZERO, places.several, tuple(many)))
        body.append(For(Var("place"), ZERO, places.single, tuple(one)))
        if places.beside:
            body += [side(places.beside[1], n, n - 1, range(taps - n)) for n in range(1, taps)]
        rows_of_sums = [[row for tap_sums in phase for row in tap_sums] for phase in accumulators]
        for phase in rows_of_sums[1:]:
            for first, other in zip(rows_of_sums[0], phase, strict=True):
                body += [Assign(a, op("add", a, b)) for a, b in zip(first, other, strict=True)]
        for number, row_sums in enumerate(rows_of_sums[0]):
            where = Var(f"sum_at{number}")
            body.append(Let(where, add(sums, mul(CHANNELS, index(number)))))
            for v, s in enumerate(row_sums):
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
