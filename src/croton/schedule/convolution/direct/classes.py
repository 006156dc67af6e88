"""Which taps meet which places, in one spatial dimension.

For a result that skips no places (``apart`` is 1) there is one class.  Where results lie
``apart``, as in the gradient by the inputs of a convolution with that stride, the places
``first + apart * i`` are a class for each ``first``, whose taps are every so many-th one.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Assign, Body, For, If, Let, Local, Var

ZERO, ONE = index(0), index(1)


class Dimension(NamedTuple):
    """Names of the numbers of spatial dimension ``d``; all are int64.

    Given: ``source`` and ``result`` extents, ``taps`` of the filter, ``stride`` in the source,
    places of the result that are ``apart``, zeros ``before``, ``dilation``, ``box`` (places of an
    item).  Found for an item: the class's ``first`` place; ``number`` of its taps, tap ``tap
    + j * every`` of those that the filter has; place i and tap j meet source element
    ``i * stride + j * reach - border``.
    """

    source: Var
    result: Var
    taps: Var
    stride: Var
    apart: Var
    before: Var
    dilation: Var
    box: Var
    first: Var
    number: Var
    tap: Var
    every: Var
    reach: Var
    border: Var


GIVEN = ("source", "result", "taps", "stride", "apart", "before", "dilation", "box")


def dimension(d: int) -> Dimension:
    """The names for dimension ``d``."""
    return Dimension(*(Var(f"{name}{d}") for name in Dimension._fields))


def find(d: Dimension) -> Body:
    """Find the numbers of the class that begins at ``d.first``."""
    name = d.first.name
    every, hit, t = Var(f"{name}_every"), Var(f"{name}_hit"), Var(f"{name}_t")
    common, count = Var(f"{name}_common"), Var(f"{name}_count")
    alone = op("eq", d.apart, ONE)
    start = add(d.first, d.before)
    divides = op("eq", op("mod", d.apart, t), ZERO)
    divides = op("and", divides, op("eq", op("mod", d.dilation, t), ZERO))
    hits = op("eq", op("mod", sub(start, mul(t, d.dilation)), d.apart), ZERO)
    found: Body = (
        Local(common, ONE),
        For(t, ONE, add(d.apart, ONE), (If(divides, (Assign(common, t),)),)),
        Let(every, op("floordiv", d.apart, common)),
        # The first tap that hits; none does if it is not among the first ``every``.
        Local(hit, index(-1)),
        For(t, ZERO, every, (If(op("and", hits, op("lt", hit, ZERO)), (Assign(hit, t),)),)),
        Local(count, ZERO),
        If(
            op("and", op("ge", hit, ZERO), op("lt", hit, d.taps)),
            (Assign(count, add(op("floordiv", sub(sub(d.taps, ONE), hit), every), ONE)),),
        ),
    )
    last = sub(d.number, ONE)
    reach = op("floordiv", d.dilation, common)
    meets = op("floordiv", sub(start, mul(hit, d.dilation)), d.apart)
    return (
        *found,
        Let(d.number, count),
        Let(d.every, every),
        Let(d.reach, reach),
        Let(d.tap, select(alone, ZERO, sub(sub(sub(d.taps, ONE), hit), mul(last, every)))),
        Let(d.border, select(alone, d.before, sub(mul(last, d.reach), meets))),
    )
