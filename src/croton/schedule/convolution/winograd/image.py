"""Transforming the tiles of a line of the image into V."""

from __future__ import annotations

from croton.kernel.build import add, broadcast, const, index, mul, op, select, sub
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.winograd.geometry import (
    COUNT,
    FIRST,
    GROUP,
    IMAGE,
    IMAGE_PITCH,
    SIZE,
    TOP,
    begin,
    in_vectors,
    offsets,
)
from croton.schedule.convolution.winograd.matrices import TAPS, Matrix, matrices
from croton.schedule.convolution.winograd.transforms import transform
from croton.schedule.product.strips import ZERO
from croton.schedule.product.tiling import Tiling

TILE, CHANNEL, COLUMN, PLACE = Var("tile"), Var("channel"), Var("left_most"), Var("v_place")


def transform_line(
    t: Tiling, reach: int, x: Buffer, v: Buffer, place: Expr, matrix: Matrix | None = None
) -> Body:
    """Transform ``COUNT`` tiles from ``FIRST`` on of the line at ``IMAGE`` and ``TOP``.

    The first one begins at ``place`` of V.  What lies outside the image counts as zeros; it is
    not read: rows are read at a row that is there, and columns are left out.  The ``matrix`` is
    that of the image if no other is given.
    """
    # For any number of taps it is the same.
    matrix = matrix or matrices(reach, TAPS[reach][0]).image
    read = len(matrix[0])
    channels, high = SIZE["channels"], SIZE["high"]
    pitch, line = Var("row_pitch"), Var("place_pitch")
    end, top = Var("wide_end"), Var("image_top")
    starts = [Var(f"row_start{r}") for r in range(read)]
    there = [Var(f"row_there{r}", "bool") for r in range(read)]
    body: list[Stmt] = [
        Let(line, IMAGE_PITCH),
        Let(pitch, mul(SIZE["wide"], line)),
        Let(top, sub(TOP, SIZE["above"])),
    ]
    some: Expr = op("lt", ZERO, ZERO)
    for r in range(read):
        row = add(top, mul(SIZE["dilation1"], index(r)))
        inside = op("and", op("ge", row, ZERO), op("lt", row, high))
        near = op("maximum", op("minimum", row, sub(high, index(1))), ZERO)
        body.append(Let(there[r], inside))
        start = mul(add(mul(IMAGE, high), near), pitch)
        body.append(Let(starts[r], add(start, mul(GROUP, channels))))
        some = op("or", some, there[r])
    points, point = offsets("v_off", SIZE["v_point"], reach)
    across, column = offsets("x_off", mul(SIZE["dilation2"], line), read)
    down = Var("v_down")
    body += [
        # An image without a row for this line has no columns either.
        Let(end, select(some, SIZE["wide"], ZERO)),
        *points,
        *across,
        Let(down, mul(SIZE["v_point"], index(reach))),
    ]
    visible = [Var(f"column_there{q}", "bool") for q in range(read)]
    places = [add(COLUMN, mul(SIZE["dilation2"], index(q))) for q in range(read)]
    flags = tuple(
        Let(flag, op("and", op("ge", at, ZERO), op("lt", at, end)))
        for flag, at in zip(visible, places, strict=True)
    )

    def vector(lanes: Expr | None) -> tuple[Body, Body]:
        """Which rows there are, and one vector of channels of a tile."""
        steps: list[Stmt] = []
        shown = [Var(f"row_shown{r}", "bool", t.lanes) for r in range(read)]
        masks: list[Stmt] = []
        for flag, exists in zip(shown, there, strict=True):
            whole = broadcast(exists, t.lanes)
            masks.append(Let(flag, whole if lanes is None else op("and", whole, lanes)))
        zero = const(0.0, t.dtype, t.lanes)
        found = [[Var(f"d{q}_{r}", t.dtype, t.lanes) for r in range(reach)] for q in range(read)]
        for q in range(read):
            steps += [Local(value, zero) for value in found[q]]
            at = Var(f"x_at{q}")
            reads: list[Stmt] = [Let(at, add(add(mul(COLUMN, line), column[q]), CHANNEL))]
            values = [Var(f"x{q}_{r}", t.dtype, t.lanes) for r in range(read)]
            for r in range(read):
                start = add(starts[r], at)
                if t.masks or lanes is not None:
                    value: Expr = Load(x, start, t.lanes, shown[r])
                else:
                    value = select(shown[r], Load(x, start, t.lanes), zero)
                reads.append(Let(values[r], value))
            lines, results = transform(matrix, values, f"c{q}")
            reads += lines
            reads += [Assign(a, b) for a, b in zip(found[q], results, strict=True)]
            steps.append(If(visible[q], tuple(reads)))
        base = [Var(f"v_at{r}") for r in range(reach)]
        for r in range(reach):
            lines, results = transform(matrix, [found[q][r] for q in range(read)], f"r{r}")
            steps.append(Let(base[r], add(base[r - 1], down) if r else add(PLACE, CHANNEL)))
            steps += lines
            steps += [Store(v, add(base[r], point[q]), value) for q, value in enumerate(results)]
        return tuple(masks), tuple(steps)

    tile: Body = (
        Let(COLUMN, sub(begin(add(FIRST, TILE), SIZE["dilation2"]), SIZE["left"])),
        Let(PLACE, add(place, mul(TILE, SIZE["v_row"]))),
        *flags,
        *in_vectors(t, CHANNEL, channels, vector),
    )
    return (*body, For(TILE, ZERO, COUNT, tile))
