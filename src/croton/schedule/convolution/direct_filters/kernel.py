"""The kernel: every item sums up a part of the filters' gradient over a piece of the places.

An item goes over its places in chunks.  For each chunk it copies panels of the result's gradient
to where they are near, where that pays; for each place in the filter it makes a table of the
lines (:mod:`~croton.schedule.convolution.direct_filters.lines`), and goes over the panels, and over
blocks of rows.
"""

from __future__ import annotations

from croton.kernel.build import add, const, index, mul, op, ramp, select, sub
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
    GROUP0,
    GROUP1,
    LINE0,
    LINE1,
    ONE,
    PER_ROW,
    ROW_PITCH,
    SIDES,
    T0,
    T1,
    T2,
    X_PITCH,
    ZERO,
    Table,
)
from croton.schedule.convolution.direct_filters.shape import CODE, ENTRY, PANELS, Shape, covers
from croton.schedule.convolution.names import EXTENTS, PLACES
from croton.schedule.product.pack import below
from croton.schedule.product.strips import ceildiv, total

#: What the plan decides (:class:`croton.schedule.convolution.direct_filters.cut.Cut`).
CUT = (
    "joined", "copied", "merged", "length", "seg", "lines", "chunk", "share", "pieces",
    "taps", "tap_groups", "panels", "panel_groups", "result", "pitch",
    "stacked", "turned", "sums_pitch", "sums_rows", "kept_bytes",
    "span", "group_groups",
)  # fmt: skip
SIZES = (*EXTENTS, *PLACES, *CUT)
CONDITIONS = ("joined", "copied", "merged", "stacked", "turned")

#: Blocks of rows from which on panels are copied.
COPIES_FROM = 9

#: The item: its piece, its lines of the filter, its filters, and their number in the result.
PIECE, TAP0, TAP1 = Var("piece"), Var("tap0"), Var("tap1")
F0, F1, ALL = Var("f0"), Var("f1"), Var("all_filters")
#: The first place of a chunk and how many there are; whether its sums are added to others.
PLACE0, PLACES_THERE, ADDS = Var("place0"), Var("places_there"), Var("adds", "bool")
#: The columns of its blocks: filters, or a run's rows.
COLUMN0, COLUMN1 = Var("first_column"), Var("end_column")
#: Whether the gradient's panels are copied; if not, where rows that are filters begin.
PANELS_COPIED, ROWS_AT = Var("panels_copied", "bool"), Var("gradient_rows_at")
#: The line of the filter, the first column of a panel and how many it has.
TAP, P0, WIDE = Var("tap"), Var("p0"), Var("wide")
#: Rows of a run, the blocks of each height that cover them, the block, its first row, and the
#: rows that the block before it has done already.
RUN, MANY, SOME, FEW = Var("run_rows"), Var("many"), Var("some"), Var("few")
#: The rows that blocks go over: a run's or, of what is turned, filters.
ROWS = Var("all_rows")
BLOCK, ROW, DONE = Var("block"), Var("block_row"), Var("done")


def scratch_bytes(t: Shape) -> int:
    """Bytes of scratch, but for what an item keeps and the copied lines, which follow."""
    return offsets(t)[-1]


def offsets(t: Shape) -> tuple[int, int, int, int]:
    """Where the table, the sums of a block, the panels and what is kept begin."""
    table = 64
    sums = table + 8 * ENTRY * t.depth
    panels = sums + t.highest * t.panel * t.itemsize
    # Blocks of rows may reach beyond the last place.
    kept = panels + PANELS * (t.depth + t.lanes) * t.panel * t.itemsize
    return table, sums, panels, kept


def kernel(t: Shape) -> Function:
    """The kernel, for any sizes."""
    return Filters(t).function()


