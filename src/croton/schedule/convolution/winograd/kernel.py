"""The kernel of a Winograd convolution: an item is a block of tiles and some of the filters.

It computes V, the transformed image; then for each few columns (filters) it multiplies V
with U, the transformed filters, at every point, and transforms the products back.  V and the
products stay in the second cache, or near it.  Items that are other columns of the same block
compute V again: that costs less than what one core writes costs another one to read.
"""

from __future__ import annotations

from collections.abc import Callable

from croton.kernel.build import add, const, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Body,
    Buffer,
    Call,
    Expr,
    For,
    Function,
    If,
    Let,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.winograd.geometry import (
    COUNT,
    DOWN,
    FIRST,
    GROUP,
    IMAGE,
    LINES,
    RESULT_PITCH,
    SEGMENTS,
    SIZE,
    SIZES,
    TOP,
    begin,
    counts,
    line,
    segment,
)
from croton.schedule.convolution.winograd.image import transform_line
from croton.schedule.convolution.winograd.matrices import numbers_of_taps
from croton.schedule.convolution.winograd.products import (
    N0,
    N1,
    TALL,
    WIDE,
    heights,
    multiply,
)
from croton.schedule.convolution.winograd.result import Places, Products, transform_back
from croton.schedule.product import tile
from croton.schedule.product.micro import Target
from croton.schedule.product.strips import ONE, ZERO, ceildiv, total
from croton.schedule.product.tiling import Tiling

#: Sizes of the kernel besides ``SIZES``: columns of an item, those whose products are held at a
#: time, and elements from slice to slice of the products, and from point to point.
OWN_SIZES = ("take", "chunk", "m_slice", "m_point")
#: With an epilogue: bytes from one row's tile to the next, where each row of a line has its own.
EPILOGUE_SIZES = ("apart",)

#: The first line of a block, and how many lines and tiles it has.
LINE0, HELD, ROWS = Var("first_line"), Var("held_lines"), Var("block_tiles")
APART = Var("apart")
#: The columns of the item end there, and so many of them are held at a time.
END, CHUNK = Var("end_column"), Var("chunk")


