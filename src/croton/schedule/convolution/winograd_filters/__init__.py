"""The gradient by filters of 3 x 3 or 5 x 5 by Winograd's products: the convolution's transpose.

See :mod:`croton.schedule.convolution.winograd_filters.kernel` for the formula and the way, and
:func:`croton.schedule.convolution.winograd.choice.fits` for where it is right.
"""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution.direct_filters import parts
from croton.schedule.convolution.direct_filters.shape import Shape, shape
from croton.schedule.convolution.filters_end import SUMS, Sums
from croton.schedule.convolution.winograd.matrices import TAPS
from croton.schedule.convolution.winograd_filters import kernel as sums
from croton.schedule.convolution.winograd_filters.cut import Cut, cut
from croton.schedule.counts import Count, count, mul
from croton.schedule.steps import Plan, Step

__all__ = ["steps", "sums_of"]

#: What the sums of the pieces are called.
PARTS = "winograd_filters_parts"


def steps(
    kind: str,
    machine: Machine,
    dtype: str,
    epilogue: bool,
    when: Count,
    *,
    reach: int = 6,
    taps: int | None = None,
) -> Plan:
    """The plan of the kind "filters", where ``when`` holds.

    ``reach`` are the points in a dimension, 4 or 6; ``taps`` those of a filter, if known.
    Raises ValueError for other kinds, and for an epilogue: no item has all of a sum.

    >>> machine = Machine("some", 32, 16, 32 << 10, 1 << 20, 8 << 20)
    >>> [step.kernel for step in steps("filters", machine, "float32", False, 1).steps]
    ['convolution_filters_float32_winograd6', 'convolution_filters_float32_parts']
    """
    if kind != "filters" or epilogue:
        raise ValueError("this computes the gradient by the filters, without an epilogue")
    t = shape(dtype, machine)
    c = _cut(t, reach, machine)
    functions = _functions(t, reach, taps)
    several = count("and", when, count("lt", 1, c.pieces))
    first = _first(t, c, when, reach, functions[0].name, ("w", PARTS))
    second = Step(
        functions[1].name,
        (PARTS, "w"),
        (c.result, c.pieces),
        count("select", several, count("ceildiv", c.result, parts.ITEM), 0),
        16,
        64,
    )
    temporary = count("select", several, count("mul", c.result, c.pieces), 0)
    return Plan(dtype, functions, ((PARTS, temporary),), (first, second))


def sums_of(
    machine: Machine, dtype: str, when: Count, *, reach: int = 6, taps: int | None = None
) -> Sums:
    """The first of the steps, where ``when`` holds, for an epilogue (see :func:`steps`)."""
    t = shape(dtype, machine)
    c = _cut(t, reach, machine)
    function = _functions(t, reach, taps)[0]
    return Sums(when, function, _first(t, c, when, reach, function.name, (SUMS, SUMS)), c.pieces)


def _cut(t: Shape, reach: int, machine: Machine) -> Cut:
    return cut(t, reach, sums.points(reach), machine.l2)


def _first(
    t: Shape, c: Cut, when: Count, reach: int, kernel: str, results: tuple[str, str]
) -> Step:
    """The step that sums up, into the first of ``results`` if that is one piece."""
    values: dict[str, Count] = c._asdict()
    points, spare = sums.points(reach), sums.spare_elements(t)
    tiles = count("add", count("mul", c.chunk, count("add", c.wide, c.broad)), 2 * spare)
    held = count("add", tiles, count("mul", count("add", c.wide, t.highest), c.broad))
    most = count("minimum", "k1", max(TAPS[reach]))
    kept = mul(most, most, c.wide, c.broad)
    return Step(
        kernel,
        ("x", "y", *results),
        tuple(values.get(name, name) for name in sums.SIZES),
        count("select", when, mul(c.pieces, "groups", c.blocks, c.panels), 0),
        1,
        count("add", 256, count("mul", t.itemsize, count("add", count("mul", points, held), kept))),
    )


@from_parameters
def _functions(t: Shape, reach: int, taps: int | None) -> tuple[Function, Function]:
    return sums.kernel(t, reach, taps), parts.kernel(t)
