"""Which algorithm computes a convolution: of those that can, the one that costs least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from croton.kernel.machine import Machine
from croton.schedule.convolution import columns, costs, planes, pointwise, region
from croton.schedule.convolution.winograd import choice as winograd
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product.tiling import tiling

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
    settled: bool,
    widths: Sequence[int] = SHARED_LANES,
    pooled: bool = False,
) -> dict[str, Count]:
    """For each algorithm whether it is chosen: 0 or 1.  One of them is.

    ``accurate``: only algorithms that add up the products of the definition.  ``constant`` filters
    are prepared once, for all calls; ``narrow`` tells of the form of Winograd's kernels
    (:mod:`croton.schedule.convolution.winograd.products`).  ``settled``: all sizes are known, so
    that there will be kernels of one algorithm only.  ``widths`` are those that groups may have,
    of :data:`SHARED_LANES`.  ``pooled``: only algorithms that hand whole windows to a pooling
    (:mod:`croton.schedule.convolution.region`), of one group.
    """
    # Whatever else there is would leave most lanes of small groups empty.
    several = 0 if pooled else count("lt", 1, "groups")
    found: dict[str, Count] = {
        f"lanes{n}": all_of(several, count("eq", "channels", n), count("eq", "filters", n))
        for n in widths
    }
    left: Count = 1
    for condition in found.values():
        left = all_of(left, count("eq", condition, 0))
    return found | _cheapest(
        left,
        _candidates(kind, dtype, machine, epilogue, accurate, constant, narrow, settled, pooled),
    )


def _candidates(
    kind: str,
    dtype: str,
    machine: Machine,
    epilogue: bool,
    accurate: bool,
    constant: bool,
    narrow: bool,
    settled: bool,
    pooled: bool,
) -> dict[str, tuple[Count, Count]]:
    """For each algorithm whether it computes such a convolution, and what it costs then."""
    t, rates = tiling(dtype, machine), costs.rates(machine)
    if kind == "filters":
        found: dict[str, tuple[Count, Count]] = {"direct": (1, costs.sums(t, rates))}
        if not accurate:
            found["winograd6"] = winograd.fits(), costs.tile_sums(machine, t, rates, 6)
        return found
    found = {"direct": (1, costs.direct(kind, t, rates, constant))}
    if not pooled:
        found["pointwise"] = pointwise.fits(), costs.pointwise(kind, t, rates)
    if kind == "inputs" and not epilogue:
        found["columns"] = columns.fits(t), costs.columns(t, rates)
    if kind == "forward" and not pooled:
        found["planes"] = planes.fits(t, epilogue), costs.planes(t, rates)
    if not accurate:
        # Smaller tiles have fewer numbers to read for each weight.  To compute these in every call
        # makes up for it where there are few tiles: too seldom for kernels that wait for it.
        for reach in (6, 4) if constant or settled else (6,):
            cost = costs.winograd(kind, t, rates, reach, constant, narrow)
            found[f"winograd{reach}"] = _tiles(reach, pooled), cost
    return found


def _tiles(reach: int, pooled: bool) -> Count:
    """Whether Winograd's kernels for this reach compute the convolution."""
    fits = winograd.fits(reach)
    if not pooled:
        return fits
    near = (count("eq", f"dilation{d}", 1) for d in (1, 2))
    return all_of(fits, *near, region.tiled(winograd.tile_size(reach)))


def _cheapest(left: Count, candidates: Mapping[str, tuple[Count, Count]]) -> dict[str, Count]:
    """Which of ``candidates`` is chosen where something is ``left``; the first one always fits."""
    (_, least), *others = candidates.values()
    best: Count = 0
    for number, (fits, cost) in enumerate(others, 1):
        less = all_of(fits, count("lt", cost, least))
        best, least = count("select", less, number, best), count("select", less, cost, least)
    return {name: all_of(left, count("eq", best, k)) for k, name in enumerate(candidates)}
