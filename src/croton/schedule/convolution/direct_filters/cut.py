"""How sizes cut the work: into lines of places, chunks of lines, and items.

- A *line* is a row of places of the result, or a part of one, of at most ``depth`` places.  With
  filters of one place that go everywhere, all places are one row (``joined``).
- A *chunk* is as many lines as are summed up in registers at a time.
- With few channels the image's lines are *copied* with the zeros around them, and the
  rows of a block run over the places of the filter's last dimension as well, which lie side by
  side (``merged``).
- Where that makes few rows, the lines that the filter meets in dimension 1 are copied side by
  side, and the rows run over that dimension, too (``stacked``).
- With few filters the blocks are ``turned``: their rows are filters, their columns what was
  merged.  What is stacked or turned an item keeps in its scratch until its end.
- An *item* is a few of the filter's lines (all places in its last dimension), a few panels of
  filters of one group or a few groups of one panel, and all places or, where the result is small,
  a *piece* of them; what the pieces sum up to is added in a second step.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.schedule.convolution.direct_filters.shape import PANELS, Shape
from croton.schedule.counts import Count, count, mul

#: Items that there should be, if each of them has this many products of numbers.
ITEMS = 48
LEAST = 1 << 20
#: The sums of all pieces may have as many elements, or one part in ``SHARE`` of what is given;
#: a piece should have as many places.
TEMPORARY = 1 << 18
SHARE = 4
PIECE = 256
#: Bytes after which addresses share a set of the first cache, which is a page; and of how many
#: pages a processor knows at once where they are.
ALIKE, PAGES = 4096, 64
#: Rows of the result per item, so that reading the gradient is little of the work.
ROWS = 64


class Cut(NamedTuple):
    """Conditions and amounts; see this module's text."""

    joined: Count
    copied: Count
    merged: Count
    #: Places of a row, and of one of the lines that it is cut into; how many lines in all.
    length: Count
    seg: Count
    lines: Count
    #: Lines of a chunk and of a piece; how many pieces.
    chunk: Count
    share: Count
    pieces: Count
    #: Lines of the filter, and panels, of an item; how many items of each.
    taps: Count
    tap_groups: Count
    panels: Count
    panel_groups: Count
    #: Elements of the result, and from line to line of what is copied.
    result: Count
    pitch: Count
    #: Conditions.
    stacked: Count
    turned: Count
    #: How the sums that an item keeps lie: elements from row to row, and rows, for each line of
    #: the filter; bytes in all.
    sums_pitch: Count
    sums_rows: Count
    kept_bytes: Count
    #: Groups of an item, and how many such items.
    span: Count
    group_groups: Count


