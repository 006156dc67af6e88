"""Filters as a convolution reads them: panels of result channels, by tap and source channel.

A panel holds the weights of ``width`` result channels for some source channels, zeros or anything
where there are no more result channels: a row for each tap and each of those.  The taps of one line
of the filter follow each other; between lines there is a row that means nothing (:func:`row_of`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from croton.kernel.build import add, index, mul, op, ramp, select, shuffle, sub
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
from croton.schedule.convolution.direct.classes import ONE, ZERO
from croton.schedule.counts import Count, all_of, count
from croton.schedule.counts import mul as mul_counts
from croton.schedule.product.pack import Copy, Source, pack, transpose
from croton.schedule.product.tiling import Tiling

#: Elements of a line that are turned before it is asked for some more.
PIECE = 16

#: How filters lie: ``turned`` (0 or 1) exchanges the first and the last tap, and so on; source
#: channels are ``along`` apart, result channels ``across``, and groups ``group``.
LIES = ("turned", "start", "group", "across", "along", "step0", "step1", "step2")
#: Sizes of the kernel: ``inner`` source channels and ``outer`` result channels of a group.
SIZES = ("inner", "outer", "panels", "k0", "k1", "k2", *LIES)

_TAPS = Var("filter_taps")
#: Whether filters are copied by lines, and whether one has all source channels.
_LINES, _WHOLE = Var("filter_lines", "bool"), Var("filter_whole", "bool")


def row_of(k1: Any, k2: Any, channels: Any, taps: Sequence[Any]) -> Any:
    """The row of a panel where that tap begins, if it has so many source ``channels``.

    Lines of taps are apart by one row more than they have: else they would share places of the
    first cache where there are many channels.
    """
    first, second, third = taps
    line = add(mul(k2, channels), ONE)
    return add(mul(add(mul(first, k1), second), line), mul(third, channels))


class Packing:
    """Copies a panel from ``w`` to ``to``; ``rows`` is a table for that.

    ``size``: by the names of :data:`LIES` and ``k0`` to ``k2``; ``channels`` are those that a panel
    has rows for.
    """

    def __init__(
        self,
        t: Tiling,
        w: Buffer,
        to: Buffer,
        rows: Buffer,
        size: Mapping[str, Expr],
        channels: Expr,
    ) -> None:
        self.t, self.w, self.p, self.rows = t, w, to, rows
        self.size, self.channels = size, channels
        self.width = index(t.panel)

    def prepare(self, when: Expr | None = None) -> Body:
        """What is the same for all panels; ``when``: whether there are any to copy by lines."""
        size = self.size
        # Taps that lie side by side, forwards or backwards, are read in order.
        inner = mul(size["k1"], size["k2"])
        order = [(size["step2"], ONE), (size["step1"], size["k2"]), (size["step0"], inner)]
        extents = [size["k2"], size["k1"], size["k0"]]
        runs: Expr | None = None
        for sign in (1, -1):
            found: Expr = op("lt", ZERO, ONE)
            for (step, want), k in zip(order, extents, strict=True):
                same = op("eq", step, want if sign == 1 else sub(ZERO, want))
                found = op("and", found, op("or", same, op("eq", k, ONE)))
            runs = found if runs is None else op("or", runs, found)
        assert runs is not None
        pairs = op("and", op("eq", size["across"], _TAPS), op("lt", ONE, _TAPS))
        lines = op("and", runs, op("or", _WHOLE, pairs))
        return (
            Let(_TAPS, mul(mul(size["k0"], size["k1"]), size["k2"])),
            Let(_WHOLE, op("eq", size["along"], _TAPS)),
            Let(_LINES, lines if when is None else when),
            If(_LINES, self.table()),
        )

    def copy(self, first: Expr, wide: Expr, depth: Expr, to: Expr) -> Body:
        """Copy ``depth`` source channels of ``wide`` result channels.

        The weight of the first ones at the first tap is element ``first``, and goes to ``to``.
        """
        by_lines = self.copy_lines(first, wide, depth, to, fetches=True)
        return (If(_LINES, by_lines, self.tap_by_tap(first, wide, depth, to)),)

    def copy_lines(
        self, first: Expr, wide: Expr, depth: Expr, to: Expr, *, fetches: bool = False
    ) -> Body:
        """The same, where taps lie side by side, and so do those of all source or result channels.

        If it ``fetches``, it asks for lines that it reads later.
        """
        begin, start = Var("filter_first"), Var("filter_to")
        inner, across = Var("filter_channel"), self.size["across"]
        group, every = Var("line_group"), [Var(f"across{i}") for i in range(self.t.lanes)]
        last, places = sub(wide, ONE), Var("filter_places", "int64", self.t.lanes)
        # A result channel's weights are one line: all source channels, and taps of each.  Or the
        # taps of a pair of channels are one, and the result's channels follow each other.
        number, length = select(_WHOLE, ONE, depth), select(_WHOLE, mul(depth, _TAPS), _TAPS)
        line = self.lines(
            every,
            add(begin, mul(inner, self.size["along"])),
            length,
            add(add(start, group), mul(inner, self.width)),
            fetches,
        )
        body: Body = (
            # Lines that are not there are read as the last one that is.
            *(
                Let(v, mul(op("minimum", add(group, index(i)), last), across))
                for i, v in enumerate(every)
            ),
            Let(places, op("mul", op("minimum", ramp(group, self.t.lanes), last), across)),
            For(inner, ZERO, number, line),
        )
        return (
            Let(begin, add(first, self.lowest())),
            Let(start, to),
            For(group, ZERO, self.width, body, step=index(self.t.lanes)),
        )

    def part(self, wide: Expr) -> tuple[Expr, Expr]:
        """The lines of memory that ``wide`` result channels have: how far apart, and the last.

        Either a line for each of them, or those that they share.
        """
        line = index(64 // self.t.itemsize)
        across = self.size["across"]
        near = op("lt", across, line)
        shared = op("floordiv", mul(wide, across), line)
        return select(near, line, across), select(near, shared, sub(wide, ONE))

    def row(self, taps: Sequence[Expr]) -> Expr:
        """The row where a tap begins."""
        found: Expr = row_of(self.size["k1"], self.size["k2"], self.channels, taps)
        return found

    def tap_by_tap(self, first: Expr, wide: Expr, depth: Expr, to: Expr) -> Body:
        """In any order."""
        t, size, width = self.t, self.size, self.width
        taps = [Var(f"t{d}") for d in range(3)]
        there = [Var(f"at{d}") for d in range(3)]
        place: Expr = first
        for d in range(3):
            place = add(place, mul(there[d], size[f"step{d}"]))
        source = Source(self.w, place, size["across"], size["along"], wide, depth)
        copy = Copy(self.p, add(to, mul(self.row(taps), width)), width, width)
        body = pack(t, source, copy)
        for d in (2, 1, 0):
            last = sub(sub(size[f"k{d}"], ONE), taps[d])
            at = select(op("ne", size["turned"], ZERO), last, taps[d])
            body = (For(taps[d], ZERO, size[f"k{d}"], (Let(there[d], at), *body)),)
        return body

    def lowest(self) -> Expr:
        """Where the first of the taps in memory lies, from the first one of a channel."""
        total: Expr = ZERO
        for d in range(3):
            reach = mul(self.size[f"step{d}"], sub(self.size[f"k{d}"], ONE))
            total = add(total, op("minimum", reach, ZERO))
        return total

    def table(self) -> Body:
        """Where each element of a line goes: taps in the order of memory, for each channel."""
        size, channel, number = self.size, Var("table_channel"), Var("table_number")
        taps = [Var(f"table_t{d}") for d in range(3)]
        turned = Var("table_turned", "bool")
        falls = op("lt", add(add(size["step0"], size["step1"]), size["step2"]), ZERO)
        places = [
            select(turned, sub(sub(size[f"k{d}"], ONE), tap), tap) for d, tap in enumerate(taps)
        ]
        body: Body = (
            Store(self.rows, number, mul(add(self.row(places), channel), self.width)),
            Assign(number, add(number, ONE)),
        )
        for d in (2, 1, 0):
            body = (For(taps[d], ZERO, size[f"k{d}"], body),)
        return (
            Let(turned, op("ne", op("ne", size["turned"], ZERO), falls)),
            Local(number, ZERO),
            For(channel, ZERO, select(_WHOLE, self.channels, ONE), body),
        )

    def lines(
        self, across: Sequence[Expr], start: Expr, depth: Expr, to: Expr, fetches: bool
    ) -> Body:
        """Turn ``depth`` elements of a vector of lines to rows, which the table names.

        Lines are ``across`` from ``start``.  A few elements of each are turned at once, of which
        the last ones may have been turned before.
        """
        side, first, out = 16 // self.t.itemsize, Var("line_first"), Var("line_to")
        piece, k, at = Var("line_piece"), Var("line_k"), Var("line_at")
        end, length = Var("line_end"), index(PIECE)
        ahead = add(first, add(piece, index(2 * PIECE)))
        asked = [Prefetch(self.w, add(ahead, line)) for line in across if fetches]
        lone = Load(
            self.w,
            op("add", Var("filter_places", "int64", self.t.lanes), add(first, k)),
            self.t.lanes,
        )
        return (
            Let(first, start),
            Let(out, to),
            If(
                op("le", index(side), depth),
                (
                    For(
                        piece,
                        ZERO,
                        depth,
                        (
                            Let(end, op("minimum", add(piece, length), depth)),
                            *asked,
                            For(
                                k,
                                piece,
                                end,
                                (
                                    Let(at, op("minimum", k, sub(depth, index(side)))),
                                    *self.square(across, add(first, at), at, out),
                                ),
                                step=index(side),
                            ),
                        ),
                        step=length,
                    ),
                ),
                (For(k, ZERO, depth, (Store(self.p, add(out, Load(self.rows, k)), lone),)),),
            ),
        )

    def square(self, across: Sequence[Expr], start: Expr, number: Expr, to: Expr) -> Body:
        """Turn as many elements of each line as 16 bytes hold."""
        lanes, side = self.t.lanes, 16 // self.t.itemsize
        found: list[Stmt] = []
        values: list[Expr] = []
        for i in range(side):
            # Lines so many apart are neighbours in what is read.
            parts: list[Expr] = [
                Load(self.w, add(start, line), side) for line in across[i:lanes:side]
            ]
            while len(parts) > 1:
                pairs = zip(parts[::2], parts[1::2], strict=True)
                parts = [shuffle(a, b, tuple(range(2 * a.lanes))) for a, b in pairs]
            value = Var(f"line_value{i}", self.t.dtype, lanes)
            found.append(Let(value, parts[0]))
            values.append(value)
        return (
            *found,
            *(
                Store(self.p, add(to, Load(self.rows, add(number, index(j)))), turned)
                for j, turned in enumerate(transpose(values, side))
            ),
        )


def pack_kernel(t: Tiling) -> Function:
    """The kernel that copies all panels, one group's after the other's; an item is a panel."""
    size = {name: Var(name) for name in SIZES}
    w, packed, rows = Buffer("w", t.dtype), Buffer("packed", t.dtype), Buffer("rows", "int64")
    item, group, panel, first = Var("item"), Var("item_group"), Var("panel"), Var("first")
    packing = Packing(t, w, packed, rows, size, size["inner"])
    start = add(size["start"], mul(group, size["group"]))
    wide = op("minimum", index(t.panel), sub(size["outer"], first))
    body: Body = (
        Let(group, op("floordiv", item, size["panels"])),
        Let(panel, sub(item, mul(group, size["panels"]))),
        Let(first, mul(panel, index(t.panel))),
        *packing.copy(
            add(start, mul(first, size["across"])),
            wide,
            size["inner"],
            mul(item, panel_size(t, size)),
        ),
    )
    items = For(item, Var("lo"), Var("hi"), body)
    return Function(
        f"convolution_{t.dtype}_pack",
        (w, packed),
        tuple(size.values()),
        (Allocate(rows, index(64)), *packing.prepare(), items),
    )


def in_lines(across: Count, along: Count) -> Count:
    """Whether filters can be copied by lines."""
    wanted: Count = 1
    forth: list[Count] = []
    back: list[Count] = []
    for d in (2, 1, 0):
        step, k = f"w_step{d}", f"k{d}"
        one = count("eq", k, 1)
        forth.append(count("or", one, count("eq", step, wanted)))
        back.append(count("or", one, count("eq", step, count("sub", 0, wanted))))
        wanted = mul_counts(wanted, k)
    pairs = count("and", count("eq", across, wanted), count("lt", 1, wanted))
    side = count("or", all_of(*forth), all_of(*back))
    return count("and", side, count("or", pairs, count("eq", along, wanted)))


def scratch_bytes(t: Tiling, channels: Count) -> Count:
    """Bytes of the table, and some more."""
    taps = count("mul", count("mul", "k0", "k1"), "k2")
    return count("add", count("mul", count("mul", taps, channels), 8), 8 * t.lanes + 128)


def panel_size(t: Tiling, size: Any) -> Any:
    """Elements from panel to panel: a copy may write some rows behind its end."""
    rows = row_of(size["k1"], size["k2"], size["inner"], (size["k0"], ZERO, ZERO))
    return mul(add(rows, index(t.lanes)), index(t.panel))


def panel_count(t: Tiling, channels: Count) -> Count:
    """The same of a plan, for so many source channels."""
    line = count("add", count("mul", "k2", channels), 1)
    rows = count("mul", count("mul", "k0", "k1"), line)
    return count("mul", count("add", rows, t.lanes), t.panel)


def packed_size(t: Tiling, groups: Count, inner: Count, outer: Count) -> Count:
    """Elements of all panels."""
    panels = count("mul", groups, count("ceildiv", outer, t.panel))
    return count("mul", panels, panel_count(t, inner))
