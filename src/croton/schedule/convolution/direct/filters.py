"""Filters as a convolution reads them: panels of result channels, by tap and source channel.

Panel p of a group holds result channels ``[p * width, (p + 1) * width)``, zeros where there are no
more: row ``tap * channels + c`` of it has their weights for that tap and source channel.
"""

from __future__ import annotations

from typing import Any

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Body,
    Buffer,
    Expr,
    For,
    Function,
    If,
    Let,
    Load,
    Prefetch,
    Store,
    Var,
)
from croton.schedule.convolution.direct.classes import ONE, ZERO
from croton.schedule.counts import Count, count
from croton.schedule.product.pack import Copy, Source, below, pack, part, transpose
from croton.schedule.product.tiling import Tiling

#: Sizes of the kernel: ``turned`` (0 or 1) exchanges the first and the last tap, and so on.
SIZES = (
    "inner", "outer", "panels", "k0", "k1", "k2", "turned",
    "start", "group", "across", "along", "step0", "step1", "step2",
)  # fmt: skip

_S = {name: Var(name) for name in SIZES}
_FROM, _TO, _WIDE, _TAPS = Var("from"), Var("to"), Var("wide"), Var("taps")


def pack_kernel(t: Tiling) -> Function:
    """The kernel that copies them; an item is a panel of a group.

    ``inner`` source channels are ``along`` apart, ``outer`` result channels ``across``, and groups
    ``group``.
    """
    return _Packing(t).function()