def slice_width(t: Tiling, epilogue: bool) -> int:
    """Columns of a slice of the products: those of an epilogue's tile, or a panel."""
    return t.leading if epilogue else max(t.panel, t.leading // 2)


def kernel(
    t: Tiling, reach: int, epilogue: bool, taps: int | None = None, narrow: bool = False
) -> Function:
    """The kernel that stores the result, or hands its blocks to an epilogue.

    ``taps`` of the filter in a dimension, if they are known.  ``narrow``: panels that have filters
    for one vector only take half the time, and the kernel is longer.
    """
    return Winograd(t, reach, epilogue, taps, narrow).function()


class Winograd:
    """Makes the kernel."""

    #: What its name has, always and with an epilogue; bytes before an epilogue's tile.
    kind, ending, tile_start = "", "_epilogue", tile.TILE

    def __init__(
        self, t: Tiling, reach: int, epilogue: bool, taps: int | None, narrow: bool
    ) -> None:
        self.t, self.reach, self.epilogue, self.narrow = t, reach, epilogue, narrow
        self.taps = numbers_of_taps(reach, taps)
        self.known = "" if taps is None else f"_{taps}"
        self.points = reach**2
        self.x, self.u = Buffer("x", t.dtype), Buffer("u", t.dtype)
        self.v, self.m = Buffer("v", t.dtype), Buffer("m", t.dtype)
        self.y = Buffer("tile" if epilogue else "y", t.dtype)
        self.callee = Buffer("epilogue", "int64")
        self.width = slice_width(t, epilogue)
        self.products = Target(self.m, ZERO, index(self.width))
        names = SIZES + OWN_SIZES + (EPILOGUE_SIZES if epilogue else ())
        self.sizes = tuple(Var(n) for n in names)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        name = f"winograd{self.reach}_{self.t.dtype}" + self.kind
        name += self.ending if self.epilogue else ""
        name += ("_narrow" if self.narrow else "") + self.known
        item, rest, part, number = Var("item"), Var("item_rest"), Var("part"), Var("block")
        parts, blocks = Var("parts"), Var("blocks")
        above, across = Var("block_line"), Var("block_segment")
        group, filters = SIZE["group"], SIZE["filters"]
        body: Body = (
            Let(rest, op("floordiv", item, blocks)),
            Let(number, sub(item, mul(rest, blocks))),
            Let(GROUP, op("floordiv", rest, parts)),
            Let(part, sub(rest, mul(GROUP, parts))),
            Let(above, op("floordiv", number, SEGMENTS)),
            Let(across, sub(number, mul(above, SEGMENTS))),
            Let(LINE0, mul(above, group)),
            Let(HELD, op("minimum", group, sub(LINES, LINE0))),
            *segment(across),
            Let(ROWS, mul(HELD, COUNT)),
            *heights(self.t, ROWS),
            *self.transform(),
            Let(END, op("minimum", filters, mul(add(part, ONE), Var("take")))),
            For(N0, mul(part, Var("take")), END, self.columns(), step=CHUNK),
        )
        last = self.callee if self.epilogue else self.y
        return Function(
            name,
            (self.x, self.u, last),
            self.sizes,
            (
                *self.counts(),
                Let(blocks, mul(ceildiv(LINES, group), SEGMENTS)),
                Let(parts, op("maximum", ceildiv(filters, Var("take")), ONE)),
                *self.scratch(),
                For(item, Var("lo"), Var("hi"), body),
            ),
            contract=True,
        )

    def counts(self) -> Body:
        """How many tiles, lines and blocks there are: of the result."""
        return counts(SIZE["rows"], SIZE["columns"])

    def scratch(self) -> Body:
        """The parts of the scratch memory."""
        size = self.t.itemsize
        start: Expr = index(64)
        if self.epilogue:
            start = add(mul(APART, SIZE["side"]), start)
        products = mul(index(self.points * size), Var("m_point"))
        parts: list[Stmt] = []
        if self.epilogue:
            parts.append(Allocate(self.y, index(64 + self.tile_start)))
        return (
            *parts,
            Allocate(self.m, start),
            Allocate(self.v, add(products, start)),
        )

    def transform(self) -> Body:
        """Compute V for the block."""
        at, start = Var("held_line"), Var("line_v")
        return (
            For(
                at,
                ZERO,
                HELD,
                (
                    *line(add(LINE0, at)),
                    Let(start, mul(mul(at, COUNT), SIZE["v_row"])),
                    *self.transform_line(start),
                ),
            ),
            *self.clear(),
        )

    def transform_line(self, start: Expr) -> Body:
        """Compute V for a line, from that place on."""
        return transform_line(self.t, self.reach, self.x, self.v, start)

    def clear(self) -> Body:
        """Zeros for the tiles that steps have behind the last one.

        Those mean nothing, but what memory holds may be slow to compute with.
        """
        at, point, channel = Var("clear_tile"), Var("clear_point"), Var("clear_channel")
        low, lanes = index(self.t.blocks[1]), self.t.lanes
        place = total((point, SIZE["v_point"]), (at, SIZE["v_row"]), (channel, ONE))
        body: Body = (Store(self.v, place, const(0.0, self.t.dtype, lanes)),)
        for var, start, stop, step in (
            (channel, ZERO, SIZE["channels"], index(lanes)),
            (point, ZERO, index(self.points), ONE),
            (at, ROWS, add(TALL, mul(ceildiv(sub(ROWS, TALL), low), low)), ONE),
        ):
            body = (For(var, start, stop, body, step=step),)
        return body

    def columns(self) -> Body:
        """Some columns of the block."""
        return (
            Let(N1, op("minimum", add(N0, CHUNK), END)),
            Let(WIDE, sub(N1, N0)),
            *multiply(self.t, self.points, self.u, self.v, self.products, self.width, self.narrow),
            *(self.hand_over() if self.epilogue else self.store()),
        )

    def products_of(self, at: Expr) -> Products:
        """Of a line of the block."""
        start = mul(mul(at, COUNT), index(self.width))
        return Products(self.m, start, Var("m_point"), Var("m_slice"), self.width)

    def place(self, image: Expr, top: Expr) -> Expr:
        """The first place in the result of a row of an image."""
        return mul(add(mul(image, SIZE["rows"]), top), SIZE["columns"])

    def transform_back(self, at: Expr, places: Places) -> Body:
        """Compute the result of a line of the block."""
        products = self.products_of(at)
        return self.by_taps(lambda n: transform_back(self.t, self.reach, n, products, places))

    def by_taps(self, made: Callable[[int], Body]) -> Body:
        """What is made for the number of taps that the filters turn out to have."""
        first, *others = self.taps
        body = made(first)
        for taps in others:
            here = op("eq", SIZE["side"], index(self.reach + 1 - taps))
            body = (If(here, made(taps), body),)
        return body

    def store(self) -> Body:
        """Transform back into the result."""
        at, pitch = Var("back_line"), RESULT_PITCH
        start = add(mul(self.place(IMAGE, TOP), pitch), mul(GROUP, SIZE["filters"]))
        places = Places(
            self.y,
            add(start, N0),
            mul(mul(SIZE["columns"], SIZE["dilation1"]), pitch),
            pitch,
            WIDE,
            True,
        )
        return (
            For(
                at,
                ZERO,
                HELD,
                (
                    *line(add(LINE0, at)),
                    *self.transform_back(at, places),
                ),
            ),
        )

    def hand_over(self) -> Body:
        """Transform back into an epilogue's tile, and call it for that.

        It takes as many lines as have room in a tile; where not even one has, or where the rows
        of a line do not follow each other, each of its rows has a tile of its own.
        """
        t, size, apart = self.t, SIZE["side"], SIZE["dilation1"]
        at, start_line, stop, most = (Var(n) for n in ("back_line", "begin", "stop", "most"))
        long, here, row = Var("long", "bool"), Var("here"), Var("own_row")
        first, image, top, last = (Var(f"call_{n}") for n in ("first", "image", "top", "last"))
        low, high, tall, wide = (Var(f"call_{n}") for n in ("low", "high", "tall", "wide"))
        width, leading = SIZE["columns"], index(t.leading)
        area = mul(width, size)
        several = op("or", op("lt", ONE, apart), op("lt", ONE, SEGMENTS))
        row_pitch = select(long, op("floordiv", APART, index(t.itemsize)), mul(width, leading))
        start = mul(sub(here, first), leading)
        places = Places(self.y, start, row_pitch, leading, WIDE, False)
        lines: Body = (
            *line(add(LINE0, at)),
            Let(here, self.place(IMAGE, TOP)),
            *self.transform_back(at, places),
        )
        below, header = Buffer("below", "int64"), tile.HEADER // 8
        before_group = mul(GROUP, SIZE["filters"])
        calls: Body = (
            Allocate(below, add(mul(row, APART), index(64))),
            Let(low, add(first, mul(mul(row, apart), width))),
            Let(high, select(long, add(low, wide), add(last, mul(tall, width)))),
            Store(below, index(header + tile.N0), add(before_group, N0)),
            Store(below, index(header + tile.N1), add(before_group, N1)),
            Store(below, index(header + tile.BATCH), ZERO),
            Call(self.callee, low, high, below),
        )
        # The first and the last line of a call.
        opening, closing = add(LINE0, start_line), sub(add(LINE0, stop), ONE)
        upper = Var("call_upper")
        before = op("floordiv", opening, DOWN)
        body: Body = (
            Let(stop, op("minimum", add(start_line, most), HELD)),
            Let(upper, begin(sub(opening, mul(before, DOWN)), apart)),
            Let(first, add(self.place(before, upper), mul(FIRST, size))),
            Let(image, op("floordiv", closing, DOWN)),
            Let(top, begin(sub(closing, mul(image, DOWN)), apart)),
            Let(last, self.place(image, top)),
            Let(tall, op("minimum", size, ceildiv(sub(SIZE["rows"], top), apart))),
            For(at, start_line, stop, lines),
            For(row, ZERO, select(long, tall, ONE), calls),
        )
        return (
            Let(long, op("or", op("lt", index(tile.ROWS), area), several)),
            Let(wide, op("minimum", mul(COUNT, size), sub(width, mul(FIRST, size)))),
            Let(most, select(long, ONE, op("floordiv", index(tile.ROWS), area))),
            For(start_line, ZERO, HELD, body, step=most),
        )
