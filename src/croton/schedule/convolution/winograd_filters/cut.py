"""How sizes cut the work: into blocks of channels and filters, pieces of tiles, and chunks.

An item is a block of at most ``BLOCK`` channels, one of filters, and all tiles or, where there are
few blocks, a piece of them.  It goes over its tiles in chunks: so many that both transforms and
the products of the points at hand (see :mod:`croton.schedule.convolution.winograd_filters.kernel`)
fill the second cache.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from croton.schedule.convolution.direct_filters.shape import Shape
from croton.schedule.convolution.winograd.choice import tile_size
from croton.schedule.convolution.winograd.choice import tiles as tiles_over
from croton.schedule.counts import Count, count, mul
from croton.schedule.product.tiling import Tiling

#: Channels, and filters, of a block.
BLOCK = 64
#: Tiles of a chunk at least and at most, and of a piece at least.  More than these many would save
#: little of what it takes to go on with sums, and keep what is read out of the second cache.
FEW, MANY, PIECE = 16, 48, 32
#: Items that there should be, and elements that the sums of all pieces may have: so many, or
#: one part in ``SHARE`` of what is given.
ITEMS = 32
TEMPORARY = 1 << 18
SHARE = 4


class Cut(NamedTuple):
    """See this module's text."""

    #: Places of a tile in each dimension.
    side: Count
    #: Tiles in all, of a piece and of a chunk; how many pieces.
    tiles: Count
    share: Count
    chunk: Count
    pieces: Count
    #: Channels and filters of a block (whole vectors), and how many blocks of each in a group.
    wide: Count
    broad: Count
    blocks: Count
    panels: Count
    #: Elements of the result.
    result: Count


@lru_cache
def cut(t: Shape | Tiling, reach: int, points: int, second: int) -> Cut:
    """The cut for tiles of this ``reach``, ``points`` at hand, and a second cache in bytes."""
    wide, blocks = _blocks(t, "channels")
    broad, panels = _blocks(t, "filters")
    side = tile_size(reach)
    down, across = (tiles_over(f"y{d}", side, f"dilation{d}") for d in (1, 2))
    tiles = mul("batch", "y0", down, across)
    result = mul("groups", "k1", "k2", "channels", "filters")
    both = count("add", mul("x1", "x2", "channels"), mul("y1", "y2", "filters"))
    given = mul("batch", "groups", "x0", both)
    room = count("maximum", TEMPORARY, count("floordiv", given, SHARE))
    most = count(
        "minimum",
        count("floordiv", room, count("maximum", 1, result)),
        count("floordiv", tiles, PIECE),
    )
    wanted = count("ceildiv", ITEMS, count("maximum", 1, mul("groups", blocks, panels)))
    pieces = count("maximum", 1, count("minimum", wanted, most))
    share = count("maximum", 1, count("ceildiv", tiles, pieces))
    near = count("sub", second // (points * t.itemsize), count("mul", wide, broad))
    fitting = count("floordiv", near, count("maximum", 1, count("add", wide, broad)))
    fitting = count("minimum", MANY, count("maximum", FEW, fitting))
    chunk = count("ceildiv", share, count("ceildiv", share, fitting))
    return Cut(
        side,
        tiles,
        share,
        chunk,
        count("maximum", 1, count("ceildiv", tiles, share)),
        wide,
        broad,
        blocks,
        panels,
        result,
    )


def _blocks(t: Shape | Tiling, extent: str) -> tuple[Count, Count]:
    """Channels of a block, alike and of whole vectors, and how many blocks there are."""
    number = count("maximum", 1, count("ceildiv", extent, BLOCK))
    each = count("maximum", 1, count("ceildiv", count("ceildiv", extent, number), t.lanes))
    whole = count("mul", each, t.lanes)
    return whole, count("ceildiv", extent, whole)
