"""What of a Winograd convolution its sizes decide before its kernels run."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from croton.schedule.convolution.winograd.kernel import slice_width
from croton.schedule.convolution.winograd.matrices import TAPS
from croton.schedule.counts import Count, all_of, count, mul
from croton.schedule.product import tile
from croton.schedule.product.tiling import Tiling


class Role(NamedTuple):
    """A convolution as its kernels see it; ``image`` and ``result`` are names of buffers.

    ``channels`` and ``filters`` are those of a group; ``taps`` are those of a filter in each
    dimension; ``start`` and what follows say how the filters lie, in elements (those of groups
    are ``apart``).
    """

    image: str
    result: str
    images: Count
    groups: Count
    channels: Count
    filters: Count
    high: Count
    wide: Count
    rows: Count
    columns: Count
    above: Count
    left: Count
    dilation1: Count
    dilation2: Count
    taps: Count
    start: Count
    apart: Count
    filter: Count
    channel: Count
    step1: Count
    step2: Count


@lru_cache
def role(kind: str) -> Role:
    """The roles of the sizes in a convolution of ``kind``.

    The gradient with respect to the inputs is a convolution of ``y`` with the filters turned
    and their channels exchanged, if that has no strides.
    """
    images, apart = count("mul", "batch", "x0"), count("mul", "filters", "w_filter")
    if kind == "forward":
        return Role(
            "x", "y", images, "groups", "channels", "filters",
            "x1", "x2", "y1", "y2", "before1", "before2",
            "dilation1", "dilation2", "k1",
            "w_start", apart, "w_filter", "w_channel", "w_step1", "w_step2",
        )  # fmt: skip
    last1, last2 = (count("sub", f"k{d}", 1) for d in (1, 2))
    last = count("add", mul(last1, "w_step1"), mul(last2, "w_step2"))
    above, left = (
        count("sub", mul(last, f"dilation{d}"), f"before{d}")
        for d, last in ((1, last1), (2, last2))
    )
    back1, back2 = (count("sub", 0, f"w_step{d}") for d in (1, 2))
    return Role(
        "y", "x", images, "groups", "filters", "channels", "y1", "y2", "x1", "x2", above, left,
        "dilation1", "dilation2", "k1",
        count("add", "w_start", last), apart, "w_channel", "w_filter", back1, back2,
    )  # fmt: skip


@lru_cache
def adjoint_role() -> Role:
    """The same in the gradient by the inputs where its tiles are of ``y``.

    See :mod:`croton.schedule.convolution.winograd.adjoint`.
    """
    of = role("inputs")
    return of._replace(
        above=0, left=0, start="w_start", step1="w_step1", step2="w_step2",
    )  # fmt: skip


def adjoint_fits(t: Tiling, epilogue: bool) -> Count:
    """Whether tiles of ``y`` may be taken: a block has all of an image."""
    of, size = adjoint_role(), tile_size(6)
    each = mul(tiles(of.high, size, 1), tiles(of.wide, size, 1))
    tests = [fits(), count("eq", "dilation1", 1), count("eq", "dilation2", 1)]
    tests += [count("le", each, MOST), count("lt", 0, each)]
    for d in (1, 2):
        # All of the image is met.
        reached = count("add", f"y{d}", count("sub", f"k{d}", 1))
        tests += [count("le", 0, f"before{d}")]
        tests += [count("le", count("add", f"x{d}", f"before{d}"), reached)]
    if epilogue:
        tests.append(count("le", mul("x1", "x2"), tile.ROWS))
    return all_of(*tests)


def fits(reach: int = 6) -> Count:
    """Whether a convolution is of the form that the kernels for this reach compute."""
    ones = ("k0", "stride0", "stride1", "stride2")
    tests = [count("eq", name, 1) for name in ones]
    first, *others = TAPS[reach]
    some = count("eq", "k1", first)
    for taps in others:
        some = count("or", some, count("eq", "k1", taps))
    tests += [some, count("eq", "k1", "k2"), count("le", "dilation2", FARTHEST)]
    tests += [count("eq", "before0", 0), count("eq", "x0", "y0")]
    return all_of(*tests)


def tile_size(reach: int) -> Count:
    """Places of a tile in each dimension; at least one, for sizes that no tiles are for too."""
    return count("maximum", 1, count("sub", reach + 1, "k1"))


def tiles(extent: Count, size: Count, dilation: Count) -> Count:
    """How many tiles cover so many places, if a tile's are ``dilation`` apart."""
    area = count("mul", size, dilation)
    whole = count("mul", count("floordiv", extent, area), dilation)
    return count("add", whole, count("minimum", dilation, count("mod", extent, area)))