def cut(t: Shape) -> Cut:
    """The cut for any sizes."""
    joined = _all(
        count("eq", mul("k0", "k1", "k2"), 1),
        *(
            _all(
                count("eq", f"stride{d}", 1),
                count("eq", f"before{d}", 0),
                count("eq", f"x{d}", f"y{d}"),
            )
            for d in range(3)
        ),
    )
    # Others have the rows of the highest block.
    copied = count("lt", "channels", t.highest)
    merged = _all(copied, count("eq", "dilation2", 1))
    run = count("mul", "k2", "channels")
    stacked = _all(merged, count("lt", 1, "k1"), count("le", run, t.heights[0]))
    run = count("mul", run, count("select", stacked, "k1", 1))
    turned = _all(
        merged,
        count("le", "filters", t.panel),
        count(
            "lt",
            count("mul", "filters", _up(run, t.lanes)),
            count("mul", run, _up("filters", t.lanes)),
        ),
    )
    places = mul("batch", "y0", "y1", "y2")
    length = count("select", joined, places, "y2")
    # Places so far apart are in the same few sets of the first cache, and in as many pages: not as
    # many of them stay.
    apart = mul("groups", "channels", "stride2", t.itemsize)
    depth: Count = t.depth
    for several in (2, 1):
        alike = _all(count("eq", copied, 0), count("eq", count("mod", apart, ALIKE // several), 0))
        depth = count("select", alike, min(t.depth, PAGES * several), depth)
    each = count("maximum", 1, count("ceildiv", length, depth))
    seg = count("maximum", 1, count("ceildiv", length, each))
    rows = count("select", joined, 1, mul("batch", "y0", "y1"))
    lines = count("mul", rows, count("ceildiv", length, seg))

    filter_lines = count("mul", "k0", count("select", stacked, 1, "k1"))
    few = count("ceildiv", ROWS, count("maximum", run, 1))
    taps, tap_groups = _parts(
        filter_lines, count("maximum", 1, count("floordiv", filter_lines, few))
    )
    across = count("ceildiv", "filters", t.panel)

    # So many pieces as make enough items, but for their sums' memory and lengths.
    result = mul("k0", "k1", "k2", "channels", "groups", "filters")
    each = count(
        "select",
        turned,
        count("mul", "filters", _up(run, t.lanes)),
        count("mul", run, _up("filters", t.lanes)),
    )
    work = mul(filter_lines, each, "groups", places)
    wanted = count("minimum", ITEMS, count("floordiv", work, LEAST))
    given = count("add", mul("batch", "x0", "x1", "x2", "channels"), mul(places, "filters"))
    room = count("maximum", TEMPORARY, count("floordiv", count("mul", "groups", given), SHARE))
    most = count("floordiv", room, count("maximum", result, 1))
    most = count("maximum", 1, count("minimum", most, count("floordiv", places, PIECE)))
    # Several groups of one panel each can use a table together.
    together = _all(count("eq", copied, 0), count("eq", across, 1))
    lots = count("select", together, "groups", across)
    parts = count("mul", count("select", together, 1, "groups"), tap_groups)
    possible = count("mul", count("minimum", wanted, most), count("mul", parts, lots))
    panels, panel_groups = _even(
        lots, count("minimum", PANELS, count("floordiv", possible, count("maximum", 1, wanted)))
    )
    pieces = count("ceildiv", wanted, count("maximum", 1, count("mul", parts, panel_groups)))
    pieces = count("maximum", 1, count("minimum", pieces, most))
    share = count("maximum", 1, count("ceildiv", lines, pieces))
    chunk, _ = _even(share, count("floordiv", depth, seg))
    taps_of_run = count("select", merged, count("sub", "k2", 1), 0)
    columns = count(
        "add",
        count("add", 1, count("mul", count("sub", seg, 1), "stride2")),
        count("mul", taps_of_run, "dilation2"),
    )
    # The rows that are copied for a line, in whole steps from place to place.
    width = count("mul", "channels", count("select", stacked, "k1", 1))
    step = count("maximum", 1, count("mul", width, "stride2"))
    pitch = count("mul", step, count("ceildiv", count("mul", columns, width), step))
    kept = count("or", stacked, turned)
    high = count("add", count("select", turned, "filters", run), t.highest)
    wide = count("select", turned, _up(run, t.panel), count("mul", panels, t.panel))
    sums_rows, sums_pitch = count("select", kept, high, 0), count("select", kept, wide, 0)
    kept_bytes = mul(taps, sums_rows, sums_pitch, t.itemsize)
    return Cut(
        joined,
        copied,
        merged,
        length,
        seg,
        lines,
        chunk,
        share,
        count("maximum", 1, count("ceildiv", lines, share)),
        taps,
        tap_groups,
        count("select", together, 1, panels),
        count("select", together, 1, panel_groups),
        result,
        count("select", copied, pitch, 0),
        stacked,
        turned,
        sums_pitch,
        sums_rows,
        _up(kept_bytes, 64),
        count("select", together, panels, 1),
        count("select", together, panel_groups, "groups"),
    )


def _even(whole: Count, most: Count) -> tuple[Count, Count]:
    """Parts of at most about ``most`` (at least 1) and alike, and their number."""
    return _parts(whole, count("maximum", 1, count("ceildiv", whole, count("maximum", most, 1))))


def _parts(whole: Count, number: Count) -> tuple[Count, Count]:
    """About ``number`` (at least 1) parts that are alike: their size and number."""
    each = count("maximum", 1, count("ceildiv", whole, number))
    return each, count("ceildiv", whole, each)


def _up(value: Count, to: int) -> Count:
    """``value`` rounded up to a multiple."""
    return count("mul", count("ceildiv", value, to), to)


def _all(*conditions: Count) -> Count:
    result = conditions[0]
    for condition in conditions[1:]:
        result = count("and", result, condition)
    return result
