"""Asking for the panel that comes next while the blocks of one are computed."""

from __future__ import annotations

from collections.abc import Mapping

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Body, Buffer, Expr, Let, Part, Prefetch, Var
from croton.schedule.product.micro import STEP
from croton.schedule.product.names import (
    AHEAD,
    EACH,
    FEW,
    K0,
    LINE,
    LINE_PITCH,
    MANY,
    N0,
    N1,
    P0,
    PIECE,
    SLOWER,
    SOME,
    THIS,
)
from croton.schedule.product.strips import BATCH, ONE, ZERO, total
from croton.schedule.product.tiling import Tiling
from croton.schedule.product.ways import ASKS, DEPTH, PANELS


def panel_ahead(t: Tiling, s: Mapping[str, Var]) -> Body:
    """Where the panel that comes next begins."""
    panel = index(t.panel)
    k, column = Var("next_k"), Var("next_column")
    beside, below = add(P0, panel), add(K0, DEPTH)
    last, more = op("ge", beside, N1), op("lt", below, s["k"])
    shared = op("floordiv", add(MANY, add(SOME, FEW)), index(_lines(t)))
    slower: Expr = ZERO
    for shift in range(1, 6):
        slower = add(slower, select(op("ge", EACH, index(1 << shift)), ONE, ZERO))
    return (
        Let(k, select(last, select(more, below, ZERO), K0)),
        Let(column, select(last, select(more, N0, N1), beside)),
        Let(AHEAD, total((BATCH, s["b_batch"]), (k, s["b_inner"]), (column, s["b_panel"]))),
        Let(EACH, op("maximum", shared, ONE)),
        Let(SLOWER, slower),
    )


def _lines(t: Tiling) -> int:
    """Lines that a row of a panel lies in."""
    return -(-t.panel * t.itemsize // 64) + 1


def line_ahead(t: Tiling, b: Buffer, s: Mapping[str, Var]) -> Body:
    """Which lines of the panel that comes next a block asks for, one at a step.

    The first blocks share the first line of each row, then come as many for the middle and
    for the last line.  Where there are many blocks each asks for few lines, so that no more
    are under way at once than need be.
    """
    lines = _lines(t)
    line, part = Var("line_number"), Var("part_of_line")
    # Panels that follow each other in memory come by themselves.
    asks = op("and", op("and", ASKS, op("not", PANELS)), op("lt", line, index(lines)))
    # Without a division: it would take as long as some steps of a block.
    number: Expr = ZERO
    for k in range(1, lines + 1):
        number = add(number, select(op("ge", THIS, mul(EACH, index(k))), ONE, ZERO))
    column = op("minimum", mul(line, index(t.panel // (lines - 1))), index(t.panel - 1))
    row = mul(part, op("shr", PIECE, SLOWER))
    return (
        Let(line, number),
        Let(part, sub(THIS, mul(line, EACH))),
        Let(LINE, add(AHEAD, total((row, s["b_inner"]), (column, s["b_column"])))),
        Part(_lines_of(b), b, LINE),
        Let(LINE_PITCH, select(asks, s["b_inner"], ZERO)),
    )


def prefetch(right: Buffer) -> Body:
    """Ask for a line."""
    number = op("shr", STEP, SLOWER)
    return (Prefetch(_lines_of(right), mul(number, LINE_PITCH), level=2),)


def _lines_of(right: Buffer) -> Buffer:
    """The right factor from the first line on that a block asks for."""
    return Buffer("lines_ahead", right.dtype)
