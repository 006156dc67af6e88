"""The steps of a Winograd convolution."""

from __future__ import annotations

from croton.kernel.nodes import Function
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution import region
from croton.schedule.convolution.winograd.adjoint import adjoint_kernel
from croton.schedule.convolution.winograd.choice import adjoint_role, choose, role
from croton.schedule.convolution.winograd.filters import FILTER_SIZES, PIECE, filter_kernel
from croton.schedule.convolution.winograd.filters import scratch_bytes as filter_scratch
from croton.schedule.convolution.winograd.geometry import SIZES
from croton.schedule.convolution.winograd.kernel import OWN_SIZES, kernel
from croton.schedule.convolution.winograd.pooled import pooled_kernel
from croton.schedule.counts import Count, count, mul
from croton.schedule.product import tile
from croton.schedule.product.tiling import Tiling
from croton.schedule.steps import Plan, Step

#: The temporary that holds transformed filters.
PACKED = "packed"


def steps(
    kind: str,
    t: Tiling,
    epilogue: bool = False,
    when: Count = 1,
    *,
    reach: int = 6,
    taps: int | None = None,
    narrow: bool = False,
    spare: int = 0,
    pooled: bool = False,
    adjoint: bool = False,
) -> Plan:
    """How to compute a convolution of ``kind`` ``"forward"`` or ``"inputs"``, where ``when`` holds.

    It is right only where :func:`croton.schedule.convolution.winograd.choice.fits` holds.
    ``reach`` are the points in a dimension, 4 or 6; ``taps`` those of a filter, if known;
    ``narrow`` is for results that may have few channels, or few over a multiple of a panel.  With
    ``epilogue`` blocks of the result go to a kernel instead
    (:mod:`croton.schedule.product.tile`), which may use ``spare`` bytes of scratch.  ``pooled``:
    the epilogue is a pooling (:mod:`croton.schedule.convolution.region`), whose windows lie in
    tiles.  ``adjoint``: of kind ``"inputs"``, with tiles of ``y``, where
    :func:`~croton.schedule.convolution.winograd.choice.adjoint_fits` holds.
    """
    if kind not in ("forward", "inputs"):
        raise ValueError(f"no Winograd convolution computes {kind!r}")
    of = adjoint_role() if adjoint else role(kind)
    way = choose(t, of, reach, epilogue, adjoint)
    filters, product = _functions(t, reach, taps, narrow, epilogue, pooled, adjoint)
    points = reach**2
    values: dict[str, Count] = of._asdict() | way._asdict() | {"whole": int(not narrow)}

    free = region.size(tile.ROWS) if pooled else tile.FREE
    apart = -(-(free + spare) // 64) * 64

    def only(value: Count) -> Count:
        return count("select", when, value, 0)

    panels = count("mul", of.groups, count("ceildiv", of.filters, t.panel))
    packed = mul(panels, t.panel, points, count("add", of.channels, 1))
    first = Step(
        filters.name,
        ("w", PACKED),
        tuple(values[n] for n in FILTER_SIZES),
        only(mul(panels, count("ceildiv", of.channels, PIECE))),
        4,
        count("add", 64, filter_scratch(t, of.taps)),
    )
    sizes = tuple(values[n] for n in SIZES)
    scratch = mul(points * t.itemsize, count("add", way.m_point, way.v_point))
    if epilogue:
        scratch = count("add", scratch, count("mul", way.side, apart))
    own = tuple(values[n] for n in OWN_SIZES) + ((apart,) if epilogue else ())
    own += region.SIZES if pooled else ("before1", "before2") if adjoint else ()
    second = Step(
        product.name,
        (of.image, PACKED, "epilogue" if epilogue else of.result),
        (*sizes, *own),
        only(mul(way.blocks, of.groups, count("ceildiv", of.filters, way.take))),
        1,
        count("add", 64, scratch),
    )
    return Plan(t.dtype, (filters, product), ((PACKED, only(packed)),), (first, second))


@from_parameters
def _functions(
    t: Tiling,
    reach: int,
    taps: int | None,
    narrow: bool,
    epilogue: bool,
    pooled: bool,
    adjoint: bool,
) -> tuple[Function, Function]:
    first = filter_kernel(t, reach, taps)
    if adjoint:
        return first, adjoint_kernel(t, reach, epilogue, taps, narrow)
    if pooled:
        return first, pooled_kernel(t, reach, taps, narrow)
    return first, kernel(t, reach, epilogue, taps, narrow)
