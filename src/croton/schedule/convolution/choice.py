"""Which algorithm computes a convolution: a model of what each costs.

Costs are in multiplications and additions that a core could do in the same time.
"""

from __future__ import annotations

from collections.abc import Sequence

from croton.kernel.machine import Machine
from croton.schedule.convolution import columns, planes, pointwise
from croton.schedule.convolution.direct_filters.shape import shape
from croton.schedule.convolution.winograd import choice as winograd
from croton.schedule.convolution.winograd_filters.cut import cheaper
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product.tiling import Tiling, tiling

#: What a direct convolution reaches of its own multiplications and additions, in percent, with
#: several vectors of channels and with one; as how many more of them a block's beginning and end
#: take, for each element; and what it takes to prepare a weight.
_DIRECT, _DIRECT_NARROW, _DIRECT_START, _PREPARED = 90, 76, 8, 47

#: Channels, and filters, of groups that share the lanes of a vector.
SHARED_LANES = (1, 2, 4, 8)


def conditions(
    kind: str,
    dtype: str,
    machine: Machine,
    *,
    epilogue: bool,
    accurate: bool,
    constant: bool,
    narrow: bool,
    widths: Sequence[int] = SHARED_LANES,
) -> dict[str, Count]:
    """For each algorithm whether it is chosen: 0 or 1.  One of them is.

    ``constant`` filters are prepared once, for all calls; ``narrow`` tells of the form of
    Winograd's kernels (:mod:`croton.schedule.convolution.winograd.products`).  ``widths`` are
    those that groups may have, of :data:`SHARED_LANES`.
    """
    several = count("lt", 1, "groups")
    found: dict[str, Count] = {
        f"lanes{n}": all_of(several, count("eq", "channels", n), count("eq", "filters", n))
        for n in widths
    }
    left: Count = 1
    for condition in found.values():
        left = all_of(left, count("eq", condition, 0))
    if kind == "filters":
        tiles: Count = 0
        if not accurate:
            tiles = all_of(left, winograd.fits(), cheaper(shape(dtype, machine), 6))
        direct = all_of(left, count("eq", tiles, 0))
        return found | {"winograd6": tiles, "direct": direct}
    t = tiling(dtype, machine)
    product = all_of(left, pointwise.fits(), pointwise.cheaper())
    few: Count = 0
    if kind == "inputs" and not epilogue:
        few = all_of(left, columns.fits(t), count("le", t.lanes // 2, "filters"))
    lines: Count = 0
    if kind == "forward":
        lines = all_of(left, planes.fits(t, epilogue))
    for other in (product, few, lines):
        left = all_of(left, count("eq", other, 0))
    found |= {"pointwise": product, "columns": few, "planes": lines}
    if not accurate:
        fits = all_of(left, winograd.fits(6))
        large = winograd.cost(kind, t, reach=6, prepared=constant, narrow=narrow)
        least = _direct(kind, t, constant)
        if constant:
            # Smaller tiles have fewer numbers to read for each weight.
            small = winograd.cost(kind, t, reach=4, prepared=True, narrow=narrow)
            found["winograd4"] = all_of(
                left, winograd.fits(4), count("lt", small, least), count("lt", small, large)
            )
            fits = all_of(fits, count("eq", found["winograd4"], 0))
        found["winograd6"] = all_of(fits, count("lt", large, least))
        for name in ("winograd4", "winograd6"):
            left = all_of(left, count("eq", found.get(name, 0), 0))
    return found | {"direct": left}


def _direct(kind: str, t: Tiling, constant: bool) -> Count:
    """What a direct convolution costs."""
    result, outer = ("y", "filters") if kind == "forward" else ("x", "channels")
    inner = "channels" if kind == "forward" else "filters"
    places = winograd.mul("batch", f"{result}0", f"{result}1", f"{result}2")
    weights = winograd.mul("k1", "k2", inner)
    reached = count("select", count("lt", t.lanes, outer), _DIRECT, _DIRECT_NARROW)
    products = winograd.mul(2 * 100, places, count("add", weights, _DIRECT_START))
    each = count("floordiv", products, reached)
    if not constant:
        each = count("add", each, winograd.mul(_PREPARED, weights))
    return winograd.mul("groups", count("ceildiv", outer, t.lanes), t.lanes, each)
