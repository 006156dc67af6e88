"""The table of the lines of a chunk for one place in the filter, and the copy of its lines.

Lines of the result that meet the image only outside of it are left out.  Of the others the
table holds the part that meets it; where lines are copied, all, with zeros for what is outside.
"""

from __future__ import annotations

from collections.abc import Mapping

from croton.kernel.build import add, const, index, mul, op, select, sub
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
from croton.schedule.product.pack import below
from croton.schedule.product.strips import ceildiv, total

ZERO, ONE = index(0), index(1)

#: The first line of a chunk and the one behind its last, ...
LINE0, LINE1 = Var("line0"), Var("line1")
#: ... the first line's image, place in dimensions 0 and 1, and number in its row, ...
FIRST = tuple(Var(f"first_{name}") for name in ("image", "p0", "p1", "part"))
#: ... and how many lines a row has.
PER_ROW = Var("lines_of_row")
#: The place in the filter, the group, and the item's first one and the one behind its last.
T0, T1, T2, GROUP = Var("t0"), Var("t1"), Var("t2"), Var("group")
GROUP0, GROUP1 = Var("group0"), Var("group1")
#: Lanes of the vectors with which lines are stacked: few channels mostly.
SHORT = 4
#: Lines of the image that are copied side by side, and elements from place to place.
SIDES, X_PITCH = Var("sides"), Var("x_pitch")
#: Elements from place to place of the gradient, where its filters are rows.
ROW_PITCH = Var("gradient_pitch")
#: How many lines the table has.
COUNT = Var("lines_there")


