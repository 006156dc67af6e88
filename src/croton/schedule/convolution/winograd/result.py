"""Transforming products back into places of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from croton.kernel.build import add, index, mul, op, sub
from croton.kernel.nodes import (
    Body,
    Buffer,
    Expr,
    For,
    If,
    Let,
    Load,
    Prefetch,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.winograd.geometry import (
    COUNT,
    FIRST,
    SIZE,
    TOP,
    begin,
    in_vectors,
    offsets,
)
from croton.schedule.convolution.winograd.matrices import Matrix, matrices
from croton.schedule.convolution.winograd.transforms import transform
from croton.schedule.product.strips import ZERO, ceildiv
from croton.schedule.product.tiling import Tiling

TILE, VECTOR, FROM, TO = Var("back_tile"), Var("back_vector"), Var("back_from"), Var("back_to")
#: The first place of a tile, and how far its next line of points lies.
LEFT, STEP = Var("back_left"), Var("m_down")


class Products(NamedTuple):
    """Element (point, tile, column) is ``buffer[start + point * pitch + column // width * apart
    + tile * width + column % width]``.
    """

    buffer: Buffer
    start: Expr
    pitch: Expr
    apart: Expr
    width: int


class Places(NamedTuple):
    """Element (row, place, column) of a line's result is ``buffer[start + row * row_pitch + place
    * pitch + column]``, with rows counted as those that a tile has.

    There are ``present`` columns; without ``masks`` whole vectors may be written.
    """

    buffer: Buffer
    start: Expr
    row_pitch: Expr
    pitch: Expr
    present: Expr
    masks: bool


def lines_back(
    t: Tiling, reach: int, products: Products, point: Sequence[Expr], matrix: Matrix
) -> tuple[list[Stmt], list[list[Expr]]]:
    """Read vector ``VECTOR`` of the tile at ``FROM`` and transform each line of its points.

    The points of a line lie ``point`` from its first one.
    """
    steps: list[Stmt] = []
    lines: list[list[Expr]] = []
    bases = [Var(f"m_at{r}") for r in range(reach)]
    width = index(products.width)
    before = mul(op("floordiv", VECTOR, width), sub(products.apart, width))
    for r in range(reach):
        first = add(add(FROM, VECTOR), before)
        steps.append(Let(bases[r], add(bases[r - 1], STEP) if r else first))
        values = [Var(f"m{r}_{q}", t.dtype, t.lanes) for q in range(reach)]
        steps += [
            Let(value, Load(products.buffer, add(bases[r], offset), t.lanes))
            for value, offset in zip(values, point, strict=True)
        ]
        body, results = transform(matrix, values, f"c{r}")
        steps += body
        lines.append(results)
    return steps, lines


def over_vectors(
    t: Tiling, places: Places, vector: Callable[[Expr | None], tuple[Body, Body]]
) -> Body:
    """``vector``, which is told which lanes are there, for each of a tile."""
    if places.masks:
        return in_vectors(t, VECTOR, places.present, vector)
    return (For(VECTOR, ZERO, places.present, vector(None)[1], step=index(t.lanes)),)


def transform_back(t: Tiling, reach: int, taps: int, products: Products, places: Places) -> Body:
    """Compute ``COUNT`` tiles of the line at ``TOP``, but for what sticks out over the result."""
    size, matrix = reach + 1 - taps, matrices(reach, taps).result
    apart = SIZE["dilation2"]
    points, point = offsets("m_off", products.pitch, reach)
    across, column = offsets("y_off", mul(places.pitch, apart), size)
    high, wide = Var("rows_there"), Var("columns_there")

    def vector(lanes: Expr | None) -> tuple[Body, Body]:
        places_of = [add(add(TO, at), VECTOR) for at in column]
        # Nobody else asks for lines that are only written; a tile of an epilogue is near.
        steps: list[Stmt] = [
            Prefetch(places.buffer, add(at, mul(places.row_pitch, index(r))), write=True)
            for at in places_of
            for r in range(size)
            if places.masks
        ]
        read, lines = lines_back(t, reach, products, point, matrix)
        steps += read
        for q in range(size):
            body, results = transform(matrix, [found[q] for found in lines], f"r{q}")
            at = Var(f"y_at{q}")
            body.append(Let(at, places_of[q]))
            for r, value in enumerate(results):
                place = add(at, mul(places.row_pitch, index(r)))
                store = Store(places.buffer, place, value, lanes)
                body.append(If(op("lt", index(r), high), (store,)) if r else store)
            steps += [If(op("lt", index(q), wide), tuple(body))] if q else body
        return (), tuple(steps)

    tile: Body = (
        Let(FROM, add(products.start, mul(TILE, index(products.width)))),
        Let(LEFT, begin(add(FIRST, TILE), apart)),
        Let(TO, add(places.start, mul(LEFT, places.pitch))),
        Let(wide, ceildiv(sub(SIZE["columns"], LEFT), apart)),
        *over_vectors(t, places, vector),
    )
    return (
        *points,
        *across,
        Let(STEP, mul(products.pitch, index(reach))),
        Let(high, ceildiv(sub(SIZE["rows"], TOP), SIZE["dilation1"])),
        For(TILE, ZERO, COUNT, tile),
    )
