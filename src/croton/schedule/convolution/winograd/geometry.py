"""How the kernels of a Winograd convolution cut the result, and the names of what they are given.

A tile has ``side`` places in each dimension, which lie ``dilation1`` and ``dilation2`` apart: so
it is as a tile of an undilated convolution, of the image and the result with but every so many
places.  Each ``side * dilation`` places that follow each other are those of as many tiles as the
dilation says, which begin in the first ones.

A *line* is a row of tiles of one image.  A *block* is some neighbouring tiles, for which V (the
transformed image), the products and the result are computed in turn: ``group`` whole lines or,
where lines are long, ``span`` tiles of one.  Element (point, tile, channel) of V is ``point *
v_point + tile * v_row + channel`` from where the block's begins.
"""

from __future__ import annotations

from collections.abc import Callable

from croton.kernel.build import add, index, mul, op, sub
from croton.kernel.nodes import Body, Expr, For, If, Let, Var
from croton.schedule.product.pack import below
from croton.schedule.product.strips import ZERO, ceildiv
from croton.schedule.product.tiling import Tiling

#: Sizes of the kernels: extents of the image and of the result (channels and filters of a group),
#: and where this begins in that; places of a tile in each dimension, and how far apart they are;
#: how tiles are cut into blocks; elements from tile to tile of V, and from point to point.
SIZES = (
    "images", "groups", "channels", "filters", "high", "wide", "rows", "columns", "above", "left",
    "side", "dilation1", "dilation2", "group", "span", "v_row", "v_point",
)  # fmt: skip

SIZE = {name: Var(name) for name in SIZES}

#: Tiles over the height of an image and over its width, all lines, and blocks in a line.
DOWN, ACROSS, LINES, SEGMENTS = Var("down"), Var("tiles_across"), Var("lines"), Var("segments")
#: The group that an item is of.
GROUP = Var("group_number")
#: A line: its image, the first of its rows, and the first and the number of tiles of the block.
IMAGE, TOP, FIRST, COUNT = Var("image"), Var("top"), Var("first"), Var("count")


#: Elements from place to place of the image, and of the result.
IMAGE_PITCH = mul(SIZE["groups"], SIZE["channels"])
RESULT_PITCH = mul(SIZE["groups"], SIZE["filters"])


def tiles(extent: Expr, apart: Expr) -> Expr:
    """How many tiles cover so many places, if a tile's are ``apart``."""
    area = mul(SIZE["side"], apart)
    whole = op("floordiv", extent, area)
    rest = sub(extent, mul(whole, area))
    return add(mul(whole, apart), op("minimum", rest, apart))


def counts(rows: Expr, columns: Expr) -> Body:
    """How many tiles, lines and blocks there are, if so many places of an image are cut."""
    return (
        Let(DOWN, tiles(rows, SIZE["dilation1"])),
        Let(ACROSS, tiles(columns, SIZE["dilation2"])),
        Let(LINES, mul(SIZE["images"], DOWN)),
        Let(SEGMENTS, ceildiv(ACROSS, SIZE["span"])),
    )


def segment(number: Expr) -> Body:
    """The tiles of a line that block ``number`` of the line has."""
    return (
        Let(FIRST, mul(number, SIZE["span"])),
        Let(COUNT, op("minimum", SIZE["span"], sub(ACROSS, FIRST))),
    )


def begin(number: Expr, apart: Expr) -> Expr:
    """The first place of a tile, whose places are ``apart``, in its dimension."""
    before = op("floordiv", number, apart)
    return add(number, mul(mul(before, apart), sub(SIZE["side"], index(1))))


def line(number: Expr) -> Body:
    """The image and the row of line ``number``."""
    return (
        Let(IMAGE, op("floordiv", number, DOWN)),
        Let(TOP, begin(sub(number, mul(IMAGE, DOWN)), SIZE["dilation1"])),
    )


def offsets(name: str, pitch: Expr, count: int) -> tuple[Body, list[Expr]]:
    """Variables for 0, 1, 2, ... times ``pitch``."""
    names = [Var(f"{name}{i}") for i in range(1, count)]
    before = [index(0), *names]
    body = tuple(Let(v, add(b, pitch)) for v, b in zip(names, before, strict=False))
    return body, [index(0), *names]


def in_vectors(
    t: Tiling, at: Var, limit: Expr, vector: Callable[[Expr | None], tuple[Body, Body]]
) -> Body:
    """Run a body for each vector below ``limit``, beginning at ``at``.

    ``vector`` is given a mask, or None where all lanes are there, and returns what is the same
    for many vectors, and the body.
    """
    lanes = index(t.lanes)
    whole = Var(f"{at.name}_whole")
    mask = Var(f"{at.name}_lanes", "bool", t.lanes)
    before_last, last = vector(mask)
    if t.masks:
        body = (Let(mask, below(limit, at, t.lanes)), *before_last, *last)
        return (For(at, ZERO, limit, body, step=lanes),)
    before, each = vector(None)
    tail = Let(mask, below(limit, whole, t.lanes))
    return (
        Let(whole, sub(limit, op("mod", limit, lanes))),
        If(op("lt", ZERO, whole), (*before, For(at, ZERO, whole, each, step=lanes))),
        If(
            op("lt", whole, limit),
            (tail, *before_last, For(at, whole, limit, last, step=lanes)),
        ),
    )
