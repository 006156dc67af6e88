"""The kernel: every item sums up products of transformed tiles, and transforms them back.

With the matrices of :mod:`croton.schedule.convolution.winograd.matrices` a tile of the result is
``A^T [sum over c of (G w G^T) * (B^T x B)] A``, so that the gradient by the filters is::

    G^T [sum over tiles of (B^T x B) * (A y A^T)] G

Each of the points is a product of two matrices with tiles as the inner index.  An item does the
lines of points in two halves, one after the other: the products of half the points stay in
the second cache, and only the first step of the transforms must be done anew.
"""

from __future__ import annotations

from collections.abc import Callable

from croton.kernel.build import add, const, index, mul, op, sub
from croton.kernel.nodes import (
    Allocate,
    Body,
    Buffer,
    Choose,
    Expr,
    For,
    Function,
    If,
    Let,
    Store,
    Var,
)
from croton.schedule.convolution.direct_filters.block import (
    Gradient,
    Image,
    Lines,
    Target,
    block,
)
from croton.schedule.convolution.direct_filters.shape import Shape
from croton.schedule.convolution.names import EXTENTS, PLACES
from croton.schedule.convolution.winograd.geometry import tiles
from croton.schedule.convolution.winograd.matrices import Matrix, matrices, numbers_of_taps
from croton.schedule.convolution.winograd_filters.tiles import (
    FIRST,
    TILES,
    Goal,
    Source,
    Spread,
    gather,
    spread,
)
from croton.schedule.product.strips import ZERO, ceildiv

#: What the plan decides (:class:`croton.schedule.convolution.winograd_filters.cut.Cut`).
CUT = ("side", "tiles", "share", "chunk", "pieces", "wide", "broad", "blocks", "panels", "result")
SIZES = (*EXTENTS, *PLACES, *CUT)

#: The item: its piece and group, its first channel and filter, how many of each, its last tile.
PIECE, GROUP, C0, F0, CHANNELS, FILTERS = (
    Var(n) for n in ("piece", "group", "c0", "f0", "c_there", "f_there")
)
START, END = Var("first_tile"), Var("end_tile")
#: The first tile of a chunk, and the point.
AT, POINT = Var("chunk_at"), Var("point")


