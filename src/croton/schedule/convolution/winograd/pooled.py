"""Winograd convolutions that hand the lines of a block to a pooling.

A pooled place's window lies in one tile, so a line of tiles has whole windows.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Allocate, Body, Buffer, Call, Expr, For, Function, Let, Var
from croton.schedule.convolution import region
from croton.schedule.convolution.winograd.geometry import (
    COUNT,
    DOWN,
    FIRST,
    GROUP,
    SIZE,
    TOP,
    line,
)
from croton.schedule.convolution.winograd.kernel import APART, HELD, LINE0, Winograd
from croton.schedule.convolution.winograd.products import N0, N1, WIDE
from croton.schedule.convolution.winograd.result import Places
from croton.schedule.product import tile
from croton.schedule.product.strips import ONE, ZERO, ceildiv
from croton.schedule.product.tiling import Tiling

#: Places that lines are handed on together up to.
_PLACES = 128

_POOL = {name: Var(name) for name in region.SIZES}


class _Pooled(Winograd):
    ending, tile_start = "_pooled", region.TILE

    def __init__(self, t: Tiling, reach: int, taps: int | None, narrow: bool) -> None:
        super().__init__(t, reach, True, taps, narrow)
        self.sizes += tuple(_POOL.values())

    def hand_over(self) -> Body:
        """Transform some lines of an image back at a time, and call the pooling for them."""
        size, leading = SIZE["side"], index(self.t.leading)
        image, number, first, stop = (Var(f"call_{n}") for n in ("image", "line", "first", "stop"))
        top, left, high, wide = (Var(f"call_{n}") for n in ("top", "left", "high", "wide"))
        row, long, most, end = Var("call_row"), Var("long", "bool"), Var("most"), Var("block_end")
        below = Buffer("below", "int64")
        pitch = select(long, op("floordiv", APART, index(self.t.itemsize)), mul(wide, leading))
        start = sub(mul(sub(TOP, top), row), mul(left, leading))
        places = Places(self.y, start, row, leading, WIDE, False)
        before = mul(GROUP, SIZE["filters"])
        ranges = (*_pooled(1, top, high), *_pooled(2, left, wide))
        numbers = (add(before, N0), add(before, N1), *ranges, top, left, row, ZERO)
        lines = (*line(number), *self.transform_back(sub(number, LINE0), places))
        calls: Body = (
            Let(
                stop,
                op("minimum", add(first, most), op("minimum", mul(add(image, ONE), DOWN), end)),
            ),
            Let(top, mul(sub(first, mul(image, DOWN)), size)),
            Let(high, op("minimum", mul(sub(stop, first), size), sub(SIZE["rows"], top))),
            For(number, first, stop, lines),
            *region.header(below, numbers),
            Call(self.callee, image, add(image, ONE), below),
        )
        begin = op("maximum", LINE0, mul(image, DOWN))
        until = op("minimum", mul(add(image, ONE), DOWN), end)
        images = op("floordiv", LINE0, DOWN), ceildiv(end, DOWN)
        return (
            Allocate(below, index(64)),
            Let(end, add(LINE0, HELD)),
            Let(left, mul(FIRST, size)),
            Let(wide, op("minimum", mul(COUNT, size), sub(SIZE["columns"], left))),
            # Of a line that is long each row has room for as many places as a tile.
            Let(long, op("lt", index(tile.ROWS), mul(wide, size))),
            Let(row, pitch),
            Let(most, op("maximum", op("floordiv", index(_PLACES), mul(wide, size)), ONE)),
            For(image, *images, (For(first, begin, until, calls, step=most),)),
        )


def _pooled(d: int, place: Expr, extent: Expr) -> tuple[Expr, Expr]:
    """The pooled places whose windows begin at one of so many places of dimension ``d``."""
    step = _POOL[f"step{d}"]
    end = op("minimum", ceildiv(add(place, extent), step), _POOL[f"pools{d}"])
    return ceildiv(place, step), end


def pooled_kernel(t: Tiling, reach: int, taps: int | None, narrow: bool) -> Function:
    """The kernel; see :func:`croton.schedule.convolution.winograd.kernel.kernel`."""
    return _Pooled(t, reach, taps, narrow).function()