#: Tiles of a block: at most, if the second cache has room, at least, and where there are few.
MOST, LEAST, FEW = 64, 32, 16
#: Items that there should be.
WANTED = 8
#: The farthest apart that neighbouring places of a line's tile may be.
FARTHEST = 32


class Choice(NamedTuple):
    """See :mod:`croton.schedule.convolution.winograd.geometry`.

    In each group there are ``blocks`` of ``tiles``, ``segments`` to a line; an item has ``take``
    columns, and holds the products of ``chunk`` at a time, in slices.
    """

    side: Count
    tiles: Count
    group: Count
    span: Count
    segments: Count
    blocks: Count
    take: Count
    chunk: Count
    v_row: Count
    v_point: Count
    m_slice: Count
    m_point: Count


@lru_cache
def choose(t: Tiling, of: Role, reach: int, epilogue: bool, adjoint: bool = False) -> Choice:
    """The choice for any sizes; ``adjoint``: tiles are of the image, and blocks have all of it."""
    size = tile_size(reach)
    across = tiles(of.wide if adjoint else of.columns, size, of.dilation2)
    down = tiles(of.high if adjoint else of.rows, size, of.dilation1)
    lines = count("mul", of.images, down)
    number = count("mul", lines, across)
    # An odd number of vectors: lines of V do not share their places in the first cache.
    vectors = count("ceildiv", of.channels, t.lanes)
    odd = count("sub", count("add", vectors, 1), count("mod", vectors, 2))
    v_row = count("mul", odd, t.lanes)
    each = count("mul", v_row, reach**2 * t.itemsize)
    # As many tiles as the second cache has room for, or so many that U is read seldom.
    near = count("floordiv", t.second // 2, each)
    most = count("minimum", MOST, count("maximum", LEAST, near))
    # If there are few tiles, items are some of the columns, and then smaller blocks.
    alone = count("mul", of.groups, count("ceildiv", number, most))
    chunks = count("maximum", count("ceildiv", of.filters, t.leading), 1)
    parts = count("minimum", chunks, count("ceildiv", WANTED, count("maximum", alone, 1)))
    take = count("mul", count("ceildiv", chunks, parts), t.leading)
    even = count("ceildiv", mul(of.groups, number, parts), WANTED)
    most = count("minimum", most, count("maximum", FEW, even))
    segments = count("ceildiv", across, most)
    span = count("ceildiv", across, count("maximum", segments, 1))
    group = count("maximum", 1, count("floordiv", most, count("maximum", across, 1)))
    if adjoint:
        images = count("maximum", 1, count("floordiv", group, count("maximum", down, 1)))
        group, span = mul(images, down), across
    group = count("minimum", group, count("maximum", 1, lines))
    if epilogue and not adjoint:
        # The places of a block follow each other.
        span = count("mul", count("ceildiv", span, of.dilation2), of.dilation2)
        most = count("floordiv", tile.ROWS, count("mul", size, of.dilation2))
        most = count("mul", count("maximum", most, 1), of.dilation2)
        long = count("lt", tile.ROWS, count("mul", of.columns, size))
        span = count("select", long, count("minimum", span, most), span)
        group = count("select", long, 1, group)
    span = count("maximum", span, 1)
    segments = count("ceildiv", across, span)
    blocks = count("mul", count("ceildiv", lines, group), segments)
    tall = t.blocks[0]
    room = count("mul", count("ceildiv", count("mul", group, span), tall), tall)
    wide = t.leading if epilogue else _chunk(t, of, reach, room, each)
    part = mul(room, slice_width(t, epilogue))
    return Choice(
        size,
        number,
        group,
        span,
        segments,
        blocks,
        take,
        wide,
        v_row,
        count("add", count("mul", room, v_row), t.lanes),
        part,
        count("add", count("mul", room, wide), t.lanes),
    )


def _chunk(t: Tiling, of: Role, reach: int, room: Count, each: Count) -> Count:
    """Columns whose products are held at a time, of so many tiles, which have ``each`` bytes of V.

    For each chunk all of V is read again.  If there are so many channels that V does not stay in
    the second cache beside transformed filters, the products get a quarter of that.
    """
    least = slice_width(t, False)
    held = mul(room, reach**2 * t.itemsize * least)
    fitting = count("floordiv", t.second // 4, count("maximum", held, 1))
    fitting = count("minimum", fitting, count("ceildiv", of.filters, least))
    far = count("lt", t.second // 2, mul(room, each))
    return count("mul", least, count("select", far, count("maximum", fitting, 1), 1))
