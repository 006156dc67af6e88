"""Which algorithm computes a convolution: of those that can, the one that costs least.

Where others cost at most a quarter more, the model of costs is not sure, and a measurement may say
which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.schedule.convolution import columns, costs, planes, pointwise, region
from croton.schedule.convolution.direct_filters import handed
from croton.schedule.convolution.direct_filters.shape import shape
from croton.schedule.convolution.names import ANSWER
from croton.schedule.convolution.winograd import choice as winograd
from croton.schedule.counts import Count, add, all_of, count, mul
from croton.schedule.product.tiling import Tiling, tiling

#: Channels, and filters, of groups that share the lanes of a vector.
SHARED_LANES = (1, 2, 4, 8)

#: The model is not sure of an algorithm that costs more by at most one part in so many.
NEAR = 4


def is_narrow(t: Tiling, outer: int | None) -> bool:
    """Whether Winograd's kernels may meet panels whose second vector is empty.

    See :mod:`croton.schedule.convolution.winograd.products`.
    """
    return outer is None or 0 < outer % t.panel <= t.lanes


class Choice(NamedTuple):
    """For each algorithm whether it is chosen: 0 or 1.  One of them is.

    Where ``unsure`` is 1, which one that is hangs on :data:`~.names.ANSWER`.
    """

    when: dict[str, Count]
    unsure: Count


def choose(
    kind: str,
    dtype: str,
    machine: Machine,
    *,
    epilogue: bool,
    accurate: bool,
    constant: bool,
    outer: int | None,
    settled: bool,
    measured: bool = False,
    widths: Sequence[int] = SHARED_LANES,
    pooled: bool = False,
) -> Choice:
    """The choice for any sizes.

    ``accurate``: only algorithms that add up the products of the definition.  ``constant`` filters
    are prepared once, for all calls; ``outer`` are the channels that the result has in each group,
    if that is known.  ``settled``: all sizes are known, so that there will be kernels of one
    algorithm only.  ``measured``: of several that cost about the same the answer to a question
    says which one.  ``widths`` are those that groups may have, of :data:`SHARED_LANES`.
    ``pooled``: only algorithms that hand whole windows to a pooling
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
    possible = candidates(
        kind,
        dtype,
        machine,
        epilogue=epilogue,
        accurate=accurate,
        constant=constant,
        outer=outer,
        settled=settled,
        pooled=pooled,
    )
    (_, least), *others = possible.values()
    best: Count = 0
    for number, (fits, cost) in enumerate(others, 1):
        less = all_of(fits, count("lt", cost, least))
        best, least = count("select", less, number, best), count("select", less, cost, least)
    unsure: Count = 0
    if measured:
        near = [
            all_of(left, fits, count("le", mul(NEAR, cost), mul(NEAR + 1, least)))
            for fits, cost in possible.values()
        ]
        unsure = count("lt", 1, add(*near))
        answered = add(*(all_of(n, count("eq", ANSWER, k)) for k, n in enumerate(near)))
        best = count("select", count("and", unsure, answered), ANSWER, best)
    found |= {name: all_of(left, count("eq", best, k)) for k, name in enumerate(possible)}
    return Choice(found, unsure)


def candidates(
    kind: str,
    dtype: str,
    machine: Machine,
    *,
    epilogue: bool,
    accurate: bool,
    constant: bool,
    outer: int | None,
    settled: bool,
    pooled: bool = False,
) -> dict[str, tuple[Count, Count]]:
    """For each algorithm whether it computes such a convolution, and what it costs then.

    Of convolutions whose groups do not share lanes; the first one computes them all.
    """
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
    if not pooled:
        found["planes"] = planes.fits(kind, t, epilogue), costs.planes(kind, t, rates)
    if not accurate and kind == "inputs":
        cost = costs.adjoint(t, rates, constant, is_narrow(t, outer))
        found["adjoint6"] = winograd.adjoint_fits(t, epilogue), cost
    if not accurate:
        # Smaller tiles have fewer numbers to read for each weight.  To compute these in every call
        # makes up for it where there are few tiles: too seldom for kernels that wait for it.
        for reach in (6, 4) if constant or settled else (6,):
            cost = costs.winograd(kind, t, rates, reach, constant, is_narrow(t, outer))
            found[f"winograd{reach}"] = _tiles(reach, pooled), cost
    return found


def hands_over(dtype: str, machine: Machine, accurate: bool, when: Mapping[str, Count]) -> Count:
    """Whether a gradient by filters that are turned is summed up block by block.

    See :mod:`croton.schedule.convolution.direct_filters.handed`; it is where that costs less than
    what is chosen otherwise, ``when`` which holds, and what becomes of the sums in memory then.
    """
    t, rates = tiling(dtype, machine), costs.rates(machine)
    possible = candidates(
        "filters",
        dtype,
        machine,
        epilogue=True,
        accurate=accurate,
        constant=False,
        outer=None,
        settled=True,
    )
    others: Count = 0
    for name, (_, cost) in possible.items():
        whole = add(cost, costs.returned(machine, t, rates, name))
        others = add(others, count("select", when[name], whole, 0))
    here = handed.way(shape(dtype, machine), machine)
    return all_of(here.fits, count("lt", costs.handed(t, rates, here), others))


def _tiles(reach: int, pooled: bool) -> Count:
    """Whether Winograd's kernels for this reach compute the convolution."""
    fits = winograd.fits(reach)
    if not pooled:
        return fits
    near = (count("eq", f"dilation{d}", 1) for d in (1, 2))
    return all_of(fits, *near, region.tiled(winograd.tile_size(reach)))
