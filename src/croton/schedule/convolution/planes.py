"""Convolutions with few result channels: lanes of a vector are places, not result channels.

A direct convolution has a vector of result channels, of which few leave most lanes empty: few
filters or, in the gradient by an image, which is a convolution as well if there are no strides,
few channels of that, which are called filters then.  Here an item copies a band of lines of an
image to planes, a source channel each, whose lines lie ``width`` apart, zeros between them: then
for every tap the places of the whole band are one run, ``sums[f, q] = sum over (c, t) of w[f, c,
t] * plane[c, q + t1 * width + t2]``.  What the places between two lines get is not brought to the
result.
"""

from __future__ import annotations

from croton.kernel.build import add, broadcast, const, index, mul, op, ramp, select, sub
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Call,
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
from croton.kernel.parameters import from_parameters
from croton.schedule import counts
from croton.schedule.convolution.winograd.choice import Role, role
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product import tile
from croton.schedule.product.pack import below, part, transpose
from croton.schedule.product.strips import ceildiv, total
from croton.schedule.product.tiling import Tiling
from croton.schedule.steps import Plan, Step

ZERO, ONE = index(0), index(1)

#: Sizes of the kernel; ``lines`` of the result are an item's, ``most`` places a piece of it.
SIZES = (
    "batch", "channels", "filters", "x1", "x2", "k1", "k2", "y1", "y2", "lines", "most",
    "before1", "before2", "dilation1", "dilation2",
    "w_start", "w_filter", "w_channel", "w_step1", "w_step2",
)  # fmt: skip

#: Filters of a block.
FILTERS = 4

#: Places of a piece, about, where no epilogue takes it.
PIECE = 1024

#: Lines of the result that an item has, at most.
BAND = 32

#: Bytes of scratch that an item may take.
_ROOM = 1 << 19


def fits(kind: str, t: Tiling, epilogue: bool) -> Count:
    """Whether a convolution has few filters, no strides, and two dimensions at most."""
    of = role(kind)
    ones = ("groups", "k0", "stride0", "stride1", "stride2")
    tests = [count("eq", name, 1) for name in ones]
    tests += [count("eq", "before0", 0), count("eq", "x0", "y0")]
    tests += [count("le", of.filters, _limit(t)), count("lt", 1, count("mul", "k1", "k2"))]
    tests.append(count("le", _scratch(of, t, epilogue), _ROOM + tile.FREE))
    if epilogue:
        tests.append(count("le", of.columns, tile.ROWS))
    return all_of(*tests)


def steps(kind: str, t: Tiling, epilogue: bool, when: Count = 1) -> Plan:
    """The steps of ``kind`` ("forward" or "inputs"), where :func:`fits` and ``when`` hold."""
    main, of = _function(t, epilogue), role(kind)
    lines = _lines(of)
    values: dict[str, Count] = {
        "batch": of.images, "channels": of.channels, "filters": of.filters,
        "x1": of.high, "x2": of.wide, "y1": of.rows, "y2": of.columns,
        "lines": lines, "most": _most(of, epilogue), "before1": of.above, "before2": of.left,
        "w_start": of.start, "w_filter": of.filter, "w_channel": of.channel,
        "w_step1": of.step1, "w_step2": of.step2,
    }  # fmt: skip
    work = counts.mul(lines, of.columns, "filters", "channels", "k1", "k2")
    step = Step(
        main.name,
        (of.image, "w", "epilogue" if epilogue else of.result),
        tuple(values.get(n, n) for n in SIZES),
        count("select", when, counts.mul(of.images, count("ceildiv", of.rows, lines)), 0),
        count("add", 1, count("floordiv", 1 << 17, count("add", work, 1))),
        _scratch(of, t, epilogue),
    )
    return Plan(t.dtype, (main,), (), (step,))


def _most(of: Role, epilogue: bool) -> Count:
    return tile.ROWS if epilogue else count("maximum", PIECE, of.columns)


def _lines(of: Role) -> Count:
    """Some bands for each of a few threads; a band needs more lines of the image than its own."""
    wanted = count("ceildiv", 8, count("maximum", of.images, 1))
    return count("minimum", BAND, count("maximum", count("ceildiv", of.rows, wanted), 4))