class Filters:
    """The statements of the kernel, some of which other kernels have as well."""

    def __init__(self, t: Shape) -> None:
        self.t = t
        self.size: dict[str, Var] = {name: Var(name) for name in SIZES}
        # With all places in one row there is one image of one line.
        self.size |= {name: Var(f"own_{name}") for name in ("x2", "y0", "y1")}
        # Of what is stacked all lines in dimension 1 count as one.
        self.size["own_k1"] = Var("own_k1")
        self.size |= {name: Var(f"is_{name}", "bool") for name in CONDITIONS}
        self.x, self.y = Buffer("x", t.dtype), Buffer("y", t.dtype)
        self.w, self.parts = Buffer("w", t.dtype), Buffer("parts", t.dtype)
        self.out = Buffer("out", t.dtype)
        self.sums, self.panels = Buffer("sums", t.dtype), Buffer("panels", t.dtype)
        self.band, self.table = Buffer("band", t.dtype), Buffer("table", "int64")
        self.kept, self.all_kept = Buffer("kept", t.dtype), Var("is_kept", "bool")
        self.lines = Table(t, self.size, self.x, self.table, self.band)
        self.masks = [Var(f"lanes{v}", "bool", t.lanes) for v in range(2)]
        self.depth = index((t.depth + t.lanes) * t.panel)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        item, parts = Var("item"), (self.table, self.sums, self.panels, self.kept)
        s = self.size
        body = (
            *(Allocate(b, index(at)) for b, at in zip(parts, offsets(self.t), strict=True)),
            Allocate(self.band, add(index(scratch_bytes(self.t)), Var("kept_bytes"))),
            *(Let(s[name], op("ne", Var(name), ZERO)) for name in CONDITIONS),
            Let(self.all_kept, op("or", s["stacked"], s["turned"])),
            *self.names(),
            Let(RUN, mul(mul(s["channels"], select(s["merged"], s["k2"], ONE)), SIDES)),
            Let(ROWS, select(s["turned"], s["filters"], RUN)),
            *self.cover(1),
            *self.cover(2),
            For(item, Var("lo"), Var("hi"), self.item(item)),
        )
        return Function(
            f"convolution_filters_{self.t.dtype}",
            (self.x, self.y, self.w, self.parts),
            tuple(Var(name) for name in SIZES),
            body,
            contract=True,
        )

    def names(self) -> Body:
        """What follows from the sizes and conditions."""
        s = self.size
        return (
            *(
                Let(s[name], select(s["joined"], joined, Var(name)))
                for name, joined in (("x2", s["length"]), ("y0", ONE), ("y1", ONE))
            ),
            Let(s["own_k1"], select(s["stacked"], ONE, s["k1"])),
            Let(SIDES, select(s["stacked"], s["k1"], ONE)),
            Let(PER_ROW, ceildiv(s["length"], s["seg"])),
            Let(ALL, mul(s["groups"], s["filters"])),
            Let(
                X_PITCH,
                mul(
                    s["stride2"],
                    select(s["copied"], mul(s["channels"], SIDES), self.lines.wide),
                ),
            ),
        )

    def cover(self, vectors: int) -> Body:
        """How many blocks of each height cover all rows, for columns of so many vectors."""
        heights = self.t.heights_of(vectors)
        whole, rest = Var(f"whole{vectors}"), Var(f"rest{vectors}")
        code, many, some, few = (Var(f"{n}{vectors}") for n in ("code", "many", "some", "few"))
        shift = mul(op("floordiv", add(rest, ONE), index(2)), index(CODE))

        def bits(start: int) -> Expr:
            return op("and", op("shr", code, index(start)), index(3))

        alone, more = (index(covers(heights, others)) for others in (False, True))
        return (
            Let(whole, op("floordiv", ROWS, index(heights[0]))),
            Let(rest, sub(ROWS, mul(whole, index(heights[0])))),
            Let(code, op("shr", select(op("gt", whole, ZERO), more, alone), shift)),
            Let(many, add(whole, sub(bits(0), ONE))),
            Let(some, bits(2)),
            Let(few, bits(4)),
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
            Let(PIECE, op("floordiv", across, s["group_groups"])),
            Let(GROUP0, mul(sub(across, mul(PIECE, s["group_groups"])), s["span"])),
            Let(GROUP1, op("minimum", add(GROUP0, s["span"]), s["groups"])),
            Let(TAP0, mul(tap_group, s["taps"])),
            Let(TAP1, op("minimum", add(TAP0, s["taps"]), mul(s["k0"], s["own_k1"]))),
            Let(F0, mul(panel_group, panels)),
            Let(F1, op("minimum", add(F0, panels), s["filters"])),
            Let(COLUMN0, select(s["turned"], ZERO, F0)),
            Let(COLUMN1, select(s["turned"], RUN, F1)),
            Let(first, mul(PIECE, s["share"])),
            Let(line_end, op("minimum", add(first, s["share"]), s["lines"])),
            Let(to_parts, op("gt", s["pieces"], ONE)),
            Choose(self.out, to_parts, self.parts, self.w),
            Let(base, mul(PIECE, s["result"])),
            # Without places, one empty chunk still stores zeros.
            For(LINE0, first, op("maximum", line_end, add(first, ONE)), chunk, step=s["chunk"]),
            If(self.all_kept, self.bring(base)),
        )

    def chunk(self, base: Expr) -> Body:
        """One chunk of lines."""
        s, t = self.size, self.t
        copied, start, pitch = PANELS_COPIED, Var("y_start"), Var("y_pitch")
        near_end = Var("near_end", "bool")
        right, near = Buffer("columns", t.dtype), Buffer("gradient", t.dtype)
        first_line = Var("row_of_line")
        row_last = Var("row_of_last")
        height = index(t.heights[0])
        steps = mul(sub(TAP1, TAP0), select(s["merged"], ONE, s["k2"]))
        # Whether there are so many blocks.
        many = op("gt", mul(steps, add(ROWS, height)), mul(height, index(COPIES_FROM)))
        whole = op("eq", op("mod", sub(F1, F0), index(t.lanes)), ZERO)
        slot = add(sub(GROUP, GROUP0), op("floordiv", sub(P0, F0), index(t.panel)))
        pays = op("and", many, op("gt", ALL, index(2 * t.panel)))
        places = mul(mul(mul(s["batch"], s["y0"]), s["y1"]), s["length"])
        end = op("minimum", mul(sub(LINE1, mul(row_last, PER_ROW)), s["seg"]), s["length"])
        panel: Body = (
            Let(WIDE, op("minimum", sub(COLUMN1, P0), index(t.panel))),
            *(Let(m, below(WIDE, index(v * t.lanes), t.lanes)) for v, m in enumerate(self.masks)),
            Let(
                start,
                select(
                    s["turned"],
                    P0,
                    select(
                        copied,
                        mul(slot, self.depth),
                        total((PLACE0, ALL), (GROUP, s["filters"]), (P0, ONE)),
                    ),
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
            # Filters that are rows and fill no vectors, which takes long to copy, are read where
            # they lie, unless a block would reach beyond the last.
            Let(
                near_end,
                op("lt", mul(sub(places, add(PLACE0, PLACES_THERE)), ALL), index(t.highest)),
            ),
            Let(
                copied,
                select(
                    s["turned"],
                    op("or", near_end, whole),
                    op("or", pays, op("not", whole)),
                ),
            ),
            Let(ROW_PITCH, select(copied, index(t.panel), ALL)),
            Let(ROWS_AT, select(copied, ZERO, total((PLACE0, ALL), (GROUP0, s["filters"])))),
            If(copied, self.copy_panels()),
            Choose(near, copied, self.panels, self.y),
            Choose(right, s["turned"], self.band, near),
            Let(pitch, select(s["turned"], X_PITCH, select(copied, index(t.panel), ALL))),
            For(
                TAP,
                TAP0,
                TAP1,
                (
                    Let(T0, op("floordiv", TAP, s["own_k1"])),
                    Let(T1, sub(TAP, mul(T0, s["own_k1"]))),
                    For(
                        T2,
                        ZERO,
                        select(s["merged"], ONE, s["k2"]),
                        (
                            *self.lines.make(),
                            For(
                                GROUP,
                                GROUP0,
                                GROUP1,
                                (For(P0, COLUMN0, COLUMN1, panel, step=index(t.panel)),),
                            ),
                        ),
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
        copies = [
            Store(
                self.panels,
                add(at_to, index(v * t.lanes)),
                Load(self.y, add(at, index(v * t.lanes)), t.lanes, m),
            )
            for v, m in enumerate(mask)
        ]
        second = op("gt", wide, index(t.lanes))
        if t.lanes < max(t.heights[2], t.singles[2]):
            # Where filters are rows, a block of them may reach beyond one vector.
            second = op("or", s["turned"], second)
        step = (
            copies[0],
            If(second, (copies[1],)),
            Assign(at, add(at, ALL)),
            Assign(at_to, add(at_to, index(t.panel))),
        )
        body: Body = (
            Let(wide, op("minimum", sub(F1, P0), index(t.panel))),
            *(Let(m, below(wide, index(v * t.lanes), t.lanes)) for v, m in enumerate(mask)),
            Let(start, total((PLACE0, ALL), (GROUP, s["filters"]), (P0, ONE))),
            # An item has several groups, or several panels of one.
            Let(
                to,
                mul(
                    add(sub(GROUP, GROUP0), op("floordiv", sub(P0, F0), index(t.panel))),
                    self.depth,
                ),
            ),
            Local(at, start),
            Local(at_to, to),
            For(place, ZERO, PLACES_THERE, step),
            *(
                Store(self.panels, add(at_to, index(i)), const(0.0, t.dtype, t.lanes))
                for i in range(0, t.highest, t.lanes)
            ),
        )
        panels = For(P0, F0, F1, body, step=index(t.panel))
        return (For(GROUP, GROUP0, GROUP1, (panels,)),)

    def rows(self, y: Gradient, base: Expr) -> Body:
        """All rows of a run, for one panel, by blocks."""
        s, t = self.size, self.t
        big, middle, low = (Var(f"{name}_height") for name in ("big", "middle", "low"))
        early, late, two = Var("early", "bool"), Var("late", "bool"), Var("two", "bool")
        height, natural, aside = Var("height"), Var("natural"), Var("aside", "bool")
        x_buffer, target = Buffer("image", t.dtype), Buffer("target", t.dtype)
        corner, where, start, pitch = Var("corner"), Var("where"), Var("to_start"), Var("to_pitch")
        blocks, row_pitch = Var("blocks"), Var("row_pitch")
        goal_of_all, rows_near = Buffer("goal", t.dtype), Buffer("image_near", t.dtype)
        turned_rows = Buffer("gradient_rows", t.dtype)
        present, adds = Var("present"), Var("block_adds", "bool")
        first = select(
            late,
            add(mul(MANY, big), mul(SOME, middle)),
            select(early, ZERO, mul(MANY, big)),
        )
        position = sub(BLOCK, select(late, add(MANY, SOME), select(early, ZERO, MANY)))
        ahead, fresh, later = Var("ahead"), Var("fresh", "bool"), Var("later", "bool")
        x_pitch, channel0 = Var("rows_pitch"), Var("channel0")
        lines = Lines(self.table, COUNT)
        walks, walk = Var("walks", "bool"), Var("walk_from")
        asks = Ahead(Buffer("asked", t.dtype), later, ahead, walks, walk, ALL)
        goal = Target(target, start, pitch, adds)

        def some(vectors: int, which: int) -> Body:
            image = Image(x_buffer, add(ROW, channel0), x_pitch)
            height = t.heights_of(vectors)[which]
            return block(t, height, vectors, lines, image, y, goal, asks)

        next_image = mul(PLACES_THERE, x_pitch)
        # The next block's rows end so far behind; the last block asks for the next chunk's.
        image_ahead = select(
            op("lt", add(BLOCK, ONE), blocks), sub(mul(big, index(2)), ONE), next_image
        )
        image_ahead = select(fresh, image_ahead, ZERO)
        # The gradient's next chunk is asked for vector by vector: by the first block for each
        # line of the filter, or where image lines are not copied, by blocks of later panels.
        lone = select(op("eq", BLOCK, ZERO), sub(TAP, TAP0), index(2))
        number = select(s["copied"], lone, BLOCK)
        gradient_ahead = add(mul(PLACES_THERE, y.pitch), mul(number, index(t.lanes)))
        gradient_ahead = select(op("lt", number, index(2)), gradient_ahead, ZERO)
        panel0 = select(s["turned"], ZERO, P0)
        # Where the gradient was copied, it is walked through from where that ended.
        end = total(
            (add(PLACE0, PLACES_THERE), ALL),
            (GROUP, s["filters"]),
            (panel0, ONE),
            (number, index(t.lanes)),
        )
        full = select(two, index(t.panel), index(t.lanes))
        body: Body = (
            Let(early, op("lt", BLOCK, MANY)),
            Let(late, op("ge", BLOCK, add(MANY, SOME))),
            Let(height, select(early, big, select(late, low, middle))),
            Let(natural, add(first, mul(position, height))),
            # A block that reaches beyond the run begins earlier, unless the copy has room.
            Let(
                ROW,
                select(
                    s["copied"],
                    natural,
                    op("minimum", natural, sub(ROWS, height)),
                ),
            ),
            Let(DONE, sub(natural, ROW)),
            Let(present, op("minimum", height, sub(ROWS, ROW))),
            Let(aside, self.aside(op("or", op("lt", present, height), op("lt", WIDE, full)))),
            Let(row_pitch, select(self.all_kept, s["sums_pitch"], ALL)),
            Let(where, add(corner, mul(ROW, row_pitch))),
            Choose(goal_of_all, self.all_kept, self.kept, self.out),
            Choose(target, aside, self.sums, goal_of_all),
            Let(start, select(aside, ZERO, where)),
            Let(pitch, select(aside, index(t.panel), row_pitch)),
            Let(adds, op("and", ADDS, op("not", aside))),
            Let(ahead, select(later, gradient_ahead, image_ahead)),
            Let(walk, select(op("lt", number, index(2)), end, ZERO)),
            If(
                two,
                (If(early, some(2, 0), (If(late, some(2, 2), some(2, 1)),)),),
                (If(early, some(1, 0), some(1, 1)),),
            ),
            If(aside, self.finish(where, present, row_pitch)),
        )
        return (
            Let(two, op("gt", WIDE, index(t.lanes))),
            *(Let(v, select(two, Var(f"{v.name}2"), Var(f"{v.name}1"))) for v in (MANY, SOME, FEW)),
            *(
                Let(v, select(two, index(double), index(single)))
                for v, double, single in zip(
                    (big, middle, low), t.heights_of(2), t.heights_of(1), strict=True
                )
            ),
            Let(channel0, self.first_row()),
            Let(x_pitch, select(s["turned"], ROW_PITCH, X_PITCH)),
            Choose(rows_near, s["copied"], self.band, self.x),
            Choose(turned_rows, PANELS_COPIED, self.panels, self.y),
            Choose(x_buffer, s["turned"], turned_rows, rows_near),
            Let(corner, self.corner(base)),
            Let(blocks, add(MANY, add(SOME, FEW))),
            # What is read for the first time is asked for ahead.
            Let(fresh, _all(op("eq", TAP, TAP0), op("eq", T2, ZERO))),
            Let(later, op("or", s["copied"], _all(fresh, op("gt", P0, F0)))),
            Let(walks, op("and", later, op("or", PANELS_COPIED, s["turned"]))),
            Choose(asks.buffer, later, self.y, self.x),
            For(BLOCK, ZERO, blocks, body),
        )

    def first_row(self) -> Expr:
        """The first row of a run, in what is read for rows."""
        s = self.size
        return select(s["turned"], ROWS_AT, select(s["copied"], ZERO, mul(GROUP, s["channels"])))

    def corner(self, base: Expr) -> Expr:
        """Where the sums of a run and a panel begin."""
        s = self.size
        tap = add(mul(add(mul(T0, s["k1"]), T1), s["k2"]), T2)
        return select(
            self.all_kept,
            add(mul(sub(TAP, TAP0), mul(s["sums_rows"], s["sums_pitch"])), sub(P0, COLUMN0)),
            total((mul(tap, s["channels"]), ALL), (base, ONE), (GROUP, s["filters"]), (P0, ONE)),
        )

    def aside(self, small: Expr) -> Expr:
        """Whether a block's sums cannot be stored at once; ``small``: some of them mean nothing."""
        return _all(op("not", self.all_kept), op("or", small, op("gt", DONE, ZERO)))

    def finish(self, where: Expr, present: Expr, pitch: Expr) -> Body:
        """Bring the sums of a block that has less than its rows or columns to the result."""
        t, row = self.t, Var("sums_row")
        body: list[Stmt] = []
        for v, mask in enumerate(self.masks):
            value, at = Var(f"value{v}", t.dtype, t.lanes), Var(f"value_at{v}")
            source = add(mul(row, index(t.panel)), index(v * t.lanes))
            more = op("add", value, Load(self.out, at, t.lanes, mask))
            bring: Body = (
                Let(at, add(add(where, mul(row, pitch)), index(v * t.lanes))),
                Local(value, Load(self.sums, source, t.lanes)),
                If(ADDS, (Assign(value, more),)),
                Store(self.out, at, value, mask),
            )
            # Blocks of one vector have not computed the second one.
            body += [If(op("lt", index(v * t.lanes), WIDE), bring)] if v else bring
        return (For(row, DONE, present, tuple(body)),)

    def bring(self, base: Expr) -> Body:
        """Bring the sums that an item has kept to the result, in its order."""
        s, t = self.size, self.t
        inner, along, rows = Var("kept_inner"), Var("kept_along"), Var("kept_rows")
        step, side, one, f = Var("kept_step"), Var("kept_side"), Var("kept_one"), Var("kept_filter")
        source, to, by_row, by_filter = (
            Var(f"kept_{name}") for name in ("from", "to", "by_row", "by_filter")
        )
        mask, lanes_at = Var("kept_lanes", "bool", t.lanes), Var("kept_at", "int64", t.lanes)
        copy: Body = (
            Let(mask, below(sub(F1, F0), f, t.lanes)),
            Let(lanes_at, add(mul(ramp(f, t.lanes), by_filter), source)),
            Store(self.out, add(to, f), Load(self.kept, lanes_at, t.lanes, mask), mask),
        )
        row: Body = (
            Let(
                source,
                add(
                    mul(sub(TAP, TAP0), rows),
                    mul(total((step, mul(SIDES, inner)), (side, inner), (one, ONE)), by_row),
                ),
            ),
            Let(
                to,
                total(
                    (total((TAP, RUN), (side, mul(along, inner)), (step, inner), (one, ONE)), ALL),
                    (base, ONE),
                    (GROUP, s["filters"]),
                    (F0, ONE),
                ),
            ),
            For(f, ZERO, sub(F1, F0), copy, step=index(t.lanes)),
        )
        loops: Body = (For(one, ZERO, inner, row),)
        for var, stop in ((side, SIDES), (step, along)):
            loops = (For(var, ZERO, stop, loops),)
        return (
            Let(GROUP, GROUP0),
            Let(along, select(s["stacked"], s["k2"], ONE)),
            Let(inner, select(s["stacked"], s["channels"], RUN)),
            Let(rows, mul(s["sums_rows"], s["sums_pitch"])),
            Let(by_row, select(s["turned"], ONE, s["sums_pitch"])),
            Let(by_filter, select(s["turned"], s["sums_pitch"], ONE)),
            For(TAP, TAP0, TAP1, loops),
        )


def _all(*conditions: Expr) -> Expr:
    result = conditions[0]
    for condition in conditions[1:]:
        result = op("and", result, condition)
    return result
