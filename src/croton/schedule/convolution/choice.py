"""Which algorithm computes a convolution: a model of what each costs.

Costs are in multiply-adds that a core could do in the same time.
"""

from __future__ import annotations

from croton.schedule.convolution import columns, pointwise
from croton.schedule.convolution.winograd.choice import fits as fits_tiles
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product.tiling import Tiling

#: Of its own multiply-adds: what a direct convolution and Winograd's products reach, in percent.
_DIRECT, _WINOGRAD = 92, 85
#: Winograd's tiles of 4 x 4 places: multiply-adds a tile, filter and channel; what it takes to
#: transform a tile of an image, for each of its channels, and back, for each filter; and what
#: it takes to transform a filter, for each of its channels.
_POINTS, _THERE, _BACK, _FILTER = 36, 250, 250, 2100


def conditions(
    kind: str, t: Tiling, *, epilogue: bool, accurate: bool, constant: bool
) -> dict[str, Count]:
    """For each algorithm whether it is chosen: 0 or 1.  One of them is.

    ``constant`` filters are prepared once, for all calls.
    """
    depthwise = all_of(
        count("lt", 1, "groups"), count("eq", "channels", 1), count("eq", "filters", 1)
    )
    others = count("eq", depthwise, 0)
    if kind == "filters":
        return {"depthwise": depthwise, "direct": others}
    product = pointwise.fits()
    few: Count = 0
    if kind == "inputs" and not epilogue:
        few = all_of(columns.fits(t), count("le", t.lanes // 2, "filters"))
    left = all_of(others, count("eq", product, 0), count("eq", few, 0))
    tiles: Count = 0
    if not accurate:
        tiles = all_of(left, fits_tiles(), _pays(kind, constant))
    return {
        "depthwise": depthwise,
        "pointwise": product,
        "columns": few,
        "winograd": tiles,
        "direct": all_of(left, count("eq", tiles, 0)),
    }


def _pays(kind: str, constant: bool) -> Count:
    """Whether Winograd's algorithm costs less than a direct convolution."""
    result = "y" if kind == "forward" else "x"
    images = _mul("batch", f"{result}0")
    tiles = _mul(images, *(count("ceildiv", f"{result}{d}", 4) for d in (1, 2)))
    places = _mul(images, f"{result}1", f"{result}2")
    pair = _mul("channels", "filters")
    inner, outer = ("channels", "filters") if kind == "forward" else ("filters", "channels")
    direct = count("floordiv", _mul(900, places, pair), _DIRECT)
    own = count("floordiv", _mul(100 * _POINTS, tiles, pair), _WINOGRAD)
    there, back = _mul(_THERE, tiles, inner), _mul(_BACK, tiles, outer)
    total = count("add", count("add", own, there), back)
    if not constant:
        total = count("add", total, _mul(_FILTER, pair))
    return count("lt", total, direct)


def _mul(*factors: Count) -> Count:
    total: Count = 1
    for factor in factors:
        total = factor if total == 1 else count("mul", total, factor)
    return total
