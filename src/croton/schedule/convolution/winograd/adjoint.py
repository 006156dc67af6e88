"""The gradient by the inputs, with tiles of what it is computed from.

A Winograd convolution computes a tile of its result, ``A^T [(G filter) * (B^T image)]``, from
more places of the image.  The gradient by the image is that the other way round: from a tile of
``y`` all places that it meets, ``B [(G filter) * (A y)]``.  Those of neighbouring tiles overlap,
and are added up.  Where images are small and have no border there are fewer tiles of ``y`` than of
the image.  A block has all tiles of some images, so that no other item adds to the same places.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, sub
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Call,
    Expr,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Store,
    Var,
)
from croton.schedule.convolution.winograd.geometry import (
    COUNT,
    DOWN,
    GROUP,
    IMAGE,
    RESULT_PITCH,
    SIZE,
    TOP,
    counts,
    line,
    offsets,
)
from croton.schedule.convolution.winograd.image import transform_line
from croton.schedule.convolution.winograd.kernel import HELD, LINE0, Winograd
from croton.schedule.convolution.winograd.matrices import Matrix, matrices
from croton.schedule.convolution.winograd.products import N0, N1, WIDE
from croton.schedule.convolution.winograd.result import (
    FROM,
    LEFT,
    STEP,
    TILE,
    TO,
    VECTOR,
    Places,
    Products,
    lines_back,
    over_vectors,
)
from croton.schedule.convolution.winograd.transforms import transform
from croton.schedule.product import tile
from croton.schedule.product.strips import ZERO
from croton.schedule.product.tiling import Tiling

#: Zeros before the image.
BEFORE = Var("before1"), Var("before2")


def adjoint_kernel(
    t: Tiling, reach: int, epilogue: bool, taps: int | None, narrow: bool
) -> Function:
    """The kernel; see :func:`croton.schedule.convolution.winograd.kernel.kernel`."""
    return _Adjoint(t, reach, epilogue, taps, narrow).function()


class _Adjoint(Winograd):
    kind = "_adjoint"

    def __init__(
        self, t: Tiling, reach: int, epilogue: bool, taps: int | None, narrow: bool
    ) -> None:
        super().__init__(t, reach, epilogue, taps, narrow)
        self.sizes += BEFORE

    def counts(self) -> Body:
        return counts(SIZE["high"], SIZE["wide"])

    def transform_line(self, start: Expr) -> Body:
        def made(taps: int) -> Body:
            matrix = _turned(matrices(self.reach, taps).result)
            return transform_line(self.t, self.reach, self.x, self.v, start, matrix)

        return self.by_taps(made)

    def spread(self, at: Expr, places: Places) -> Body:
        """Add a line of the block to the result, from ``places`` of its image on."""
        products = self.products_of(at)
        return self.by_taps(lambda n: _spread(self.t, self.reach, n, products, places))

    def store(self) -> Body:
        at, pitch = Var("back_line"), RESULT_PITCH
        start = add(mul(self.place(IMAGE, ZERO), pitch), mul(GROUP, SIZE["filters"]))
        places = Places(self.y, add(start, N0), mul(SIZE["columns"], pitch), pitch, WIDE, True)
        return (For(at, ZERO, HELD, (*line(add(LINE0, at)), *self.spread(at, places))),)

    def hand_over(self) -> Body:
        """Compute as many images as have room in an epilogue's tile, and call it for them."""
        leading, header = index(self.t.leading), tile.HEADER // 8
        area, most = Var("image_area"), Var("most")
        first, stop, at = Var("call_first"), Var("call_stop"), Var("back_line")
        image, below = Var("call_image"), Buffer("below", "int64")
        start = mul(mul(sub(IMAGE, image), area), leading)
        places = Places(self.y, start, mul(SIZE["columns"], leading), leading, WIDE, False)
        before = mul(GROUP, SIZE["filters"])
        low = mul(image, area)
        body: Body = (
            Let(stop, op("minimum", add(first, mul(most, DOWN)), HELD)),
            Let(image, op("floordiv", add(LINE0, first), DOWN)),
            For(at, first, stop, (*line(add(LINE0, at)), *self.spread(at, places))),
            Store(below, index(header + tile.N0), add(before, N0)),
            Store(below, index(header + tile.N1), add(before, N1)),
            Store(below, index(header + tile.BATCH), ZERO),
            Call(
                self.callee,
                low,
                add(low, mul(op("floordiv", sub(stop, first), DOWN), area)),
                below,
            ),
        )
        return (
            Allocate(below, index(64)),
            Let(area, mul(SIZE["rows"], SIZE["columns"])),
            Let(most, op("floordiv", index(tile.ROWS), op("maximum", area, index(1)))),
            For(first, ZERO, HELD, body, step=mul(most, DOWN)),
        )


