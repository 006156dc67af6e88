"""The gradient by 3 x 3 filters by Winograd's products: the transposed form of the convolution.

See :mod:`croton.schedule.convolution.winograd_filters.kernel` for the formula and the way, and
:func:`fits` for where it is right.
"""

from __future__ import annotations

from functools import lru_cache

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.schedule.convolution.direct_filters import parts
from croton.schedule.convolution.direct_filters.cut import product
from croton.schedule.convolution.direct_filters.shape import Shape, shape
from croton.schedule.convolution.winograd import choice as winograd
from croton.schedule.convolution.winograd_filters import kernel as sums
from croton.schedule.convolution.winograd_filters.cut import TAPS, cut
from croton.schedule.counts import Count, all_of, count
from croton.schedule.steps import Plan, Step

__all__ = ["fits", "steps"]

#: What the sums of the pieces are called.
PARTS = "winograd_filters_parts"


def fits() -> Count:
    """Whether a convolution is of the form that the kernels compute."""
    ones = ("dilation1", "dilation2")
    return all_of(
        winograd.fits(6), count("eq", "k1", TAPS), *(count("eq", name, 1) for name in ones)
    )


def steps(
    kind: str, machine: Machine, dtype: str, epilogue: bool, when: Count, *, size: int = 4
) -> Plan:
    """The plan of the kind "filters", where ``when`` holds, with tiles of ``size`` (2 or 4).

    Raises ValueError for other kinds, and for an epilogue: no item has all of a sum.

    >>> machine = Machine("some", 32, 16, 32 << 10, 1 << 20, 8 << 20)
    >>> [step.kernel for step in steps("filters", machine, "float32", False, 1).steps]
    ['convolution_filters_float32_winograd4', 'convolution_filters_float32_parts']
    """
    if kind != "filters" or epilogue:
        raise ValueError("this computes the gradient by the filters, without an epilogue")
    t = shape(dtype, machine)
    points = sums.points(size)
    c = cut(t, size, points, machine.l2)
    functions = _functions(t, size)
    values: dict[str, Count] = c._asdict()
    several = count("and", when, count("lt", 1, c.pieces))
    spare = sums.spare_elements(t)
    tiles = count("add", count("mul", c.chunk, count("add", c.wide, c.broad)), 2 * spare)
    held = count("add", tiles, count("mul", count("add", c.wide, t.heights[0]), c.broad))
    kept = product(TAPS * TAPS, c.wide, c.broad)
    first = Step(
        functions[0].name,
        ("x", "y", "w", PARTS),
        tuple(values.get(name, name) for name in sums.SIZES),
        count("select", when, product(c.pieces, c.blocks, c.panels), 0),
        1,
        count("add", 256, count("mul", t.itemsize, count("add", count("mul", points, held), kept))),
    )
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


@lru_cache(maxsize=32)
def _functions(t: Shape, size: int) -> tuple[Function, Function]:
    return sums.kernel(t, size), parts.kernel(t)
