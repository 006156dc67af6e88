"""The gradient by images of few channels: products with all taps first, sums of these afterwards.

A direct convolution has a vector of result channels, of which such images leave most lanes
empty.  Here every place of ``y`` is multiplied with the filters' weights for all taps and
channels at once, which fill whole vectors: ``z[p, (t, c)] = sum over f of y[p, f] * w[f, c, t]``.
Then each place of the image adds up what its taps got: ``x[q, c] = sum of z[p, (t, c)]`` over the
p and t with ``at(p, t) = q``.  An item does so for a band of lines of an image; its z stays in
the cache.
"""

from __future__ import annotations

from croton.kernel.build import add, const, index, mul, op, sub
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
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution.direct.block import Panel, Source, Target, block
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product.pack import below
from croton.schedule.product.strips import ceildiv
from croton.schedule.product.tiling import Tiling
from croton.schedule.steps import Plan, Step

ZERO, ONE = index(0), index(1)

#: Sizes of the kernel that prepares filters: ``channels`` and ``filters``, taps and strides.
FILTER_SIZES = (
    "channels", "filters", "k1", "k2", "w_start", "w_filter", "w_channel", "w_step1", "w_step2",
)  # fmt: skip
#: Sizes of the main kernel; ``rows`` are the lines of a band.
SIZES = (
    "batch", "channels", "filters", "rows", "x1", "x2", "k1", "k2", "y1", "y2",
    "stride1", "stride2", "before1", "before2", "dilation1", "dilation2",
)  # fmt: skip

#: Lines of an image that an item has, at most.
BAND = 32