class _Packing:
    def __init__(self, t: Tiling) -> None:
        self.t = t
        self.w, self.p = Buffer("w", t.dtype), Buffer("packed", t.dtype)
        self.rows = Buffer("rows", "int64")
        self.width = index(t.panel)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        size, width = _S, self.width
        item, group, panel, first = Var("item"), Var("item_group"), Var("panel"), Var("first")
        taps = mul(mul(size["k0"], size["k1"]), size["k2"])
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
        side, many = Var("side_by_side", "bool"), op("lt", ONE, _TAPS)
        lines = op("and", side, op("and", many, op("eq", size["along"], _TAPS)))
        lanes = op("and", side, op("and", many, op("eq", size["across"], _TAPS)))
        body: Body = (
            Let(group, op("floordiv", item, size["panels"])),
            Let(panel, sub(item, mul(group, size["panels"]))),
            Let(first, mul(panel, width)),
            Let(_WIDE, op("minimum", width, sub(size["outer"], first))),
            Let(
                _FROM,
                add(add(size["start"], mul(group, size["group"])), mul(first, size["across"])),
            ),
            Let(_TO, mul(item, panel_size(self.t, size))),
            Let(side, runs),
            If(
                lines,
                self.whole_lines(),
                (If(lanes, self.line_by_line(), self.tap_by_tap()),),
            ),
        )
        items = For(item, Var("lo"), Var("hi"), body)
        return Function(
            f"convolution_{self.t.dtype}_pack",
            (self.w, self.p),
            tuple(size.values()),
            (Let(_TAPS, taps), Allocate(self.rows, index(64)), items),
        )

    def tap_by_tap(self) -> Body:
        """In any order."""
        t, size, width = self.t, _S, self.width
        taps = [Var(f"t{d}") for d in range(3)]
        there = [Var(f"at{d}") for d in range(3)]
        number: Expr = taps[0]
        for d in (1, 2):
            number = add(mul(number, size[f"k{d}"]), taps[d])
        place: Expr = _FROM
        for d in range(3):
            place = add(place, mul(there[d], size[f"step{d}"]))
        source = Source(self.w, place, size["across"], size["along"], _WIDE, size["inner"])
        copy = Copy(self.p, add(_TO, mul(mul(number, size["inner"]), width)), width, width)
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
            reach = mul(_S[f"step{d}"], sub(_S[f"k{d}"], ONE))
            total = add(total, op("minimum", reach, ZERO))
        return total

    def table(self, channels: Expr) -> Body:
        """Where each element of a line goes: taps in the order of memory, for each channel.

        What is read beyond the end of a line goes behind the panel, or to rows that later lines
        write.
        """
        tap, channel, at = Var("table_tap"), Var("table_channel"), Var("table_at")
        falls = op("lt", add(add(_S["step0"], _S["step1"]), _S["step2"]), ZERO)
        turned = op("ne", op("ne", _S["turned"], ZERO), falls)
        place = select(turned, sub(sub(_TAPS, ONE), tap), tap)
        row = mul(add(mul(place, _S["inner"]), channel), self.width)
        beyond = add(sub(mul(_TAPS, _S["inner"]), _S["inner"]), add(channels, at))
        count = mul(channels, _TAPS)
        lanes = index(self.t.lanes)
        return (
            For(
                channel,
                ZERO,
                channels,
                (For(tap, ZERO, _TAPS, (Store(self.rows, add(mul(channel, _TAPS), tap), row),)),),
            ),
            For(at, ZERO, lanes, (Store(self.rows, add(count, at), mul(beyond, self.width)),)),
        )

    def whole_lines(self) -> Body:
        """A result channel's weights are one line: all source channels, and taps of each."""
        depth = mul(_S["inner"], _TAPS)
        return (
            *self.table(_S["inner"]),
            *self.lines(add(_FROM, self.lowest()), depth, _TO),
        )

    def line_by_line(self) -> Body:
        """The taps of a pair of channels are a line; the result's channels follow each other."""
        inner = Var("line_channel")
        start = add(add(_FROM, self.lowest()), mul(inner, _S["along"]))
        to = add(_TO, mul(inner, self.width))
        return (
            *self.table(ONE),
            For(inner, ZERO, _S["inner"], self.lines(start, _TAPS, to)),
        )

    def lines(self, start: Expr, depth: Expr, to: Expr) -> Body:
        """Transpose lines, ``across`` apart, square by square, to rows as the table says."""
        t = self.t
        lanes, side = t.lanes, 16 // t.itemsize
        k, group, mask = Var("line_k"), Var("line_group"), Var("line_mask", "bool", lanes)
        last = sub(_WIDE, ONE)
        places = [Var(f"line_at{i}") for i in range(side)]
        values = [Var(f"line_value{i}", t.dtype, lanes) for i in range(side)]
        turned = [Var(f"line_turned{i}", t.dtype, lanes) for i in range(side)]
        first, out = Var("line_first"), Var("line_to")
        # Lines that are not there are read as the last one that is.
        rows = [op("minimum", add(group, index(i)), last) for i in range(side)]
        square: Body = (
            *(
                Let(p, add(first, add(mul(row, _S["across"]), k)))
                for p, row in zip(places, rows, strict=True)
            ),
            *(Prefetch(self.w, add(p, index(4 * lanes))) for p in places),
            *(Let(v, Load(self.w, p, lanes, mask)) for v, p in zip(values, places, strict=True)),
            *(Let(v, e) for v, e in zip(turned, transpose(list(values), side), strict=True)),
            *(
                Store(
                    self.p,
                    add(add(out, group), Load(self.rows, add(k, index(i)))),
                    part(turned[i % side], i - i % side, side),
                )
                for i in range(lanes)
            ),
        )
        squares = For(group, ZERO, self.width, square, step=index(side))
        body: Body = (Let(mask, below(depth, k, lanes)), squares)
        return (Let(first, start), Let(out, to), For(k, ZERO, depth, body, step=index(lanes)))


def scratch_bytes(t: Tiling, inner: Count) -> Count:
    """Bytes of scratch of the kernel: for its table."""
    taps = count("mul", count("mul", "k0", "k1"), "k2")
    return count("add", count("mul", count("mul", taps, inner), 8), 8 * t.lanes + 128)


def panel_size(t: Tiling, size: Any) -> Any:
    """Elements from panel to panel: a copy may write some rows behind its end."""
    rows = mul(mul(size["k0"], mul(size["k1"], size["k2"])), size["inner"])
    return mul(add(rows, index(t.lanes)), index(t.panel))


def packed_size(t: Tiling, groups: Count, inner: Count, outer: Count) -> Count:
    """Elements of all panels."""
    taps = count("mul", count("mul", "k0", "k1"), "k2")
    rows = count("add", count("mul", taps, inner), t.lanes)
    panels = count("mul", groups, count("ceildiv", outer, t.panel))
    return count("mul", count("mul", panels, rows), t.panel)