class Table:
    """Makes the table; ``size`` are the kernel's sizes."""

    def __init__(
        self, t: Shape, size: Mapping[str, Var], x: Buffer, table: Buffer, band: Buffer
    ) -> None:
        self.t = t
        self.size = size
        self.x = x
        self.table = table
        self.band = band
        #: Elements of all channels of a place in the image.
        self.wide = mul(size["groups"], size["channels"])

    def first(self) -> Body:
        """Find the first line of the chunk."""
        s = self.size
        row, plane, image, p0 = Var("row"), Var("plane"), *FIRST[:2]
        return (
            Let(row, op("floordiv", LINE0, PER_ROW)),
            Let(FIRST[3], sub(LINE0, mul(row, PER_ROW))),
            Let(plane, op("floordiv", row, s["y1"])),
            Let(FIRST[2], sub(row, mul(plane, s["y1"]))),
            Let(image, op("floordiv", plane, s["y0"])),
            Let(p0, sub(plane, mul(image, s["y0"]))),
        )

    def make(self) -> Body:
        """Make the table for the place T0, T1, T2 in the filter; declares COUNT."""
        s = self.size
        n, p0, p1, part = (Var(name) for name in ("at_image", "at_p0", "at_p1", "at_part"))
        line, base, start, stop = Var("at_line"), Var("at_place"), Var("start"), Var("stop")
        q0, q1, q2 = Var("q0"), Var("q1"), Var("q2")
        shift, low, high = Var("shift"), Var("inside_from"), Var("inside_to")
        begin, number, origin = Var("begin"), Var("number"), Var("origin")
        copied, slot_places = s["copied"], Var("places_of_slot")
        there = Var("line_there", "bool")
        entry = mul(COUNT, index(ENTRY))
        q_line = add(mul(add(mul(n, s["x0"]), q0), s["x1"]), q1)
        bounds: Body = (
            Let(slot_places, op("floordiv", s["pitch"], op("maximum", X_PITCH, ONE))),
            Let(shift, sub(mul(T2, s["dilation2"]), s["before2"])),
            # The first place of a row that meets the image, and the one behind the last.
            Let(low, ceildiv(op("maximum", sub(ZERO, shift), ZERO), s["stride2"])),
            Let(
                high, op("floordiv", add(sub(s["x2"], shift), sub(s["stride2"], ONE)), s["stride2"])
            ),
        )
        find: Body = (
            Let(start, mul(part, s["seg"])),
            Let(stop, op("minimum", add(start, s["seg"]), s["length"])),
            Let(q0, total((p0, s["stride0"]), (T0, s["dilation0"]), (s["before0"], index(-1)))),
            Let(q1, total((p1, s["stride1"]), (T1, s["dilation1"]), (s["before1"], index(-1)))),
            Let(begin, select(copied, start, op("maximum", start, low))),
            Let(number, sub(select(copied, stop, op("minimum", stop, high)), begin)),
            Let(q2, add(mul(begin, s["stride2"]), shift)),
            Let(origin, mul(q_line, mul(s["x2"], self.wide))),
            Let(
                there,
                _all(
                    _inside(q0, s["x0"]),
                    op("or", s["stacked"], _inside(q1, s["x1"])),
                    op("gt", number, ZERO),
                ),
            ),
        )
        in_result, in_image = Var("in_result"), Var("in_image")
        slot = mul(COUNT, s["pitch"])
        direct = add(origin, mul(q2, self.wide))
        keep: Body = (
            If(copied, self.copy(slot, origin, q1, q2, number)),
            Let(in_result, add(base, sub(begin, start))),
            Let(in_image, select(copied, slot, direct)),
            Store(
                self.table,
                entry,
                select(s["turned"], mul(in_result, ROW_PITCH), in_image),
            ),
            Store(
                self.table,
                add(entry, ONE),
                select(s["turned"], mul(COUNT, slot_places), in_result),
            ),
            Store(self.table, add(entry, index(2)), number),
            Assign(COUNT, add(COUNT, ONE)),
        )
        step: Body = (
            Assign(base, add(base, sub(stop, start))),
            Assign(part, add(part, ONE)),
            If(
                op("eq", part, PER_ROW),
                (
                    Assign(part, ZERO),
                    Assign(p1, add(p1, ONE)),
                    If(
                        op("eq", p1, s["y1"]),
                        (
                            Assign(p1, ZERO),
                            Assign(p0, add(p0, ONE)),
                            If(
                                op("eq", p0, s["y0"]),
                                (Assign(p0, ZERO), Assign(n, add(n, ONE))),
                            ),
                        ),
                    ),
                ),
            ),
        )
        return (
            *bounds,
            *(Local(v, f) for v, f in zip((n, p0, p1, part), FIRST, strict=True)),
            Local(base, ZERO),
            Local(COUNT, ZERO),
            For(line, LINE0, LINE1, (*find, If(there, keep), *step)),
        )

    def copy(self, to: Expr, origin: Expr, q1: Expr, q2: Expr, number: Expr) -> Body:
        """Copy the places from ``q2`` of the image's line at ``origin``, for so many places."""
        s = self.size
        taps, columns = Var("taps_beyond"), Var("columns")
        before, inside = Var("columns_before"), Var("columns_inside")
        last = op("minimum", columns, sub(s["x2"], q2))
        start = Var("run_from")
        return (
            Let(taps, select(s["merged"], sub(s["k2"], ONE), ZERO)),
            Let(
                columns,
                add(ONE, total((sub(number, ONE), s["stride2"]), (taps, s["dilation2"]))),
            ),
            Let(before, _clip(sub(ZERO, q2), columns)),
            Let(inside, op("maximum", sub(last, before), ZERO)),
            # Of what is copied, an item has one group.
            Let(
                start,
                total((origin, ONE), (add(q2, before), self.wide), (GROUP0, s["channels"])),
            ),
            If(
                s["stacked"],
                self.stack(to, start, q1, columns, before, inside),
                self.alone(to, start, columns, before, inside),
            ),
            # Blocks reach beyond the last column: memory may hold what is slow to compute with.
            *self.zeros(
                "zeros_after",
                add(to, mul(columns, mul(s["channels"], SIDES))),
                index(max(self.t.highest, self.t.lanes)),
            ),
        )

    def alone(self, to: Expr, start: Expr, columns: Expr, before: Expr, inside: Expr) -> Body:
        """Copy one line.

        Zeros are written before, then what is there, then zeros behind: whole vectors, of which
        the next ones write over what is too much.
        """
        s, channels = self.size, self.size["channels"]
        behind = Var("columns_behind")
        runs, long, at = Var("runs"), Var("run_length"), Var("run")
        lone = op("eq", s["groups"], ONE)
        return (
            Let(behind, sub(columns, add(before, inside))),
            *self.zeros("zeros_before", to, mul(before, channels)),
            # The channels of all places are one run, unless those of other groups are between.
            Let(runs, select(lone, ONE, inside)),
            Let(long, select(lone, mul(inside, channels), channels)),
            For(
                at,
                ZERO,
                runs,
                self.run(
                    add(to, mul(add(before, at), channels)),
                    add(start, mul(at, self.wide)),
                    long,
                ),
            ),
            *self.zeros(
                "zeros_behind", add(to, mul(add(before, inside), channels)), mul(behind, channels)
            ),
        )

    def stack(
        self, to: Expr, start: Expr, q1: Expr, columns: Expr, before: Expr, inside: Expr
    ) -> Body:
        """Copy the lines that the filter meets in dimension 1 side by side, place by place."""
        s, lanes = self.size, min(SHORT, self.t.lanes)
        side, channel, mask = Var("side"), Var("channel"), Var("channels_there", "bool", lanes)
        first, behind, pitch = Var("side_from"), Var("side_behind"), Var("side_pitch")
        source, goal = Var("column_from"), Var("column_to")
        zeros = const(0.0, self.t.dtype, lanes)
        there = _inside(add(q1, mul(side, s["dilation1"])), s["x1"])

        def part(name: str, begin: Expr, end: Expr, value: Expr) -> Stmt:
            step: Body = (
                Store(self.band, goal, value, mask),
                Assign(goal, add(goal, pitch)),
                Assign(source, add(source, self.wide)),
            )
            return For(Var(name), begin, end, step)

        body: Body = (
            Let(mask, below(s["channels"], channel, lanes)),
            Local(goal, total((side, s["channels"]), (to, ONE), (channel, ONE))),
            # The columns before are not in the image.
            Local(
                source,
                total(
                    (side, mul(s["dilation1"], mul(s["x2"], self.wide))),
                    (start, ONE),
                    (first, mul(self.wide, index(-1))),
                    (channel, ONE),
                ),
            ),
            part("stacked_before", ZERO, first, zeros),
            part("stacked_inside", first, behind, Load(self.x, source, lanes, mask)),
            part("stacked_behind", behind, columns, zeros),
        )
        return (
            Let(pitch, mul(s["channels"], SIDES)),
            For(
                side,
                ZERO,
                SIDES,
                (
                    Let(first, select(there, before, columns)),
                    Let(behind, select(there, add(before, inside), columns)),
                    For(channel, ZERO, s["channels"], body, step=index(lanes)),
                ),
            ),
        )

    def zeros(self, name: str, to: Expr, number: Expr) -> Body:
        """Write at least ``number`` zeros."""
        at, lanes = Var(name), self.t.lanes
        store = Store(self.band, add(to, at), const(0.0, self.t.dtype, lanes))
        return (For(at, ZERO, number, (store,), step=index(lanes)),)

    def run(self, to: Expr, start: Expr, number: Expr) -> Body:
        """Copy ``number`` neighbours."""
        lanes = self.t.lanes
        at, whole, first, line, later = (
            Var(f"copy_{n}") for n in ("at", "whole", "from", "to", "later")
        )
        rest, s = Var("copy_rest"), self.size
        # The next chunk needs the same of later lines.
        ahead = mul(mul(sub(LINE1, LINE0), mul(s["stride1"], s["x2"])), self.wide)
        mask = Var("copied_lanes", "bool", lanes)
        return (
            Let(first, start),
            Let(line, to),
            Let(later, add(start, ahead)),
            Let(whole, sub(number, index(lanes - 1))),
            For(
                at,
                ZERO,
                whole,
                (
                    Prefetch(self.x, add(later, at), level=2),
                    Store(self.band, add(line, at), Load(self.x, add(first, at), lanes)),
                ),
                step=index(lanes),
            ),
            Let(rest, op("and", number, index(-lanes))),
            If(
                op("lt", rest, number),
                (
                    Let(mask, below(number, rest, lanes)),
                    Store(
                        self.band,
                        add(line, rest),
                        Load(self.x, add(first, rest), lanes, mask),
                    ),
                ),
            ),
        )


def _inside(place: Expr, extent: Expr) -> Expr:
    return op("and", op("ge", place, ZERO), op("lt", place, extent))


def _clip(value: Expr, most: Expr) -> Expr:
    return op("minimum", op("maximum", value, ZERO), most)


def _all(*conditions: Expr) -> Expr:
    result = conditions[0]
    for condition in conditions[1:]:
        result = op("and", result, condition)
    return result
