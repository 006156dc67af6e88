"""Which way a product is computed, by its sizes alone.

- *dot products* where both factors lie along the inner index and the result is small
  across it: a matrix times a vector, say;
- *turned*, as the transposed result, where that has long rows and this one short ones;
- in *strips*, the left factor copied first, where much is computed from every element;
  the right one is copied first too (*panels*) where many rows need it;
- else by blocks that read the left factor where it lies, and the right one too if few
  rows need it (*direct*).
"""

from __future__ import annotations

from typing import NamedTuple

from croton.schedule.product.counts import Count, count
from croton.schedule.product.tiling import Tiling

#: Columns of the result up to which its transpose may be computed instead.
FEW_COLUMNS = 16


class Choice(NamedTuple):
    """The way, and the rows and columns of an item; conditions are 0 or 1."""

    dot: Count
    turn: Count
    strips: Count
    panels: Count
    direct: Count
    depth: Count
    rows: Count
    columns: Count
    down: Count
    across: Count


def choose(t: Tiling, widest: int) -> Choice:
    """The choice for any sizes; an item has at most ``widest`` columns."""
    big, few = t.strips[0], count("le", "m", 16)
    dot = _dot(t)
    turn = _all(
        count("eq", "a_row", 1),
        count("ne", "a_inner", 1),
        count("le", "n", FEW_COLUMNS),
        count("le", t.panel, "m"),
    )
    strips = _all(
        count("le", 8 * t.panel, "n"),
        count("le", 32, "m"),
        count("le", 1 << 14, count("mul", "m", "k")),
    )
    panels = _all(strips, count("le", 400, "m"))
    near = _any(count("lt", "m", 96), count("le", "n", t.panel))
    direct = _any(turn, _all(count("eq", "b_column", 1), near))
    # Rows of a large right factor are read on and on, not in short pieces.
    large = count("le", 1 << 20, count("mul", count("mul", "n", "k"), t.itemsize))
    thin = _all(few, direct, large) if widest >= 16 * t.panel else 0
    # Rows of a long left factor are read once for all columns.
    long = _all(count("le", 1536, "k"), count("lt", "n", 8 * t.panel))
    least = _mul(count("minimum", "m", 18 * big), "k", t.panel)
    panels_each = count("add", 1, count("floordiv", 1 << 16, count("add", least, 1)))
    panels_each = _select(_any(thin, long), 16, panels_each)
    each = count("mul", t.panel, count("minimum", widest // t.panel, panels_each))
    if widest == t.leading:
        # An epilogue's block starts at a multiple of its tile's columns.
        each = widest
    columns = _select(turn, 2 * t.panel, each)
    across = count("ceildiv", _select(turn, "m", "n"), columns)
    most = _select(panels, 6 * big, 18 * big)
    wanted = count("minimum", count("ceildiv", 16, across), count("ceildiv", "m", 4 * big))
    blocks = count("maximum", count("ceildiv", "m", most), wanted)
    even = count("ceildiv", "m", blocks)
    whole = count("mul", count("ceildiv", even, big), big)
    rows = _select(turn, FEW_COLUMNS, _select(strips, whole, even))
    down = count("ceildiv", _select(turn, "n", "m"), rows)
    unpacked = _select(dot, count("eq", "b_inner", 1), direct if t.masks else 0)
    depth = _depth(t, thin, _select(strips, 0, unpacked))
    return Choice(dot, turn, strips, panels, direct, depth, rows, columns, down, across)


def _dot(t: Tiling) -> Count:
    narrow = _all(
        count("le", "n", max(4, t.lanes // 2)),
        count("le", count("add", 32, count("mul", 12, "n")), "k"),
    )
    low = _all(count("le", "m", 4), count("eq", "b_inner", 1), count("le", 128, "k"))
    return _all(count("eq", "a_inner", 1), _any(narrow, low))


def _depth(t: Tiling, thin: Count, unpacked: Count) -> Count:
    """How much of the inner index to take at a time: all of it, or pieces of one size."""
    pieces = count("ceildiv", "k", t.depth)
    even = count("mul", count("ceildiv", count("ceildiv", "k", pieces), t.lanes), t.lanes)
    even = _select(count("le", "k", t.depth), t.depth, even)
    return _select(thin, 2 * t.lanes, _select(unpacked, count("maximum", "k", 1), even))


def _select(condition: Count, yes: Count, no: Count) -> Count:
    if isinstance(condition, int):
        return yes if condition else no
    return count("select", condition, yes, no)


def _mul(*factors: Count) -> Count:
    return _fold("mul", factors)


def _all(*conditions: Count) -> Count:
    return _fold("and", conditions)


def _any(*conditions: Count) -> Count:
    return _fold("or", conditions)


def _fold(name: str, conditions: tuple[Count, ...]) -> Count:
    result = conditions[0]
    for condition in conditions[1:]:
        result = count(name, result, condition)
    return result
