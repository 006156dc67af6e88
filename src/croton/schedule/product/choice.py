"""What of a product its sizes decide before its kernels run.

- the *transposed* result is computed where that has long rows and this one short ones;
- in *strips*, copied first, is the left factor of a product where much is computed from
  every element; the right one is copied first too (*panels*) where many rows need it;
- an item is so many rows and columns that there are some for each of a few threads.

All else the kernels decide themselves (:mod:`croton.schedule.product.ways`): every
count here is computed anew for each call.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.schedule.product.counts import Count, count
from croton.schedule.product.tiling import Tiling

#: Columns of the result up to which its transpose may be computed instead.
FEW_COLUMNS = 16


class Choice(NamedTuple):
    """Conditions, 0 or 1; rows and columns of an item; how many items of each there are."""

    turn: Count
    strips: Count
    panels: Count
    rows: Count
    columns: Count
    down: Count
    across: Count


def choose(t: Tiling, epilogue: bool) -> Choice:
    """The choice for any sizes."""
    big = t.strips[0]
    turn = _all(
        count("eq", "a_row", 1),
        count("ne", "a_inner", 1),
        count("le", "n", FEW_COLUMNS),
        count("le", t.panel, "m"),
    )
    each = count("mul", "m", "k")
    strips = _all(
        count("le", 6 * t.panel, "n"),
        count("le", big, "m"),
        count("le", 1 << 20, count("mul", each, "n")),
    )
    panels = _all(strips, count("le", 400, "m"))
    columns = count("select", turn, 2 * t.panel, _columns(t, each, epilogue))
    across = count("ceildiv", count("select", turn, "m", "n"), columns)
    # The rows of an item stay in the second cache while it is used for all columns.
    fitting = count("floordiv", 1 << 16, count("mul", "k", big))
    fitting = count("minimum", 18, count("maximum", 5, fitting))
    most = count("select", panels, count("mul", big, fitting), 18 * big)
    wanted = count("minimum", count("ceildiv", 16, across), count("ceildiv", "m", 4 * big))
    blocks = count("maximum", count("ceildiv", "m", most), wanted)
    unit = count("select", strips, big, t.blocks[0])
    even = count("mul", count("ceildiv", count("ceildiv", "m", blocks), unit), unit)
    rows = count("select", turn, FEW_COLUMNS, even)
    down = count("ceildiv", count("select", turn, "n", "m"), rows)
    return Choice(turn, strips, panels, rows, columns, down, across)


def _columns(t: Tiling, each: Count, epilogue: bool) -> Count:
    if epilogue:
        return t.leading  # its blocks begin at multiples of their width
    # Rows of a large right factor, or of a long left one, are read for many columns.
    thin = _all(count("le", "m", 16), count("le", 1 << 18, count("mul", "n", "k")))
    long = _all(count("le", 1536, "k"), count("lt", "n", 6 * t.panel))
    panels = count("add", 1, count("floordiv", (1 << 16) // t.panel, count("add", each, 1)))
    many = count("select", count("or", thin, long), 16, count("minimum", 16, panels))
    return count("mul", t.panel, many)


def _all(*conditions: Count) -> Count:
    result = conditions[0]
    for condition in conditions[1:]:
        result = count("and", result, condition)
    return result
