"""The gradient by the filters, block by block as programs want it, where there are few places.

Sums of few places are soon computed, and to write them in an order and read them again to turn
them takes longer than that.  Here an item has all places in the filter for some channels and
panels of filters: its sums stay in the second cache, where
:class:`croton.schedule.convolution.filters_end.End` turns them for an epilogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op, select, sub
from croton.kernel.machine import Machine
from croton.kernel.nodes import Allocate, Body, Expr, For, Function, Let, Load, Var
from croton.kernel.parameters import from_parameters
from croton.schedule import counts
from croton.schedule.convolution.direct_filters import kernel as sums
from croton.schedule.convolution.direct_filters.cut import ITEMS, LEAST, Cut, cut
from croton.schedule.convolution.direct_filters.kernel import (
    ADDS,
    COLUMN0,
    COLUMN1,
    CONDITIONS,
    DONE,
    F0,
    F1,
    P0,
    PIECE,
    ROWS,
    RUN,
    TAP0,
    TAP1,
    Filters,
    offsets,
)
from croton.schedule.convolution.direct_filters.lines import (
    GROUP0,
    GROUP1,
    LINE0,
    LINE1,
    ONE,
    T0,
    T1,
    T2,
    ZERO,
)
from croton.schedule.convolution.direct_filters.shape import PANELS, Shape, shape
from croton.schedule.convolution.filters_end import M0, M1, N0, N1, End, Whole, scratch_bytes
from croton.schedule.counts import Count, count
from croton.schedule.product import tile
from croton.schedule.steps import Step

#: The part of the second cache that the sums of an item may fill.
SHARE = 2

SIZES = (*sums.SIZES, "backwards")

#: The item's channels, and the first one that it computes.
C0, C1, ROW0 = Var("channel_from"), Var("channel_to"), Var("row_from")
#: From the sums of a place in the filter to those of the next.
PITCH = Var("sums_of_place")


class Way(NamedTuple):
    """How items are cut, of which there are ``blocks`` of channels times groups of panels.

    ``fits`` says whether they are enough, and small enough.
    """

    cut: Cut
    blocks: Count
    fits: Count


def way(t: Shape, machine: Machine) -> Way:
    """How items are cut, for any sizes."""
    c, each = cut(t), tile.LEADING[t.dtype]
    taps, places = (counts.mul(*(f"{n}{d}" for d in range(3))) for n in ("k", "y"))
    blocks, across = count("ceildiv", "channels", each), count("ceildiv", "filters", t.panel)
    rows = each + t.highest
    room = count(
        "floordiv",
        machine.l2 // SHARE,
        count("maximum", 1, counts.mul(t.panel * t.itemsize * rows, taps)),
    )
    work = counts.mul("batch", places, taps, "channels", "filters")
    wanted = count("minimum", ITEMS, count("floordiv", work, LEAST))
    possible = count("mul", blocks, across)
    most = count("minimum", room, count("floordiv", possible, count("maximum", 1, wanted)))
    most = count("maximum", 1, count("minimum", PANELS, most))
    groups = count("ceildiv", across, most)
    panels = count("ceildiv", across, count("maximum", 1, groups))
    groups = count("ceildiv", across, count("maximum", 1, panels))
    pitch = count("mul", panels, t.panel)
    fits = counts.all_of(
        count("eq", "groups", 1),
        count("le", t.highest, "channels"),
        count("le", 1, room),
        count("le", wanted, possible),
    )
    kept = counts.mul(t.itemsize * rows, taps, pitch)
    found = c._replace(
        copied=0, merged=0, stacked=0, turned=0, pieces=1, share=c.lines,
        taps=count("mul", "k0", "k1"), tap_groups=1, panels=panels, panel_groups=groups,
        pitch=0, sums_pitch=pitch, sums_rows=rows, kept_bytes=kept, span=1, group_groups=1,
    )  # fmt: skip
    return Way(found, blocks, fits)


def whole(machine: Machine, dtype: str, when: Count, backwards: bool) -> Whole:
    """The step, where ``when`` holds."""
    t = shape(dtype, machine)
    c, blocks, _ = way(t, machine)
    function = kernel(t)
    values: dict[str, Count] = {**c._asdict(), "backwards": int(backwards)}
    step = Step(
        function.name,
        ("x", "y", "epilogue"),
        tuple(values.get(name, name) for name in SIZES),
        count("select", when, counts.mul(blocks, c.panel_groups), 0),
        1,
        count("add", _start(t) + sums.scratch_bytes(t), c.kept_bytes),
    )
    return Whole(when, function, step)


def _start(t: Shape) -> int:
    """Where the memory for sums begins, behind an epilogue's."""
    return -(-scratch_bytes(t.dtype) // 64) * 64


@from_parameters
def kernel(t: Shape) -> Function:
    """The kernel, for any sizes."""
    return _Handed(t).function()


class _Handed(Filters):
    def __init__(self, t: Shape) -> None:
        super().__init__(t)
        self.end = _Turned(t, self)
        # All sums are kept.
        self.out = self.kept

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        s, item = self.size, Var("item")
        parts = (self.table, self.sums, self.panels, self.kept)
        starts = (_start(self.t) + at for at in offsets(self.t))
        body: Body = (
            *self.end.scratch(),
            *(Allocate(b, index(at)) for b, at in zip(parts, starts, strict=True)),
            # No line is copied.
            Allocate(self.band, index(64)),
            Let(s["joined"], op("ne", Var("joined"), ZERO)),
            *(Let(s[name], const(False, "bool")) for name in CONDITIONS if name != "joined"),
            Let(self.all_kept, const(True, "bool")),
            *self.names(),
            Let(self.end.size["taps"], mul(mul(s["k0"], s["k1"]), s["k2"])),
            Let(PITCH, mul(s["sums_rows"], s["sums_pitch"])),
            For(item, Var("lo"), Var("hi"), self.item(item)),
        )
        return Function(
            f"convolution_filters_{self.t.dtype}_handed",
            (self.x, self.y, self.end.callee),
            tuple(Var(name) for name in SIZES),
            body,
            contract=True,
        )

    def item(self, item: Expr) -> Body:
        """Some channels and panels of filters."""
        s, t = self.size, self.t
        across, panel_group, n_end = Var("item_across"), Var("panel_group"), Var("n_end")
        panels, wide = mul(s["panels"], index(t.panel)), index(tile.LEADING[t.dtype])
        chunk: Body = (
            Let(LINE1, op("minimum", add(LINE0, s["chunk"]), s["lines"])),
            *self.chunk(ZERO),
        )
        taps = self.end.size["taps"]
        block: Body = (
            Let(N1, op("minimum", add(N0, wide), n_end)),
            *self.end.turn(),
            *self.end.hand_over(),
        )
        return (
            Let(across, op("floordiv", item, s["panel_groups"])),
            Let(panel_group, sub(item, mul(across, s["panel_groups"]))),
            *(Let(v, ZERO) for v in (PIECE, GROUP0, TAP0)),
            Let(GROUP1, ONE),
            Let(TAP1, mul(s["k0"], s["k1"])),
            Let(F0, mul(panel_group, panels)),
            Let(F1, op("minimum", add(F0, panels), s["filters"])),
            Let(COLUMN0, F0),
            Let(COLUMN1, F1),
            Let(C0, mul(across, wide)),
            Let(C1, op("minimum", add(C0, wide), s["channels"])),
            # Few channels are computed with some before them: blocks are as high as usual.
            Let(ROW0, op("minimum", C0, sub(C1, index(t.highest)))),
            Let(RUN, sub(C1, ROW0)),
            Let(ROWS, RUN),
            *self.cover(1),
            *self.cover(2),
            # Without places, one empty chunk still stores zeros.
            For(LINE0, ZERO, op("maximum", s["lines"], ONE), chunk, step=s["chunk"]),
            Let(M0, F0),
            Let(M1, F1),
            Let(n_end, mul(C1, taps)),
            For(N0, mul(C0, taps), n_end, block, step=wide),
        )

    def first_row(self) -> Expr:
        """The first row of a run, in what is read for rows."""
        return ROW0

    def corner(self, base: Expr) -> Expr:
        """Where the sums of a run and a panel begin."""
        s = self.size
        tap = add(mul(add(mul(T0, s["k1"]), T1), s["k2"]), T2)
        return add(mul(tap, PITCH), sub(P0, COLUMN0))

    def aside(self, small: Expr) -> Expr:
        """Whether a block's sums cannot be stored at once: there is room, but none adds twice."""
        return op("and", ADDS, op("gt", DONE, ZERO))


class _Turned(End):
    """Turns the sums that an item has kept."""

    def __init__(self, t: Shape, item: Filters) -> None:
        super().__init__(t.dtype, t.lanes, True)
        self.parts, self.item = item.kept, item
        self.size["taps"] = Var("all_taps")

    def start(self, tap: Expr, channel: Expr) -> Expr:
        """Where the sums of a place in the filter and a channel begin."""
        s = self.size
        own = select(op("ne", s["backwards"], ZERO), sub(sub(s["taps"], ONE), tap), tap)
        row = mul(sub(channel, ROW0), self.item.size["sums_pitch"])
        return sub(add(mul(own, PITCH), row), F0)

    def add_up(self, sums: Sequence[Var], places: Sequence[Expr]) -> Body:
        """Load vectors: there is one piece."""
        return tuple(
            Let(v, Load(self.parts, place, self.lanes))
            for v, place in zip(sums, places, strict=True)
        )
