"""The kernel: every item sums up a part of the filters' gradient over a piece of the places.

An item goes over its places in chunks.  For each chunk it copies panels of the result's gradient
to where they are near, where that pays; for each place in the filter it makes a table of the
lines (:mod:`~croton.schedule.convolution.direct_filters.lines`), and goes over the panels, and over
blocks of rows.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Choose,
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
from croton.schedule.convolution.direct_filters.block import (
    Ahead,
    Gradient,
    Image,
    Lines,
    Target,
    block,
)
from croton.schedule.convolution.direct_filters.lines import (
    COUNT,
    GROUP,
    LINE0,
    LINE1,
    ONE,
    PER_ROW,
    T0,
    T1,
    T2,
    ZERO,
    Table,
)
from croton.schedule.convolution.direct_filters.shape import ENTRY, PANELS, Shape
from croton.schedule.convolution.names import EXTENTS, PLACES
from croton.schedule.product.pack import below
from croton.schedule.product.strips import ceildiv, total

#: What the plan decides (:class:`croton.schedule.convolution.direct_filters.cut.Cut`).
CUT = (
    "joined", "copied", "merged", "length", "seg", "lines", "chunk", "share", "pieces",
    "taps", "tap_groups", "panels", "panel_groups", "result", "pitch",
)  # fmt: skip
SIZES = (*EXTENTS, *PLACES, *CUT)

#: Big blocks that are replaced by pairs of those of the middle height at most.
PAIRS = 1

#: Blocks of rows from which on panels are copied.
COPIES_FROM = 9

#: The item: its piece, its lines of the filter, its filters, and their number in the result.
PIECE, TAP0, TAP1 = Var("piece"), Var("tap0"), Var("tap1")
F0, F1, ALL = Var("f0"), Var("f1"), Var("all_filters")
#: The first place of a chunk and how many there are; whether its sums are added to others.
PLACE0, PLACES_THERE, ADDS = Var("place0"), Var("places_there"), Var("adds", "bool")
#: The line of the filter, the first filter of a panel and how many it has.
TAP, P0, WIDE = Var("tap"), Var("p0"), Var("wide")
#: Rows of a run, the blocks of each height that cover them, the block, its first row, and the
#: rows that the block before it has done already.
RUN, MANY, SOME, FEW = Var("run_rows"), Var("many"), Var("some"), Var("few")
BLOCK, ROW, DONE = Var("block"), Var("block_row"), Var("done")


def scratch_bytes(t: Shape) -> int:
    """Bytes of scratch, but for the copied lines, which follow."""
    return _offsets(t)[-1]


def _offsets(t: Shape) -> tuple[int, int, int, int]:
    """Where the table, the sums of a block, the panels and the copied lines begin."""
    table = 64
    sums = table + 8 * ENTRY * t.depth
    panels = sums + t.heights[0] * t.panel * t.itemsize
    # A copy may write a vector's worth of rows behind its end.
    band = panels + PANELS * (t.depth + t.lanes) * t.panel * t.itemsize
    return table, sums, panels, band


def kernel(t: Shape) -> Function:
    """The kernel, for any sizes."""
    return _Filters(t).function()


class _Filters:
    def __init__(self, t: Shape) -> None:
        self.t = t
        self.size: dict[str, Var] = {name: Var(name) for name in SIZES}
        # With all places in one row there is one image of one line.
        self.size |= {name: Var(f"own_{name}") for name in ("x2", "y0", "y1")}
        self.size |= {name: Var(f"is_{name}", "bool") for name in ("joined", "copied", "merged")}
        self.x, self.y = Buffer("x", t.dtype), Buffer("y", t.dtype)
        self.w, self.parts = Buffer("w", t.dtype), Buffer("parts", t.dtype)
        self.out = Buffer("out", t.dtype)
        self.sums, self.panels = Buffer("sums", t.dtype), Buffer("panels", t.dtype)
        self.band, self.table = Buffer("band", t.dtype), Buffer("table", "int64")
        self.lines = Table(t, self.size, self.x, self.table, self.band)
        self.masks = [Var(f"lanes{v}", "bool", t.lanes) for v in range(2)]
        self.depth = index((t.depth + t.lanes) * t.panel)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        item, parts = Var("item"), (self.table, self.sums, self.panels, self.band)
        s = self.size
        whole = ("joined", "copied", "merged")
        body = (
            *(Allocate(b, index(at)) for b, at in zip(parts, _offsets(self.t), strict=True)),
            *(Let(s[name], op("ne", Var(name), ZERO)) for name in whole),
            *(
                Let(s[name], select(s["joined"], joined, Var(name)))
                for name, joined in (("x2", s["length"]), ("y0", ONE), ("y1", ONE))
            ),
            Let(PER_ROW, ceildiv(s["length"], s["seg"])),
            Let(ALL, mul(s["groups"], s["filters"])),
            *self.heights(),
            For(item, Var("lo"), Var("hi"), self.item(item)),
        )
        return Function(
            f"convolution_filters_{self.t.dtype}",
            (self.x, self.y, self.w, self.parts),
            tuple(Var(name) for name in SIZES),
            body,
            contract=True,
        )

    def heights(self) -> Body:
        """How many blocks of each height cover the rows of a run."""
        s = self.size
        big, middle, low = self.t.heights
        whole, rest, fewer, after = (Var(f"run_{n}") for n in ("whole", "rest", "fewer", "after"))
        # Pairs of blocks of the middle height do for big ones and a few rows.
        slack = 2 * middle - big
        wanted = ceildiv(rest, index(slack))
        swapped = _all(op("le", wanted, index(PAIRS)), op("le", wanted, whole))
        more = op("gt", after, index(middle + low))
        one = _all(op("gt", after, index(low)), op("le", after, index(middle + low)))
        some_low = _all(op("gt", after, ZERO), op("le", after, index(low)))
        few = op("or", some_low, _all(op("gt", after, index(middle)), op("not", more)))
        return (
            Let(RUN, mul(s["channels"], select(s["merged"], s["k2"], ONE))),
            Let(whole, op("floordiv", RUN, index(big))),
            Let(rest, sub(RUN, mul(whole, index(big)))),
            Let(fewer, select(swapped, wanted, ZERO)),
            Let(after, select(swapped, ZERO, rest)),
            Let(MANY, add(sub(whole, fewer), select(more, ONE, ZERO))),
            Let(SOME, add(mul(fewer, index(2)), select(one, ONE, ZERO))),
            Let(FEW, select(few, ONE, ZERO)),
        )

    def item(self, item: Expr) -> Body:
        """One part of the result, for one piece of the places."""
        s = self.size
        rest, across, tap_group, panel_group = (
            Var(n) for n in ("item_rest", "item_across", "tap_group", "panel_group")
        )
        line_end, to_parts, base = Var("line_end"), Var("to_parts", "bool"), Var("base")
        panels = mul(s["panels"], index(self.t.panel))
        chunk: Body = (
            Let(LINE1, op("minimum", add(LINE0, s["chunk"]), line_end)),
            *self.chunk(base),
        )
        first = Var("piece_start")
        return (
            Let(rest, op("floordiv", item, s["tap_groups"])),
            Let(tap_group, sub(item, mul(rest, s["tap_groups"]))),
            Let(across, op("floordiv", rest, s["panel_groups"])),
            Let(panel_group, sub(rest, mul(across, s["panel_groups"]))),
            Let(PIECE, op("floordiv", across, s["groups"])),
            Let(GROUP, sub(across, mul(PIECE, s["groups"]))),
            Let(TAP0, mul(tap_group, s["taps"])),
            Let(TAP1, op("minimum", add(TAP0, s["taps"]), mul(s["k0"], s["k1"]))),
            Let(F0, mul(panel_group, panels)),
            Let(F1, op("minimum", add(F0, panels), s["filters"])),
            Let(first, mul(PIECE, s["share"])),
            Let(line_end, op("minimum", add(first, s["share"]), s["lines"])),
            Let(to_parts, op("gt", s["pieces"], ONE)),
            Choose(self.out, to_parts, self.parts, self.w),
            Let(base, mul(PIECE, s["result"])),
            # Without places, one empty chunk still stores zeros.
            For(LINE0, first, op("maximum", line_end, add(first, ONE)), chunk, step=s["chunk"]),
        )

    def chunk(self, base: Expr) -> Body:
        """One chunk of lines."""
        s, t = self.size, self.t
        copied, start, pitch = Var("panels_copied", "bool"), Var("y_start"), Var("y_pitch")
        right, first_line = Buffer("gradient", t.dtype), Var("row_of_line")
        row_last = Var("row_of_last")
        blocks = mul(
            mul(sub(TAP1, TAP0), select(s["merged"], ONE, s["k2"])), add(MANY, add(SOME, FEW))
        )
        whole = op("eq", op("mod", sub(F1, F0), index(t.lanes)), ZERO)
        pays = op("and", op("ge", blocks, index(COPIES_FROM)), op("gt", ALL, index(t.panel)))
        end = op("minimum", mul(sub(LINE1, mul(row_last, PER_ROW)), s["seg"]), s["length"])
        panel: Body = (
            Let(WIDE, op("minimum", sub(F1, P0), index(t.panel))),
            *(Let(m, below(WIDE, index(v * t.lanes), t.lanes)) for v, m in enumerate(self.masks)),
            Let(
                start,
                select(
                    copied,
                    mul(op("floordiv", sub(P0, F0), index(t.panel)), self.depth),
                    total((PLACE0, ALL), (GROUP, s["filters"]), (P0, ONE)),
                ),
            ),
            *self.rows(Gradient(right, start, pitch), base),
        )
        return (
            Let(ADDS, op("gt", LINE0, mul(PIECE, s["share"]))),
            Let(first_line, op("floordiv", LINE0, PER_ROW)),
            *self.lines.first(),
            Let(
                PLACE0,
                add(
                    mul(first_line, s["length"]),
                    mul(sub(LINE0, mul(first_line, PER_ROW)), s["seg"]),
                ),
            ),
            Let(row_last, op("floordiv", sub(LINE1, ONE), PER_ROW)),
            Let(PLACES_THERE, sub(add(mul(row_last, s["length"]), end), PLACE0)),
            Let(copied, op("or", pays, op("not", whole))),
            If(copied, self.copy_panels()),
            Choose(right, copied, self.panels, self.y),
            Let(pitch, select(copied, index(t.panel), ALL)),
            For(
                TAP,
                TAP0,
                TAP1,
                (
                    Let(T0, op("floordiv", TAP, s["k1"])),
                    Let(T1, sub(TAP, mul(T0, s["k1"]))),
                    For(
                        T2,
                        ZERO,
                        select(s["merged"], ONE, s["k2"]),
                        (*self.lines.make(), For(P0, F0, F1, panel, step=index(t.panel))),
                    ),
                ),
            ),
        )

    def copy_panels(self) -> Body:
        """Copy the panels of the result's gradient for the chunk."""
        t, s = self.t, self.size
        wide, place, mask = Var("copy_wide"), Var("copy_place"), self.masks
        start, to = Var("panel_from"), Var("panel_to")
        at, at_to = Var("panel_at"), Var("panel_at_to")
        step: list[Stmt] = []
        for v, m in enumerate(mask):
            step.append(
                Store(
                    self.panels,
                    add(at_to, index(v * t.lanes)),
                    Load(self.y, add(at, index(v * t.lanes)), t.lanes, m),
                )
            )
        step += [Assign(at, add(at, ALL)), Assign(at_to, add(at_to, index(t.panel)))]
        body: Body = (
            Let(wide, op("minimum", sub(F1, P0), index(t.panel))),
            *(Let(m, below(wide, index(v * t.lanes), t.lanes)) for v, m in enumerate(mask)),
            Let(start, total((PLACE0, ALL), (GROUP, s["filters"]), (P0, ONE))),
            Let(to, mul(op("floordiv", sub(P0, F0), index(t.panel)), self.depth)),
            Local(at, start),
            Local(at_to, to),
            For(place, ZERO, PLACES_THERE, tuple(step)),
        )
        return (For(P0, F0, F1, body, step=index(t.panel)),)

    def rows(self, y: Gradient, base: Expr) -> Body:
        """All rows of a run, for one panel, by blocks."""
        s, t = self.size, self.t
        big, middle, low = t.heights
        early, late, two = Var("early", "bool"), Var("late", "bool"), Var("two", "bool")
        height, natural, aside = Var("height"), Var("natural"), Var("aside", "bool")
        x_buffer, target = Buffer("image", t.dtype), Buffer("target", t.dtype)
        corner, where, start, pitch = Var("corner"), Var("where"), Var("to_start"), Var("to_pitch")
        blocks = Var("blocks")
        present, adds = Var("present"), Var("block_adds", "bool")
        first = select(
            late,
            add(mul(MANY, index(big)), mul(SOME, index(middle))),
            select(early, ZERO, mul(MANY, index(big))),
        )
        position = sub(BLOCK, select(late, add(MANY, SOME), select(early, ZERO, MANY)))
        wide = select(s["copied"], s["channels"], self.lines.wide)
        ahead, fresh, later = Var("ahead"), Var("fresh", "bool"), Var("later", "bool")
        x_pitch = Var("x_pitch")
        lines = Lines(self.table, COUNT)
        asks = Ahead(Buffer("asked", t.dtype), later, ahead)
        goal = Target(target, start, pitch, adds)

        def variant(height_: int) -> Body:
            image = Image(x_buffer, ROW, x_pitch)
            return (
                If(
                    two,
                    block(t, height_, 2, lines, image, y, goal, asks),
                    block(t, height_, 1, lines, image, y, goal, asks),
                ),
            )

        # The next block's rows end so far behind; the last block asks for the next chunk's.
        image_ahead = select(
            op("lt", add(BLOCK, ONE), blocks), index(2 * big - 1), mul(PLACES_THERE, x_pitch)
        )
        image_ahead = select(fresh, image_ahead, ZERO)
        # The gradient's next chunk is asked for vector by vector: by the first block for each
        # line of the filter, or where image lines are not copied, by blocks of later panels.
        lone = select(op("eq", BLOCK, ZERO), sub(TAP, TAP0), index(2))
        number = select(s["copied"], lone, BLOCK)
        gradient_ahead = add(mul(PLACES_THERE, y.pitch), mul(number, index(t.lanes)))
        gradient_ahead = select(op("lt", number, index(2)), gradient_ahead, ZERO)
        full = select(two, index(t.panel), index(t.lanes))
        body: Body = (
            Let(early, op("lt", BLOCK, MANY)),
            Let(late, op("ge", BLOCK, add(MANY, SOME))),
            Let(height, select(early, index(big), select(late, index(low), index(middle)))),
            Let(natural, add(first, mul(position, height))),
            # A block that reaches beyond the run begins earlier, unless the copy has room.
            Let(
                ROW,
                select(
                    s["copied"],
                    natural,
                    op("minimum", natural, sub(RUN, height)),
                ),
            ),
            Let(DONE, sub(natural, ROW)),
            Let(present, op("minimum", height, sub(RUN, ROW))),
            Let(
                aside,
                op(
                    "or",
                    op("or", op("lt", present, height), op("gt", DONE, ZERO)),
                    op("lt", WIDE, full),
                ),
            ),
            Let(where, add(corner, mul(ROW, ALL))),
            Choose(target, aside, self.sums, self.out),
            Let(start, select(aside, ZERO, where)),
            Let(pitch, select(aside, index(t.panel), ALL)),
            Let(adds, op("and", ADDS, op("not", aside))),
            Let(ahead, select(later, gradient_ahead, image_ahead)),
            If(early, variant(big), (If(late, variant(low), variant(middle)),)),
            If(aside, self.finish(where, present)),
        )
        tap = add(mul(add(mul(T0, s["k1"]), T1), s["k2"]), T2)
        return (
            Let(two, op("gt", WIDE, index(t.lanes))),
            Let(x_pitch, mul(s["stride2"], wide)),
            Choose(x_buffer, s["copied"], self.band, self.x),
            Let(
                corner,
                total(
                    (mul(tap, s["channels"]), ALL),
                    (base, ONE),
                    (GROUP, s["filters"]),
                    (P0, ONE),
                ),
            ),
            Let(blocks, add(MANY, add(SOME, FEW))),
            # What is read for the first time is asked for ahead.
            Let(fresh, _all(op("eq", TAP, TAP0), op("eq", T2, ZERO))),
            Let(later, op("or", s["copied"], _all(fresh, op("gt", P0, F0)))),
            Choose(asks.buffer, later, y.buffer, self.x),
            For(BLOCK, ZERO, blocks, body),
        )

    def finish(self, where: Expr, present: Expr) -> Body:
        """Bring the sums of a block that has less than its rows or columns to the result."""
        t, row = self.t, Var("sums_row")
        body: list[Stmt] = []
        for v, mask in enumerate(self.masks):
            value, at = Var(f"value{v}", t.dtype, t.lanes), Var(f"value_at{v}")
            source = add(mul(row, index(t.panel)), index(v * t.lanes))
            more = op("add", value, Load(self.out, at, t.lanes, mask))
            body += [
                Let(at, add(add(where, mul(row, ALL)), index(v * t.lanes))),
                Local(value, Load(self.sums, source, t.lanes)),
                If(ADDS, (Assign(value, more),)),
                Store(self.out, at, value, mask),
            ]
        return (For(row, DONE, present, tuple(body)),)


def _all(*conditions: Expr) -> Expr:
    result = conditions[0]
    for condition in conditions[1:]:
        result = op("and", result, condition)
    return result
