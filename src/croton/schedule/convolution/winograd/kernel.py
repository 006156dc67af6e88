"""The kernel of a Winograd convolution: an item is a block of tiles and some of the filters.

It computes V, the transformed image; then for each few columns (filters) it multiplies V
with U, the transformed filters, at every point, and transforms the products back.  V and the
products stay in the second cache, or near it.  Items that are other columns of the same block
compute V again: that costs less than what one core writes costs another one to read.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Body,
    Buffer,
    Call,
    Expr,
    For,
    Function,
    Let,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.winograd.geometry import (
    COUNT,
    DOWN,
    FIRST,
    IMAGE,
    LINES,
    SEGMENTS,
    SIZE,
    SIZES,
    TOP,
    counts,
    line,
    segment,
)
from croton.schedule.convolution.winograd.image import transform_line
from croton.schedule.convolution.winograd.matrices import TAPS
from croton.schedule.convolution.winograd.products import N0, N1, WIDE, heights, multiply
from croton.schedule.convolution.winograd.result import Places, Products, transform_back
from croton.schedule.product import tile
from croton.schedule.product.micro import Target
from croton.schedule.product.strips import ONE, ZERO, ceildiv
from croton.schedule.product.tiling import Tiling

#: Sizes of the kernel besides ``SIZES``: columns of an item, and elements from point to point of
#: the products.
OWN_SIZES = ("take", "m_point")
#: With an epilogue: bytes from one row's tile to the next, where each row of a line has its own.
EPILOGUE_SIZES = ("apart",)

#: The first line of a block, and how many lines and tiles it has.
LINE0, HELD, ROWS = Var("first_line"), Var("held_lines"), Var("block_tiles")
APART = Var("apart")


def points_of(size: int) -> int:
    """Points of a tile."""
    return (size + TAPS - 1) ** 2


def chunk(t: Tiling, epilogue: bool) -> int:
    """Columns whose products are held at a time: those of an epilogue's tile, or a panel."""
    return t.leading if epilogue else max(t.panel, t.leading // 2)


def kernel(t: Tiling, size: int, epilogue: bool) -> Function:
    """The kernel that stores the result, or hands its blocks to an epilogue."""
    return _Winograd(t, size, epilogue).function()


class _Winograd:
    def __init__(self, t: Tiling, size: int, epilogue: bool) -> None:
        self.t, self.size, self.epilogue = t, size, epilogue
        self.points = points_of(size)
        self.chunk = chunk(t, epilogue)
        self.x, self.u = Buffer("x", t.dtype), Buffer("u", t.dtype)
        self.v, self.m = Buffer("v", t.dtype), Buffer("m", t.dtype)
        self.y = Buffer("tile" if epilogue else "y", t.dtype)
        self.callee = Buffer("epilogue", "int64")
        names = SIZES + OWN_SIZES + (EPILOGUE_SIZES if epilogue else ())
        self.sizes = tuple(Var(n) for n in names)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        name = f"winograd{self.size}_{self.t.dtype}" + ("_epilogue" if self.epilogue else "")
        item, part, number = Var("item"), Var("part"), Var("block")
        blocks, above, across = Var("blocks"), Var("block_line"), Var("block_segment")
        group, filters = SIZE["group"], SIZE["filters"]
        body: Body = (
            Let(part, op("floordiv", item, blocks)),
            Let(number, sub(item, mul(part, blocks))),
            Let(above, op("floordiv", number, SEGMENTS)),
            Let(across, sub(number, mul(above, SEGMENTS))),
            Let(LINE0, mul(above, group)),
            Let(HELD, op("minimum", group, sub(LINES, LINE0))),
            *segment(across),
            Let(ROWS, mul(HELD, COUNT)),
            *heights(self.t, ROWS),
            *self.transform(),
            For(
                N0,
                mul(part, Var("take")),
                op("minimum", filters, mul(add(part, ONE), Var("take"))),
                self.columns(),
                step=index(self.chunk),
            ),
        )
        last = self.callee if self.epilogue else self.y
        return Function(
            name,
            (self.x, self.u, last),
            self.sizes,
            (
                *counts(self.size),
                Let(blocks, mul(ceildiv(LINES, group), SEGMENTS)),
                *self.scratch(),
                For(item, Var("lo"), Var("hi"), body),
            ),
            contract=True,
        )

    def scratch(self) -> Body:
        """The parts of the scratch memory."""
        size = self.t.itemsize
        start: Expr = index(64)
        if self.epilogue:
            start = add(mul(APART, index(self.size)), start)
        products = mul(index(self.points * size), Var("m_point"))
        parts: list[Stmt] = []
        if self.epilogue:
            parts.append(Allocate(self.y, index(64 + tile.TILE)))
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
                    *line(add(LINE0, at), self.size),
                    Let(start, mul(mul(at, COUNT), SIZE["v_row"])),
                    *transform_line(self.t, self.size, self.x, self.v, start),
                ),
            ),
        )

    def columns(self) -> Body:
        """Some columns of the block."""
        return (
            Let(N1, op("minimum", add(N0, index(self.chunk)), SIZE["filters"])),
            Let(WIDE, sub(N1, N0)),
            *multiply(self.t, self.points, self.u, self.v, Target(self.m, ZERO, index(self.chunk))),
            *(self.hand_over() if self.epilogue else self.store()),
        )

    def products_of(self, at: Expr) -> Products:
        """Of a line of the block."""
        start = mul(mul(at, COUNT), index(self.chunk))
        return Products(self.m, start, Var("m_point"), self.chunk)

    def place(self, image: Expr, top: Expr) -> Expr:
        """The place in the result of the first tile of a line."""
        row = add(mul(image, SIZE["rows"]), top)
        return add(mul(row, SIZE["columns"]), mul(FIRST, index(self.size)))

    def store(self) -> Body:
        """Transform back into the result."""
        at, filters = Var("back_line"), SIZE["filters"]
        places = Places(
            self.y,
            add(mul(self.place(IMAGE, TOP), filters), N0),
            mul(SIZE["columns"], filters),
            filters,
            WIDE,
            True,
        )
        return (
            For(
                at,
                ZERO,
                HELD,
                (
                    *line(add(LINE0, at), self.size),
                    *transform_back(self.t, self.size, self.products_of(at), places),
                ),
            ),
        )

    def hand_over(self) -> Body:
        """Transform back into an epilogue's tile, and call it for that.

        It takes as many lines as have room in a tile; where not even one has, each of its rows
        has a tile of its own.
        """
        t, size = self.t, index(self.size)
        at, begin, stop, most = (Var(n) for n in ("back_line", "begin", "stop", "most"))
        long, here, row = Var("long", "bool"), Var("here"), Var("own_row")
        first, image, top, last = (Var(f"call_{n}") for n in ("first", "image", "top", "last"))
        low, high, tall, wide = (Var(f"call_{n}") for n in ("low", "high", "tall", "wide"))
        width, leading = SIZE["columns"], index(t.leading)
        area = mul(width, size)
        row_pitch = select(long, op("floordiv", APART, index(t.itemsize)), mul(width, leading))
        start = mul(sub(here, first), leading)
        places = Places(self.y, start, row_pitch, leading, WIDE, False)
        lines: Body = (
            *line(add(LINE0, at), self.size),
            Let(here, self.place(IMAGE, TOP)),
            *transform_back(t, self.size, self.products_of(at), places),
        )
        below, header = Buffer("below", "int64"), tile.HEADER // 8
        calls: Body = (
            Allocate(below, add(mul(row, APART), index(64))),
            Let(low, add(first, mul(row, width))),
            Let(high, select(long, add(low, wide), add(last, mul(tall, width)))),
            Store(below, index(header + tile.N0), N0),
            Store(below, index(header + tile.N1), N1),
            Store(below, index(header + tile.BATCH), ZERO),
            Call(self.callee, low, high, below),
        )
        # The first and the last line of a call.
        opening, closing = add(LINE0, begin), sub(add(LINE0, stop), ONE)
        before = op("floordiv", opening, DOWN)
        body: Body = (
            Let(stop, op("minimum", add(begin, most), HELD)),
            Let(first, self.place(before, mul(sub(opening, mul(before, DOWN)), size))),
            Let(image, op("floordiv", closing, DOWN)),
            Let(top, mul(sub(closing, mul(image, DOWN)), size)),
            Let(last, self.place(image, top)),
            Let(tall, op("minimum", size, sub(SIZE["rows"], top))),
            For(at, begin, stop, lines),
            For(row, ZERO, select(long, tall, ONE), calls),
        )
        return (
            Let(long, op("lt", index(tile.ROWS), area)),
            Let(wide, op("minimum", mul(COUNT, size), sub(width, mul(FIRST, size)))),
            Let(most, op("maximum", op("floordiv", index(tile.ROWS), area), ONE)),
            For(begin, ZERO, HELD, body, step=most),
        )
