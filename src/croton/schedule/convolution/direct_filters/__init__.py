"""The gradient by the filters of a convolution, summed up directly from image and gradient.

``w[t, c, f] = sum over n, p of x[n, at(p, t), c] * y[n, p, f]`` is a product of two matrices whose
inner index are the places of the result; what a place in the filter sees of the image is read
where it lies.  See :mod:`croton.schedule.convolution.direct_filters.cut` for what an item is.
"""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution.direct_filters import kernel as sums
from croton.schedule.convolution.direct_filters import parts
from croton.schedule.convolution.direct_filters.cut import Cut, cut
from croton.schedule.convolution.direct_filters.shape import Shape, shape
from croton.schedule.convolution.filters_end import SUMS, Sums
from croton.schedule.counts import Count, count, mul
from croton.schedule.steps import Plan, Step

__all__ = ["steps", "sums_of"]

#: What the sums of the pieces are called.
PARTS = "filters_parts"


def steps(kind: str, machine: Machine, dtype: str, epilogue: bool, when: Count) -> Plan:
    """The plan of the kind "filters", where ``when`` holds.

    Raises ValueError for other kinds, and for an epilogue: no item has all of a sum.

    >>> machine = Machine("some", 32, 16, 32 << 10, 1 << 20, 8 << 20)
    >>> [step.kernel for step in steps("filters", machine, "float32", False, 1).steps]
    ['convolution_filters_float32', 'convolution_filters_float32_parts']
    """
    if kind != "filters" or epilogue:
        raise ValueError("this computes the gradient by the filters, without an epilogue")
    t = shape(dtype, machine)
    c = cut(t)
    functions = _functions(t)
    several = count("and", when, count("lt", 1, c.pieces))
    first = _first(t, c, when, "w", PARTS)
    second = Step(
        functions[1].name,
        (PARTS, "w"),
        (c.result, c.pieces),
        count("select", several, count("ceildiv", c.result, parts.ITEM), 0),
        16,
        64,
    )
    size = count("select", several, count("mul", c.result, c.pieces), 0)
    return Plan(dtype, functions, ((PARTS, size),), (first, second))


def sums_of(machine: Machine, dtype: str, when: Count) -> Sums:
    """The first of the steps, where ``when`` holds, for an epilogue."""
    t = shape(dtype, machine)
    c = cut(t)
    return Sums(when, _functions(t)[0], _first(t, c, when, SUMS, SUMS), c.pieces)


def _first(t: Shape, c: Cut, when: Count, whole: str, pieces: str) -> Step:
    """The step that sums up, into ``whole`` if that is one piece, or into ``pieces``."""
    values: dict[str, Count] = c._asdict()
    items = mul(c.group_groups, c.pieces, c.tap_groups, c.panel_groups)
    band = count("mul", t.itemsize, count("mul", c.chunk, c.pitch))
    slack = (t.highest + 2 * t.lanes) * t.itemsize
    return Step(
        _functions(t)[0].name,
        ("x", "y", whole, pieces),
        tuple(values.get(name, name) for name in sums.SIZES),
        count("select", when, items, 0),
        1,
        count("add", count("add", sums.scratch_bytes(t) + slack, c.kept_bytes), band),
    )


@from_parameters
def _functions(t: Shape) -> tuple[Function, Function]:
    return sums.kernel(t), parts.kernel(t)