def _scratch(of: Role, t: Tiling, epilogue: bool) -> Count:
    """Bytes: the tables of weights, the planes, the sums of a piece."""
    weights = counts.mul(of.channels, "k1", "k2", 8 + _rounded_filters(t) * t.itemsize)
    reach1, reach2 = (counts.mul(count("sub", f"k{d}", 1), f"dilation{d}") for d in (1, 2))
    width = count("add", of.columns, reach2)
    lines = count("add", _lines(of), count("add", reach1, 1))
    beyond = (_vectors(t) + 1) * t.lanes
    # The last places between two lines read beyond the last plane, and so do vectors.
    held = count("add", counts.mul(of.channels, lines), 1)
    planes = count("add", counts.mul(held, width), beyond)
    most = _pieces(of, _most(of, epilogue))
    piece = count("add", counts.mul(width, count("add", most, 1)), beyond)
    both = counts.mul(t.itemsize, count("add", planes, counts.mul(piece, _rounded_filters(t))))
    own = count("add", count("add", weights, both), 1024)
    return count("add", own, tile.FREE) if epilogue else own


def _pieces(of: Role, most: Count) -> Count:
    return count("floordiv", most, count("maximum", of.columns, 1))


def _vectors(t: Tiling) -> int:
    """Vectors of places of a block: their sums, one of each and a weight stay in registers."""
    return 3 if t.few else 4


def _limit(t: Tiling) -> int:
    """Filters up to which lanes of a vector of them would be empty, too many."""
    return t.lanes * 3 // 4