def _turned(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def _spread(t: Tiling, reach: int, taps: int, products: Products, places: Places) -> Body:
    """Add all tiles of the line at ``TOP`` to ``places``, which begin with those of the image.

    What tiles before have not reached is stored.
    """
    matrix, shared = _turned(matrices(reach, taps).image), taps - 1
    points, point = offsets("m_off", products.pitch, reach)
    across, column = offsets("x_off", places.pitch, reach)
    downs, down = offsets("x_down", places.row_pitch, reach)
    rows = [Var(f"row_met{r}", "bool") for r in range(reach)]
    columns = [Var(f"column_met{q}", "bool") for q in range(reach)]
    below, beside = Var("below_others", "bool"), Var("beside_others", "bool")

    def met(flags: list[Var], start: Expr, before: Expr, extent: Expr) -> Body:
        at = [sub(add(start, index(k)), before) for k in range(reach)]
        inside = (op("and", op("ge", p, ZERO), op("lt", p, extent)) for p in at)
        return tuple(Let(flag, found) for flag, found in zip(flags, inside, strict=True))

    def store(r: int, q: int, value: Expr, place: Expr, lanes: Expr | None) -> Body:
        added = [flag for k, flag in ((r, below), (q, beside)) if k < shared]
        if not added:
            return (Store(places.buffer, place, value, lanes),)
        total = Var(f"total{r}_{q}", t.dtype, t.lanes)
        before = Load(places.buffer, place, t.lanes, lanes)
        some: Expr = op("or", *added) if len(added) == 2 else added[0]
        return (
            Local(total, value),
            If(some, (Assign(total, op("add", total, before)),)),
            Store(places.buffer, place, total, lanes),
        )

    def vector(lanes: Expr | None) -> tuple[Body, Body]:
        steps, lines = lines_back(t, reach, products, point, matrix)
        for q in range(reach):
            body, results = transform(matrix, [found[q] for found in lines], f"r{q}")
            at = Var(f"x_at{q}")
            body.append(Let(at, add(add(TO, column[q]), VECTOR)))
            for r, value in enumerate(results):
                stored = store(r, q, value, add(at, down[r]), lanes)
                body.append(If(rows[r], stored))
            steps.append(If(columns[q], tuple(body)))
        return (), tuple(steps)

    each: Body = (
        Let(FROM, add(products.start, mul(TILE, index(products.width)))),
        Let(LEFT, mul(TILE, SIZE["side"])),
        *met(columns, LEFT, BEFORE[1], SIZE["columns"]),
        Let(beside, op("lt", ZERO, TILE)),
        Let(TO, add(Var("back_row"), mul(sub(LEFT, BEFORE[1]), places.pitch))),
        *over_vectors(t, places, vector),
    )
    return (
        *points,
        *across,
        *downs,
        Let(STEP, mul(products.pitch, index(reach))),
        *met(rows, TOP, BEFORE[0], SIZE["rows"]),
        Let(below, op("lt", ZERO, TOP)),
        Let(Var("back_row"), add(places.start, mul(sub(TOP, BEFORE[0]), places.row_pitch))),
        For(TILE, ZERO, COUNT, each),
    )
