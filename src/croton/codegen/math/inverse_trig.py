"""asin, acos, atan and atan2."""

from __future__ import annotations

from croton.codegen.math.coefficients import ASIN, ATAN
from croton.codegen.math.term import (
    Term,
    apply,
    at_least,
    copysign,
    fma,
    select,
    series,
)
from croton.codegen.math.trigonometry import HALF_PI


def _arc(x: Term) -> tuple[Term, Term, Term, Term]:
    """Where ``|x| > 1/2``; and ``a``, and what ``asin(a)`` is more than ``a``.

    Beyond 1/2 ``a`` is the square root of ``(1 - |x|)/2``, whose arc is half the
    complement of ``|x|``'s; before it, ``a`` is ``|x|``.
    """
    size = abs(x)
    far = size > 0.5
    square = select(far, fma(size, -0.5, 0.5), x * x)
    a = select(far, apply("sqrt", square), size)
    return size, far, a, a * square * series(square, square * square, ASIN[x.dtype])


def asin(x: Term) -> Term:
    """The arc whose sine is ``x``: ``a`` or ``pi/2 - 2 asin(a)``.

    Half of pi/2 is close to ``2 a`` where it matters most: their difference is exact.
    """
    high, low = HALF_PI[x.dtype][:2]
    _, far, a, more = _arc(x)
    rest = fma(a, 2.0, -high / 2) + fma(more, 2.0, -low)
    return copysign(select(far, high / 2 - rest, a + more), x)


def acos(x: Term) -> Term:
    """The arc whose cosine is ``x``: ``pi/2 - asin(x)``, ``2 asin(a)`` or ``pi - 2 asin(a)``."""
    high, low = HALF_PI[x.dtype][:2]
    _, far, a, more = _arc(x)
    negative = x < 0.0
    factor = select(far, x.like(2.0), -1.0)
    factor = copysign(factor, select(far, x, -x))
    turn = select(far, select(negative, x.like(2.0), 0.0), 1.0)
    return fma(factor, a, turn * high) + fma(factor, more, turn * low)


def _atan_more(z: Term) -> Term:
    """What the arc of the tangent ``|z| <= 1`` is more than ``z``."""
    square = z * z
    return z * square * series(square, square * square, ATAN[z.dtype])


def atan(x: Term) -> Term:
    """The arc whose tangent is ``x``; beyond 1 it is the complement of ``1/x``'s."""
    high, low = HALF_PI[x.dtype][:2]
    size = abs(x)
    far = size > 1.0
    z = select(far, 1.0 / size, size)
    more = _atan_more(z)
    return copysign(select(far, (high - z) - (more - low), z + more), x)


def atan2(y: Term, x: Term) -> Term:
    """The angle of the point ``(x, y)``.

    The quotient of the smaller to the larger coordinate has the arc ``s``; the
    angle is ``s``, ``pi/2 - s``, ``pi/2 + s`` or ``pi - s``.
    """
    high, low = HALF_PI[x.dtype][:2]
    form = x.format
    across, up = abs(x), abs(y)
    steep = up > across
    over = select(steep, across, up)
    # At least the smallest number: of the origin the quotient is 0.
    under = at_least(select(steep, up, across), 2.0 ** (1 - form.bias - form.mantissa))
    z = select(over.equals(under), over.like(1.0), over / under)
    more = _atan_more(z)
    # The sign of zero counts: x's own, and once more where it is steep.
    sign = x.bits() >> {"float32": 31, "float64": 63}[x.dtype]
    back = sign.differs(0)
    turn = select(steep, x.like(1.0), select(back, x.like(2.0), 0.0))
    flip = (x.bits() ^ select(steep, x.like(-0.0), 0.0).bits()).floats()
    factor = copysign(x.like(1.0), flip)
    angle = fma(factor, z, turn * high) + fma(factor, more, turn * low)
    return copysign(angle, y)