def fits(t: Tiling) -> Count:
    """Whether a convolution has few channels, and two dimensions at most."""
    ones = ("groups", "k0", "stride0")
    tests = [count("eq", name, 1) for name in ones]
    tests += [count("eq", "before0", 0), count("eq", "x0", "y0")]
    tests += [count("le", "channels", t.lanes // 2), count("lt", 1, count("mul", "k1", "k2"))]
    return all_of(*tests)


def steps(t: Tiling, when: Count = 1) -> Plan:
    """The steps of the kind "inputs", which run ``when`` that is 1, where :func:`fits` holds."""
    taps = count("mul", "k1", "k2")
    wide = count("mul", count("ceildiv", count("mul", taps, "channels"), t.panel), t.panel)
    images = count("mul", "batch", "x0")
    # Some bands for each of a few threads; a band needs some lines more of y than its own.
    wanted = count("ceildiv", 8, count("maximum", images, 1))
    rows = count("minimum", BAND, count("maximum", count("ceildiv", "x1", wanted), 4))
    reach = count("mul", count("sub", "k1", 1), "dilation1")
    lines = count("add", count("floordiv", count("add", rows, reach), "stride1"), 2)
    z = count("mul", count("mul", lines, "y2"), wide)
    tables = count("mul", count("add", count("mul", "x2", count("add", "k2", 1)), "k1"), 16)
    scratch = count("add", count("mul", z, t.itemsize), count("add", tables, 1024))
    filters, main = _functions(t)
    values: dict[str, Count] = {"batch": images, "rows": rows}
    work = count("mul", count("mul", rows, "x2"), count("mul", taps, "filters"))
    return Plan(
        t.dtype,
        (filters, main),
        (("packed", count("select", when, count("mul", "filters", wide), 0)),),
        (
            Step(
                filters.name,
                ("w", "packed"),
                FILTER_SIZES,
                count("select", when, "filters", 0),
                count("add", 1, count("floordiv", 1 << 12, count("add", wide, 1))),
                64,
            ),
            Step(
                main.name,
                ("y", "packed", "x"),
                tuple(values.get(n, n) for n in SIZES),
                count("select", when, count("mul", images, count("ceildiv", "x1", rows)), 0),
                count("add", 1, count("floordiv", 1 << 15, count("add", work, 1))),
                scratch,
            ),
        ),
    )


@from_parameters
def _functions(t: Tiling) -> tuple[Function, Function]:
    return filter_kernel(t), _Columns(t).function()


def filter_kernel(t: Tiling) -> Function:
    """The kernel that copies filters to panels of columns (t, c); an item is a filter."""
    s = {name: Var(name) for name in FILTER_SIZES}
    w, packed = Buffer("w", t.dtype), Buffer("packed", t.dtype)
    f, t1, t2, c, column, panel = (Var(n) for n in ("f", "t1", "t2", "c", "column", "panel"))
    start = add(s["w_start"], mul(f, s["w_filter"]))
    place = add(start, add(mul(t1, s["w_step1"]), mul(t2, s["w_step2"])))
    width, end = index(t.panel), Var("end")
    row = mul(add(mul(panel, s["filters"]), f), width)

    def put(value: Expr) -> Body:
        return (
            Let(panel, op("floordiv", column, width)),
            Store(packed, add(row, sub(column, mul(panel, width))), value),
            Assign(column, add(column, ONE)),
        )

    body = put(Load(w, add(place, mul(c, s["w_channel"]))))
    for var, stop in ((c, s["channels"]), (t2, s["k2"]), (t1, s["k1"])):
        body = (For(var, ZERO, stop, body),)
    # Whole panels are multiplied, and whatever memory holds may be slow to compute with.
    rest = (
        Let(end, mul(ceildiv(column, width), width)),
        For(Var("beyond"), column, end, put(const(0.0, t.dtype))),
    )
    item = For(f, Var("lo"), Var("hi"), (Local(column, ZERO), *body, *rest))
    return Function(
        f"convolution_columns_{t.dtype}_filters", (w, packed), tuple(s.values()), (item,)
    )


class _Columns:
    def __init__(self, t: Tiling) -> None:
        self.t = t
        self.s = {name: Var(name) for name in SIZES}
        self.y, self.packed = Buffer("y", t.dtype), Buffer("packed", t.dtype)
        self.x, self.z = Buffer("x", t.dtype), Buffer("z", t.dtype)
        #: One tap only, which lies at 0; and for each place of a line how many taps meet it,
        #: and where what they got lies from the beginning of its line of z; for each line of
        #: the image the same of lines.
        self.none, self.many = Buffer("none", "int64"), Buffer("many", "int64")
        self.across, self.down = Buffer("across", "int64"), Buffer("down", "int64")

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        t, s = self.t, self.s
        wide, columns = Var("columns"), mul(mul(s["k1"], s["k2"]), s["channels"])
        after = add(index(128), mul(ceildiv(s["x2"], index(8)), index(64)))
        second = add(after, mul(ceildiv(mul(s["x2"], s["k2"]), index(8)), index(64)))
        third = add(second, mul(ceildiv(mul(s["k1"], index(2)), index(8)), index(64)))
        body: Body = (
            Allocate(self.none, index(64)),
            Allocate(self.many, index(128)),
            Allocate(self.across, after),
            Allocate(self.down, second),
            Allocate(self.z, third),
            Store(self.none, ZERO, ZERO),
            Let(wide, mul(ceildiv(columns, index(t.panel)), index(t.panel))),
            *self.line_table(wide),
            For(Var("item"), Var("lo"), Var("hi"), self.item(wide)),
        )
        return Function(
            f"convolution_columns_{t.dtype}",
            (self.y, self.packed, self.x),
            tuple(s.values()),
            body,
            contract=True,
        )

    def line_table(self, wide: Expr) -> Body:
        """Which taps meet each place of a line."""
        s = self.s
        q, tap, number = Var("table_q"), Var("table_t"), Var("table_n")
        from_place = add(mul(tap, s["channels"]), mul(_quotient(s, q, tap, 2), wide))
        found: Body = (
            Store(self.across, add(mul(q, s["k2"]), number), from_place),
            Assign(number, add(number, ONE)),
        )
        meets = _meets(s, q, tap, 2)
        return (
            For(
                q,
                ZERO,
                s["x2"],
                (
                    Local(number, ZERO),
                    For(tap, ZERO, s["k2"], (If(meets, found),)),
                    Store(self.many, q, number),
                ),
            ),
        )

    def item(self, wide: Expr) -> Body:
        """A band of an image: z for the lines of y that it needs, then its places."""
        s = self.s
        bands, image, q0, q1 = Var("bands"), Var("image"), Var("q0"), Var("q1")
        p0, p1, first = Var("p0"), Var("p1"), Var("first")
        reach = mul(sub(s["k1"], ONE), s["dilation1"])
        lowest = ceildiv(sub(add(q0, s["before1"]), reach), s["stride1"])
        highest = add(op("floordiv", sub(add(q1, s["before1"]), ONE), s["stride1"]), ONE)
        item = Var("item")
        return (
            Let(bands, ceildiv(s["x1"], s["rows"])),
            Let(image, op("floordiv", item, bands)),
            Let(q0, mul(sub(item, mul(image, bands)), s["rows"])),
            Let(q1, op("minimum", add(q0, s["rows"]), s["x1"])),
            Let(p0, op("maximum", lowest, ZERO)),
            Let(p1, op("maximum", op("minimum", highest, s["y1"]), p0)),
            Let(first, mul(add(mul(image, s["y1"]), p0), s["y2"])),
            *self.products(first, mul(sub(p1, p0), s["y2"]), wide),
            *self.lines(image, q0, q1, p0, p1, wide),
        )

    def products(self, first: Expr, places: Expr, wide: Expr) -> Body:
        """z of ``places`` of y from place ``first``."""
        t, s = self.t, self.s
        height = t.blocks[0]
        column, at, panel, number = Var("column"), Var("at"), Var("panel_at"), Var("places")
        starts = [Var(f"y_start{i}") for i in range(height)]
        lines = [Var(f"z_line{i}") for i in range(height)]
        # Places that are not there are computed as the last one that is, once more.
        rows = [op("minimum", add(at, index(i)), sub(number, ONE)) for i in range(height)]
        body: Body = (
            *(
                Let(v, mul(add(first, row), s["filters"]))
                for v, row in zip(starts, rows, strict=True)
            ),
            *(Let(v, add(mul(row, wide), column)) for v, row in zip(lines, rows, strict=True)),
            *block(
                t.vectors,
                t.lanes,
                (ZERO, ONE),
                (ZERO, s["filters"]),
                Source(self.y, starts, self.none),
                Panel(self.packed, panel, self.none, t.panel),
                Target(self.z, lines, op("lt", ZERO, ZERO)),
            ),
        )
        blocks = For(at, ZERO, number, body, step=index(height))
        start = Let(panel, mul(column, s["filters"]))
        return (
            Let(number, places),
            For(column, ZERO, wide, (start, blocks), step=index(t.panel)),
        )

    def lines(self, image: Expr, q0: Expr, q1: Expr, p0: Expr, p1: Expr, wide: Expr) -> Body:
        """All places of the band."""
        s, lanes = self.s, self.t.lanes
        q, tap, number = Var("q"), Var("line_tap"), Var("line_number")
        place, j, e = Var("place"), Var("j"), Var("e")
        total, mask = Var("total", self.t.dtype, lanes), Var("there", "bool", lanes)
        z_line = sub(_quotient(s, q, tap, 1), p0)
        p = _quotient(s, q, tap, 1)
        inside = op("and", op("ge", p, p0), op("lt", p, p1))
        where = add(mul(mul(z_line, s["y2"]), wide), mul(mul(tap, s["k2"]), s["channels"]))
        found: Body = (
            Store(self.down, number, where),
            Assign(number, add(number, ONE)),
        )
        base, start, count_here = Var("base"), Var("start"), Var("here")
        at = add(base, Load(self.across, add(start, e)))
        inner: Body = (
            Let(base, Load(self.down, j)),
            For(
                e,
                ZERO,
                count_here,
                (Assign(total, op("add", total, Load(self.z, at, lanes, mask))),),
            ),
        )
        out = mul(add(mul(add(mul(image, s["x1"]), q), s["x2"]), place), s["channels"])
        each: list[Stmt] = [
            Let(count_here, Load(self.many, place)),
            Let(start, mul(place, s["k2"])),
            Local(total, const(0.0, self.t.dtype, lanes)),
            For(j, ZERO, number, inner),
            Store(self.x, out, total, mask),
        ]
        line: Body = (
            Local(number, ZERO),
            For(
                tap,
                ZERO,
                s["k1"],
                (If(op("and", _divides(s, q, tap, 1), inside), found),),
            ),
            For(place, ZERO, s["x2"], tuple(each)),
        )
        return (Let(mask, below(s["channels"], ZERO, lanes)), For(q, q0, q1, line))


def _offset(s: dict[str, Var], q: Expr, tap: Expr, d: int) -> Expr:
    return sub(add(q, s[f"before{d}"]), mul(tap, s[f"dilation{d}"]))


def _quotient(s: dict[str, Var], q: Expr, tap: Expr, d: int) -> Expr:
    return op("floordiv", _offset(s, q, tap, d), s[f"stride{d}"])


def _divides(s: dict[str, Var], q: Expr, tap: Expr, d: int) -> Expr:
    return op("eq", op("mod", _offset(s, q, tap, d), s[f"stride{d}"]), ZERO)


def _meets(s: dict[str, Var], q: Expr, tap: Expr, d: int) -> Expr:
    """Whether ``tap`` brings place ``q`` of the image to one of the result."""
    p = _quotient(s, q, tap, d)
    inside = op("and", op("ge", p, ZERO), op("lt", p, s[f"y{d}"]))
    return op("and", _divides(s, q, tap, d), inside)
