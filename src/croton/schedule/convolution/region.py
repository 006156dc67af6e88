"""Where a pooling finds the part of a convolution's result that it is called for.

A pooling is a kernel with the usual signature that the kernels of a convolution call when they
have computed some places of the result, in which all windows of some pooled places lie.  Its items
``[lo, hi)`` are images, and its scratch memory begins with::

    bytes 0 to 63       as for every kernel (the details of a ``Fail``)
    int64 at HEADER     n0, n1: the channels of the part; of the last two spatial dimensions the
                        first pooled place and the end of them, ``first1, end1, first2, end2``;
                        ``place1, place2``: where in the result the part begins; ``row`` and
                        ``image``: elements of the tile from line to line and from image to image
    tile at TILE        element (i, p1, p2, j) of the result is tile[(i - lo) * image
                        + (p1 - place1) * row + (p2 - place2) * LEADING[dtype] + (j - n0)]

What a place holds beyond channel ``n1`` may be read but means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from croton.kernel.build import index
from croton.kernel.nodes import Buffer, Expr, Stmt, Store
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product import tile

HEADER = 64
#: What the int64 numbers at ``HEADER`` are.
NUMBERS = (
    "n0", "n1", "first1", "end1", "first2", "end2", "place1", "place2", "row", "image",
)  # fmt: skip
TILE = 192

#: What a plan calls the pooled places of spatial dimensions 1 and 2, and their windows.
SIZES = tuple(f"{name}{d}" for name in ("pools", "step", "window", "pad") for d in (1, 2))


def size(places: int) -> int:
    """Bytes of the scratch memory that holds so many places."""
    return TILE + places * tile.PITCH


def header(memory: Buffer, numbers: Sequence[Expr]) -> list[Stmt]:
    """Store the :data:`NUMBERS` in ``memory``."""
    first = HEADER // 8
    return [Store(memory, index(first + k), n) for k, n in enumerate(numbers)]


def tiled(side: Count) -> Count:
    """Whether every window lies in one of the tiles of ``side`` places in both dimensions."""
    tests: list[Count] = []
    for d in (1, 2):
        step = f"step{d}"
        tests += [count("eq", count("mod", side, step), 0), count("le", f"window{d}", step)]
        tests.append(count("eq", f"pad{d}", 0))
    return all_of(*tests)
