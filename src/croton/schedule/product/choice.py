"""What of a product its sizes decide before its kernels run.

- the *transposed* result is computed where that has long rows and this one short ones;
- in *strips*, copied first unless its lines are short, is a left factor that lies by columns, is
  read again and again and does not stay in the second cache where it lies; rows are followed as
  fast by the hardware where they lie;
- an item is so many rows and columns that there are some for each of a few threads.

All else the kernels decide themselves (:mod:`croton.schedule.product.ways`): every
count here is computed anew for each call.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.schedule.counts import Count, count
from croton.schedule.product.strips import none_missing
from croton.schedule.product.tiling import Tiling
from croton.schedule.product.ways import FEW_ROWS

#: Columns of the result up to which its transpose may be computed instead.
FEW_COLUMNS = 16

#: Rows of an item whose left factor is read where it lies: these amortise the copy of a panel.
#: They are fewer where the second cache has less than so many bytes for each.
IN_PLACE, NEAR = 1024, 1024


class Choice(NamedTuple):
    """Conditions, 0 or 1; rows and columns of an item; how many items of each there are.

    Strips that ``lie`` are not copied.
    """

    turn: Count
    strips: Count
    lie: Count
    rows: Count
    columns: Count
    down: Count
    across: Count


def choose(t: Tiling, epilogue: bool, panels: bool = False) -> Choice:
    """The choice for any sizes; ``panels``: the right factor may be copied, and no other is."""
    big = t.strips[0]
    turn = _all(
        count("eq", "a_row", 1),
        count("ne", "a_inner", 1),
        count("le", "n", FEW_COLUMNS),
        count("le", t.panel, "m"),
    )
    each = count("mul", "m", "k")
    fitting = count("floordiv", t.second // (2 * t.itemsize), count("add", "k", 1))
    # Elements that lie so far apart share few places of the first cache.
    apart = count("eq", count("mod", "a_inner", 1024 // t.itemsize), 0)
    strips: Count = (
        0
        if panels
        else _all(
            count("ne", "a_inner", 1),
            count("lt", t.depth // 2, "k"),
            count("le", 6 * t.panel, "n"),
            count("le", (4 if t.stays else 8) * big, "m"),
            count("or", count("lt", fitting, "m"), count("or", apart, int(t.stays))),
        )
    )
    far = count("lt", t.large // t.itemsize, each)
    columns = count("select", turn, 2 * t.panel, _columns(t, each, strips, far, epilogue))
    across = count("ceildiv", count("select", turn, "m", "n"), columns)
    most: Count = 18 * big
    in_place = min(IN_PLACE, t.second // NEAR)
    if not epilogue:
        # So many rows of strips, and panels for which they are read, that the strips come from
        # the second cache for most panels; fewer rows, if they come from memory the first time.
        tall = count("select", far, most, 37 * big)
        most = count("select", strips, tall, count("maximum", in_place, fitting))
    lots: Count = count("ceildiv", "m", 4 * big)
    if t.stays:
        # Fewer items read the right factor again.
        lots = count("select", strips, count("floordiv", "m", 8 * big), lots)
    wanted = count("minimum", count("ceildiv", 16, across), lots)
    blocks = count("maximum", count("ceildiv", "m", most), wanted)
    unit = t.blocks[0]
    even = count("mul", count("ceildiv", count("ceildiv", "m", blocks), unit), unit)
    rows = count("select", turn, FEW_COLUMNS, even)
    down = count("ceildiv", count("select", turn, "n", "m"), rows)
    # Short lines of the left factor that follow each other are read as fast as a copy.
    last = count("sub", "m", count("mul", count("sub", down, 1), rows))
    lie = _all(
        count("eq", "a_row", 1),
        count("le", "a_inner", 1024 // t.itemsize),
        count("eq", apart, 0),
        none_missing(t, rows),
        none_missing(t, last),
    )
    return Choice(turn, strips, lie, rows, columns, down, across)


def _columns(t: Tiling, each: Count, strips: Count, far: Count, epilogue: bool) -> Count:
    if epilogue:
        return t.leading  # its blocks begin at multiples of their width
    # Rows of a large right factor, or of a long left one, are read for many columns.
    area = count("mul", count("mul", "n", "k"), t.itemsize)
    thin = _all(count("le", "m", FEW_ROWS), count("le", t.large, area))
    long = _all(count("le", 1536, "k"), count("lt", "n", 6 * t.panel))
    panels = count("floordiv", (1 << 16) // t.panel, count("add", each, 1))
    double = count("add", 1, strips)
    panels = count("select", far, count("mul", 2, double), count("add", double, panels))
    many = count("select", count("or", thin, long), 16, count("minimum", 16, panels))
    return count("mul", t.panel, many)


def _all(*conditions: Count) -> Count:
    result = conditions[0]
    for condition in conditions[1:]:
        result = count("and", result, condition)
    return result