def halves(reach: int) -> list[slice]:
    """The lines of points that are done at a time."""
    return [slice(0, reach // 2), slice(reach // 2, reach)]


def points(reach: int) -> int:
    """Points that are done at a time."""
    return reach // 2 * reach


def spare_elements(t: Shape) -> int:
    """Elements between the tiles of two points, which blocks of rows may read.

    They are some whole lines of a cache, but an odd number: points do not share their places.
    """
    line = 64 // t.itemsize
    return (-(-t.highest // line) // 2 * 2 + 1) * line


def kernel(t: Shape, reach: int, taps: int | None = None) -> Function:
    """The kernel for tiles of this ``reach``, for any sizes; ``taps`` of the filter, if known."""
    return _Winograd(t, reach, taps).function()


class _Winograd:
    def __init__(self, t: Shape, reach: int, taps: int | None) -> None:
        self.t = t
        self.reach = reach
        self.taps = numbers_of_taps(reach, taps)
        self.known = "" if taps is None else f"_{taps}"
        self.size = {name: Var(name) for name in SIZES}
        self.x, self.y = Buffer("x", t.dtype), Buffer("y", t.dtype)
        self.w, self.parts = Buffer("w", t.dtype), Buffer("parts", t.dtype)
        self.out, self.table = Buffer("out", t.dtype), Buffer("table", "int64")
        self.v, self.m = Buffer("image_tiles", t.dtype), Buffer("gradient_tiles", t.dtype)
        #: Sums of half the points, and what the first half's are when transformed back.
        self.sums, self.kept = Buffer("sums", t.dtype), Buffer("kept", t.dtype)
        self.grid = (Var("grid_down"), Var("grid_across"))
        spare = index(spare_elements(t))
        s = self.size
        v_apart, m_apart, u_apart = (Var(f"{n}_apart") for n in ("v", "m", "u"))
        self.v_tiles = Spread(self.v, v_apart, s["wide"])
        self.m_tiles = Spread(self.m, m_apart, s["broad"])
        self.products = Spread(self.sums, u_apart, s["broad"])
        self.aparts: Body = (
            Let(v_apart, add(mul(s["chunk"], s["wide"]), spare)),
            Let(m_apart, add(mul(s["chunk"], s["broad"]), spare)),
            Let(u_apart, mul(add(s["wide"], index(t.highest)), s["broad"])),
        )

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        s, t = self.size, self.t
        item = Var("item")
        held = index(points(self.reach) * t.itemsize)
        starts: list[Expr] = [index(64), index(128)]
        for part in (self.v_tiles, self.m_tiles):
            starts.append(add(starts[-1], mul(part.apart, held)))
        starts.append(add(starts[-1], mul(self.products.apart, held)))
        names = (self.table, self.v, self.m, self.sums, self.kept)
        body: Body = (
            *self.aparts,
            *(Allocate(b, at) for b, at in zip(names, starts, strict=True)),
            *(Let(v, tiles(s[f"y{d}"], s[f"dilation{d}"])) for d, v in enumerate(self.grid, 1)),
            For(item, Var("lo"), Var("hi"), self.item(item)),
        )
        return Function(
            f"convolution_filters_{t.dtype}_winograd{self.reach}{self.known}",
            (self.x, self.y, self.w, self.parts),
            tuple(Var(name) for name in SIZES),
            body,
            contract=True,
        )

    def item(self, item: Expr) -> Body:
        """One block of channels and filters, for one piece of the tiles."""
        s = self.size
        rest, panel, number = Var("item_rest"), Var("item_panel"), Var("item_block")
        above = Var("item_group")
        half, base = Var("half"), Var("base")
        filters = mul(s["groups"], s["filters"])
        line = mul(s["channels"], filters)
        mask = Var("filter_lanes", "bool", self.t.lanes)
        start = add(base, add(mul(C0, filters), add(mul(GROUP, s["filters"]), F0)))
        goal = Goal(self.out, start, mul(line, s["k2"]), line, filters, mask)
        held = mul(s["wide"], s["broad"])
        between = Goal(self.kept, ZERO, mul(held, s["k2"]), held, s["broad"], None)
        one, other = halves(self.reach)
        first, second = self.transforms(one), self.transforms(other)
        first_back = self.gather(one, None, between)
        second_back = self.gather(other, between, goal)
        early = op("eq", half, ZERO)
        chunk: Body = (
            Let(TILES, op("minimum", s["chunk"], sub(END, AT))),
            *self.place(),
            If(early, first, second),
            Store(self.table, index(2), TILES),
            *self.multiply(),
        )
        return (
            Let(rest, op("floordiv", item, s["panels"])),
            Let(panel, sub(item, mul(rest, s["panels"]))),
            Let(above, op("floordiv", rest, s["blocks"])),
            Let(number, sub(rest, mul(above, s["blocks"]))),
            Let(PIECE, op("floordiv", above, s["groups"])),
            Let(GROUP, sub(above, mul(PIECE, s["groups"]))),
            Let(C0, mul(number, s["wide"])),
            Let(F0, mul(panel, s["broad"])),
            Let(CHANNELS, op("minimum", s["wide"], sub(s["channels"], C0))),
            Let(FILTERS, op("minimum", s["broad"], sub(s["filters"], F0))),
            Let(START, mul(PIECE, s["share"])),
            Let(END, op("minimum", add(START, s["share"]), s["tiles"])),
            Choose(self.out, op("gt", s["pieces"], index(1)), self.parts, self.w),
            Let(base, mul(PIECE, s["result"])),
            Store(self.table, ZERO, ZERO),
            Store(self.table, index(1), ZERO),
            For(
                half,
                ZERO,
                index(2),
                (
                    # Without tiles, one empty chunk still makes zeros.
                    For(
                        AT,
                        START,
                        op("maximum", END, add(START, index(1))),
                        chunk,
                        step=s["chunk"],
                    ),
                    If(early, first_back, second_back),
                ),
            ),
        )

    def place(self) -> Body:
        """Find the first tile of the chunk."""
        line, (image, down, across) = Var("tile_line"), FIRST
        return (
            Let(line, op("floordiv", AT, self.grid[1])),
            Let(across, sub(AT, mul(line, self.grid[1]))),
            Let(image, op("floordiv", line, self.grid[0])),
            Let(down, sub(line, mul(image, self.grid[0]))),
        )

    def by_taps(self, body: Callable[[int], Body]) -> Body:
        """What ``body`` is for the number of taps at hand."""
        first, *others = self.taps
        result = body(first)
        for taps in others:
            here = op("eq", self.size["side"], index(self.reach + 1 - taps))
            result = (If(here, body(taps), result),)
        return result

    def gather(self, lines: slice, earlier: Goal | None, goal: Goal) -> Body:
        """Transform the sums back, for some lines of points."""

        def body(taps: int) -> Body:
            found = matrices(self.reach, taps).filters
            rows, columns = _turned(found[lines]), _turned(found)
            extents = (CHANNELS, FILTERS)
            return gather(self.t, rows, columns, self.products, extents, earlier, goal)

        return self.by_taps(body)

    def transforms(self, lines: slice) -> Body:
        """Transform the chunk's tiles, for some lines of points."""
        s, t = self.size, self.t
        apart = (s["dilation1"], s["dilation2"])
        # For any number of taps it is the same.
        image_matrix = matrices(self.reach, self.taps[0]).image
        image = Source(
            "x",
            self.x,
            s["x1"],
            s["x2"],
            mul(s["groups"], s["channels"]),
            add(mul(GROUP, s["channels"]), C0),
            CHANNELS,
            s["before1"],
            s["before2"],
            apart,
        )
        gradient = Source(
            "y",
            self.y,
            s["y1"],
            s["y2"],
            mul(s["groups"], s["filters"]),
            add(mul(GROUP, s["filters"]), F0),
            FILTERS,
            ZERO,
            ZERO,
            apart,
        )

        def gradient_tiles(taps: int) -> Body:
            matrix = _turned(matrices(self.reach, taps).result)
            return spread(t, self.grid, matrix[lines], matrix, gradient, self.m_tiles)

        return (
            *spread(t, self.grid, image_matrix[lines], image_matrix, image, self.v_tiles),
            *self.clear(),
            *self.by_taps(gradient_tiles),
        )

    def clear(self) -> Body:
        """Zeros for the rows that are not there, but that blocks compute all the same.

        What memory holds may be slow to compute with.  These rows are behind the channels of a
        tile, as far as it has room there, and else those of the next tile, or behind the last one.
        """
        t, v, wide = self.t, self.v_tiles, self.size["wide"]
        at, element, first = Var("clear_tile"), Var("clear_element"), Var("clear_from")

        def zeros(start: Expr, stop: Expr) -> Body:
            place = add(mul(POINT, v.apart), element)
            store = Store(v.buffer, place, const(0.0, t.dtype, t.lanes))
            lines = (For(element, start, stop, (store,), step=index(t.lanes)),)
            return (For(POINT, ZERO, index(points(self.reach)), lines),)

        behind = op("minimum", wide, add(first, index(t.highest)))
        tile = mul(at, wide)
        end = mul(TILES, wide)
        return (
            Let(first, mul(ceildiv(CHANNELS, index(t.lanes)), index(t.lanes))),
            If(
                op("lt", first, wide),
                (For(at, ZERO, TILES, zeros(add(tile, first), add(tile, behind))),),
            ),
            *zeros(end, add(end, index(t.highest))),
        )

    def multiply(self) -> Body:
        """Add the products of the chunk's tiles to the sums, point by point."""
        t = self.t
        column, row, two = Var("column"), Var("row"), Var("two", "bool")
        tall, v_at, m_at, u_at = Var("tall", "bool"), Var("v_at"), Var("m_at"), Var("u_at")
        to, lines = Var("to"), Lines(self.table, index(1))
        gradient = Gradient(self.m, add(m_at, column), self.m_tiles.pitch)
        place = add(add(u_at, mul(row, self.products.pitch)), column)
        target = Target(self.sums, to, self.products.pitch, op("gt", AT, START))
        image = Image(self.v, add(v_at, row), self.v_tiles.pitch)

        def rows(vectors: int) -> Body:
            # Rows that are not there are computed as well; the sums have room for them.
            big, low = t.heights_of(vectors)[:2]
            high, short = (block(t, h, vectors, lines, image, gradient, target) for h in (big, low))
            body: Body = (
                Let(to, place),
                Let(tall, op("lt", index(low), sub(CHANNELS, row))),
                If(tall, high, short),
            )
            return (For(row, ZERO, CHANNELS, body, step=index(big)),)

        return (
            For(
                POINT,
                ZERO,
                index(points(self.reach)),
                (
                    Let(v_at, mul(POINT, self.v_tiles.apart)),
                    Let(m_at, mul(POINT, self.m_tiles.apart)),
                    Let(u_at, mul(POINT, self.products.apart)),
                    For(
                        column,
                        ZERO,
                        FILTERS,
                        (
                            Let(two, op("gt", sub(FILTERS, column), index(t.lanes))),
                            If(two, rows(2), rows(1)),
                        ),
                        step=index(t.panel),
                    ),
                ),
            ),
        )


def _turned(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))
