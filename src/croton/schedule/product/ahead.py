"""Asking for the panel that comes next while the blocks of one are computed."""

from __future__ import annotations

from collections.abc import Mapping

from croton.kernel.build import add, index, mul, op, select
from croton.kernel.nodes import Body, Buffer, Let, Var
from croton.schedule.product.micro import Asked
from croton.schedule.product.names import (
    AHEAD,
    K0,
    LINE,
    LINE_PITCH,
    N0,
    N1,
    P0,
    THIS,
)
from croton.schedule.product.strips import BATCH, ZERO, total
from croton.schedule.product.tiling import Tiling
from croton.schedule.product.ways import ASKS, DEPTH, PANELS


def panel_ahead(t: Tiling, s: Mapping[str, Var]) -> Body:
    """Where the panel that comes next begins."""
    panel = index(t.panel)
    k, column = Var("next_k"), Var("next_column")
    beside, below = add(P0, panel), add(K0, DEPTH)
    last, more = op("ge", beside, N1), op("lt", below, s["k"])
    return (
        Let(k, select(last, select(more, below, ZERO), K0)),
        Let(column, select(last, select(more, N0, N1), beside)),
        Let(AHEAD, total((BATCH, s["b_batch"]), (k, s["b_inner"]), (column, s["b_panel"]))),
    )


def _lines(t: Tiling) -> int:
    """Lines that a row of a panel lies in."""
    return -(-t.panel * t.itemsize // 64) + 1


def line_ahead(t: Tiling, b: Buffer, s: Mapping[str, Var], every: int = 1) -> tuple[Body, Asked]:
    """Which line of each row of the panel that comes next a block asks for, one at a step.

    The first blocks ask for the first, the middle and the last line, the others for none.  Where
    they ask at ``every`` so many steps only, as many of them share a line.
    """
    lines = _lines(t)
    number, first = op("floordiv", THIS, index(every)), op("mod", THIS, index(every))
    column = op("minimum", mul(number, index(t.panel // (lines - 1))), index(t.panel - 1))
    # Panels that follow each other in memory come by themselves.
    far = op("and", ASKS, op("not", PANELS))
    body = (
        Let(LINE, op("and", far, op("lt", number, index(lines)))),
        Let(LINE_PITCH, select(LINE, s["b_inner"], ZERO)),
    )
    start = add(add(AHEAD, mul(column, s["b_column"])), mul(first, LINE_PITCH))
    return body, Asked(Buffer("lines_ahead", b.dtype), b, start, LINE_PITCH, 2)