def _rounded_filters(t: Tiling) -> int:
    """Filters that the sums of a place have room for, at most."""
    return -(-_limit(t) // FILTERS) * FILTERS


@from_parameters
def _function(t: Tiling, epilogue: bool) -> Function:
    return _Planes(t, epilogue).function()


class _Planes:
    def __init__(self, t: Tiling, epilogue: bool) -> None:
        self.t = t
        self.vectors = _vectors(t)
        self.epilogue = epilogue
        self.s = {name: Var(name) for name in SIZES}
        self.x, self.w = Buffer("x", t.dtype), Buffer("w", t.dtype)
        self.y = Buffer("tile" if epilogue else "y", t.dtype)
        self.callee, self.below = Buffer("epilogue", "int64"), Buffer("below", "int64")
        #: For each pair of a source channel and a tap: where it lies in the planes, and weights.
        self.offsets, self.weights = Buffer("offsets", "int64"), Buffer("weights", t.dtype)
        self.planes, self.sums = Buffer("planes", t.dtype), Buffer("sums", t.dtype)
        self.width, self.plane, self.pairs = Var("width"), Var("plane"), Var("pairs")
        self.wide, self.height = Var("wide"), Var("height")

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        t, s = self.t, self.s
        name = f"convolution_planes_{t.dtype}" + ("_epilogue" if self.epilogue else "")
        reach1 = mul(sub(s["k1"], ONE), s["dilation1"])
        body: Body = (
            Let(self.width, add(s["y2"], mul(sub(s["k2"], ONE), s["dilation2"]))),
            Let(self.height, add(s["lines"], reach1)),
            Let(self.plane, mul(self.height, self.width)),
            Let(self.pairs, mul(s["channels"], mul(s["k1"], s["k2"]))),
            Let(self.wide, mul(ceildiv(s["filters"], index(FILTERS)), index(FILTERS))),
            *self.scratch(),
            *self.tables(),
            *self.clear(),
            For(Var("item"), Var("lo"), Var("hi"), self.item()),
        )
        last = self.callee if self.epilogue else self.y
        return Function(name, (self.x, self.w, last), tuple(s.values()), body, contract=True)

    def scratch(self) -> Body:
        """The parts of the scratch memory."""
        parts: list[Stmt] = []
        start: Expr = index(64)
        if self.epilogue:
            parts = [
                Allocate(self.below, index(64)),
                Allocate(self.y, index(64 + tile.TILE)),
            ]
            start = index(64 + tile.FREE)
        size, beyond = index(self.t.itemsize), index((self.vectors + 1) * self.t.lanes)
        channels = self.s["channels"]
        sizes = (
            (self.offsets, mul(self.pairs, index(8))),
            (self.weights, mul(mul(self.pairs, self.wide), size)),
            (self.planes, mul(add(add(mul(channels, self.plane), self.width), beyond), size)),
            (self.sums, ZERO),
        )
        for buffer, room in sizes:
            at = Var(f"{buffer.name}_start")
            parts += [Let(at, start), Allocate(buffer, at)]
            start = add(at, mul(ceildiv(room, index(64)), index(64)))
        return tuple(parts)

    def tables(self) -> Body:
        """Weights of the filters side by side, zeros for those that there are not."""
        s, wide = self.s, self.wide
        c, t1, t2, f, pair = (Var(f"table_{n}") for n in ("c", "t1", "t2", "f", "pair"))
        line = total((t1, s["dilation1"]))
        offset = total((c, self.plane), (line, self.width), (t2, s["dilation2"]))
        place = total((c, s["w_channel"]), (t1, s["w_step1"]), (t2, s["w_step2"]))
        to = add(mul(pair, wide), f)
        weight = Load(self.w, add(add(s["w_start"], place), mul(f, s["w_filter"])))
        none = const(0.0, self.t.dtype)
        body: Body = (
            Store(self.offsets, pair, offset),
            For(f, ZERO, s["filters"], (Store(self.weights, to, weight),)),
            For(f, s["filters"], wide, (Store(self.weights, to, none),)),
            Assign(pair, add(pair, ONE)),
        )
        for var, stop in ((t2, s["k2"]), (t1, s["k1"]), (c, s["channels"])):
            body = (For(var, ZERO, stop, body),)
        return (Local(pair, ZERO), *body)

    def clear(self) -> Body:
        """Zeros behind the last plane: what memory holds may be slow to compute with."""
        at, lanes = Var("clear_at"), self.t.lanes
        start = mul(self.s["channels"], self.plane)
        stop = add(start, add(self.width, index(self.vectors * lanes)))
        zero = Store(self.planes, at, const(0.0, self.t.dtype, lanes))
        return (For(at, start, stop, (zero,), step=index(lanes)),)

    def item(self) -> Body:
        """A band of an image: its planes, then its places, piece by piece."""
        s, item = self.s, Var("item")
        bands, image, q0, q1 = Var("bands"), Var("image"), Var("q0"), Var("q1")
        first, many, step = Var("first"), Var("many"), Var("step")
        body: list[Stmt] = [
            Let(many, op("minimum", step, sub(q1, first))),
            *self.piece(mul(sub(first, q0), self.width), mul(many, self.width)),
            *self.bring(image, first, many),
        ]
        if self.epilogue:
            start, header = Var("start"), tile.HEADER // 8
            values = ((tile.N0, ZERO), (tile.N1, s["filters"]), (tile.BATCH, ZERO))
            body += [
                Let(start, mul(add(mul(image, s["y1"]), first), s["y2"])),
                *(Store(self.below, index(header + at), value) for at, value in values),
                Call(self.callee, start, add(start, mul(many, s["y2"])), self.below),
            ]
        return (
            Let(bands, ceildiv(s["y1"], s["lines"])),
            Let(image, op("floordiv", item, bands)),
            Let(q0, mul(sub(item, mul(image, bands)), s["lines"])),
            Let(q1, op("minimum", add(q0, s["lines"]), s["y1"])),
            *self.copy(image, q0),
            Let(
                step,
                op(
                    "maximum",
                    op("floordiv", s["most"], op("maximum", s["y2"], ONE)),
                    ONE,
                ),
            ),
            For(first, q0, q1, tuple(body), step=step),
        )

    def copy(self, image: Expr, q0: Expr) -> Body:
        """The band's lines of the image, with their border, to planes."""
        s, t, lanes = self.s, self.t, self.t.lanes
        c, line, k = Var("copy_c"), Var("copy_line"), Var("copy_k")
        to, at, row, there = (
            Var("copy_to"),
            Var("copy_at"),
            Var("copy_row"),
            Var("copy_there", "bool"),
        )
        skipped, left, length = Var("copy_skipped"), Var("copy_left"), Var("copy_length")
        mask, clear = Var("copy_mask", "bool", lanes), Var("clear_mask", "bool", lanes)
        zero = const(0.0, t.dtype, lanes)
        place = op("add", op("mul", ramp(k, lanes), s["channels"]), at)

        def fill(value: Expr) -> Body:
            return (
                For(
                    k,
                    ZERO,
                    length,
                    (
                        Let(mask, below(length, k, lanes)),
                        Store(self.planes, add(add(to, left), k), value, mask),
                    ),
                    step=index(lanes),
                ),
            )

        taken = If(
            op("eq", s["channels"], ONE),
            fill(Load(self.x, add(at, k), lanes, mask)),
            fill(Load(self.x, place, lanes, mask)),
        )
        where = total((image, s["x1"]), (row, ONE))
        body: Body = (
            Let(row, sub(add(q0, line), s["before1"])),
            Let(there, op("and", op("ge", row, ZERO), op("lt", row, s["x1"]))),
            Let(to, add(mul(c, self.plane), mul(line, self.width))),
            For(
                k,
                ZERO,
                self.width,
                (
                    Let(clear, below(self.width, k, lanes)),
                    Store(self.planes, add(to, k), zero, clear),
                ),
                step=index(lanes),
            ),
            Let(at, add(mul(add(mul(where, s["x2"]), skipped), s["channels"]), c)),
            If(there, (taken,)),
        )
        lines = For(line, ZERO, self.height, body)
        room = op("minimum", sub(s["x2"], skipped), sub(self.width, left))
        return (
            Let(skipped, op("maximum", sub(ZERO, s["before2"]), ZERO)),
            Let(left, op("maximum", s["before2"], ZERO)),
            Let(length, op("maximum", room, ZERO)),
            For(c, ZERO, s["channels"], (lines,)),
        )

    def piece(self, start: Expr, places: Expr) -> Body:
        """The sums of ``places`` of the band from ``start``."""
        at, f = Var("piece_at"), Var("piece_f")
        first, end = Var("piece_first"), Var("piece_end")
        filters = For(f, ZERO, self.wide, self.block(add(first, at), at, f), step=index(FILTERS))
        step = index(self.vectors * self.t.lanes)
        return (Let(first, start), Let(end, places), For(at, ZERO, end, (filters,), step=step))

    def block(self, source: Expr, at: Expr, f: Expr) -> Body:
        """Some filters at some vectors of places."""
        t, lanes = self.t, self.t.lanes
        side = 16 // t.itemsize
        many = range(self.vectors)
        sums = [[Var(f"s{i}_{v}", t.dtype, lanes) for v in many] for i in range(FILTERS)]
        pair, base, weight, near = (Var(f"block_{n}") for n in ("pair", "base", "weight", "near"))
        xs = [Var(f"near{v}", t.dtype, lanes) for v in many]
        body: list[Stmt] = [
            Let(near, add(base, Load(self.offsets, pair))),
            *(
                Let(x, Load(self.planes, add(near, index(v * lanes)), lanes))
                for v, x in enumerate(xs)
            ),
        ]
        for i, row in enumerate(sums):
            w = broadcast(Load(self.weights, add(weight, index(i))), lanes)
            body += [Assign(s, op("add", op("mul", x, w), s)) for s, x in zip(row, xs, strict=True)]
        body.append(Assign(weight, add(weight, self.wide)))
        found: list[Stmt] = [
            Let(base, source),
            Local(weight, f),
            *(Local(s, const(0.0, t.dtype, lanes)) for row in sums for s in row),
            For(pair, ZERO, self.pairs, tuple(body)),
        ]
        # Squares of 16 bytes are transposed, so that a place's sums come to lie side by side.
        for v in many:
            for g in range(0, FILTERS, side):
                rows: list[Expr] = [sums[g + i][v] for i in range(side)]
                turned = [Var(f"turned{v}_{g}_{i}", t.dtype, lanes) for i in range(side)]
                found += [Let(n, e) for n, e in zip(turned, transpose(rows, side), strict=True)]
                for lane in range(lanes):
                    to = add(mul(add(at, index(v * lanes + lane)), self.wide), add(f, index(g)))
                    value = part(turned[lane % side], lane - lane % side, side)
                    found.append(Store(self.sums, to, value))
        return tuple(found)

    def bring(self, image: Expr, first: Expr, many: Expr) -> Body:
        """The sums of ``many`` lines from line ``first`` to the result."""
        s, t = self.s, self.t
        line, place = Var("bring_line"), Var("bring_place")
        to, at, apart = Var("bring_to"), Var("bring_at"), Var("bring_apart")
        mask = Var("bring_mask", "bool", t.lanes)
        start = mul(add(mul(image, s["y1"]), first), s["y2"])
        if self.epilogue:
            start = ZERO
        pitch = index(t.leading) if self.epilogue else s["filters"]
        value = Load(self.sums, at, t.lanes, mask)

        def places(first: Expr, end: Expr, lanes: Expr | None) -> For:
            body = (
                Store(self.y, to, value, lanes),
                Assign(to, add(to, apart)),
                Assign(at, add(at, self.wide)),
            )
            return For(place, first, end, body)

        row: Body = (places(ZERO, s["y2"], mask),)
        if not t.masks and self.epilogue:
            # A tile's rows have room.
            row = (places(ZERO, s["y2"], None),)
        elif not t.masks:
            # Whole vectors reach into the next places, which are written later, but the last ones'.
            empty = sub(index(t.lanes), s["filters"])
            whole, some = Var("bring_whole"), op("lt", ZERO, s["filters"])
            row = (
                Let(whole, select(some, sub(s["y2"], ceildiv(empty, s["filters"])), ZERO)),
                places(ZERO, whole, None),
                places(op("maximum", whole, ZERO), s["y2"], mask),
            )
        each: Body = (Local(at, mul(mul(line, self.width), self.wide)), *row)
        return (
            Let(apart, pitch),
            Let(mask, below(s["filters"], ZERO, t.lanes)),
            Local(to, mul(start, apart)),
            For(line, ZERO, many, each),
        )
