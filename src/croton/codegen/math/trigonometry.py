"""sin, cos and tan of any argument.

``|x| = k pi/2 + r`` with ``|r| <= pi/4``.  For all but very large arguments k is
a product with 2/pi rounded to an integer and r comes from three products with
parts of pi/2 (Cody and Waite); :mod:`croton.codegen.math.large_angles` does the
others.  Polynomials give the sine and the cosine of r, and the last two bits of
k say which of them it is and with what sign.
"""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import COS, SIN, TAN
from croton.codegen.math.exponentials import rounded
from croton.codegen.math.large_angles import (
    Angle,
    CloseAngle,
    large_angle,
    large_angle_closely,
)
from croton.codegen.math.term import (
    Term,
    fma,
    polynomial,
    rare,
    select,
    series,
    two_product,
)

#: pi/2 as a sum of three numbers.
HALF_PI = {
    "float32": (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    "float64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}

#: Up to here k is small enough for the three products.
LARGE = {"float32": 1e5, "float64": 1e9}


def _quarters(size: Term, offset: int) -> tuple[Term, Term, Term]:
    """``k``, ``k`` plus ``offset`` as an integer, and ``size - k pi/2`` but for what is small."""
    k, shifted = rounded(size, 2 / math.pi, offset)
    return k, shifted.bits(), fma(k, -HALF_PI[size.dtype][0], size)


def angle(size: Term, offset: int) -> Angle:
    """The angle of ``size``, which is positive; ``offset`` is added to k."""
    k, quarters, near = _quarters(size, offset)
    _, second, third = HALF_PI[size.dtype]
    return Angle(fma(k, -third, fma(k, -second, near)), quarters)


def close_angle(size: Term) -> CloseAngle:
    """The angle of ``size``, which is positive, with what r lost."""
    k, quarters, near = _quarters(size, 0)
    _, second, third = HALF_PI[size.dtype]
    product, less = two_product(k, second)
    r = near - product
    return CloseAngle(r, (near - r) - product - fma(k, third, less), quarters)


def sine_cosine(r: Term) -> tuple[Term, Term]:
    """The sine and the cosine of ``|r| <= pi/4``."""
    square = r * r
    sine = fma(r * square, polynomial(square, SIN[r.dtype][1:]), r)
    return sine, polynomial(square, COS[r.dtype])


def turned(value: Term, quarters: Term, flip: Term | None) -> Term:
    """``value`` with its sign changed by bit 1 of ``quarters`` and the sign of ``flip``."""
    top = {"float32": 31, "float64": 63}[value.dtype]
    sign = quarters << (top - 1)
    if flip is not None:
        sign = sign ^ flip.bits()
    return (value.bits() ^ (sign & (-1 << top))).floats()


def wave(place: Angle, flip: Term | None) -> Term:
    """The sine at an angle, negated where ``flip`` is negative."""
    sine, cosine = sine_cosine(place.r)
    return turned(select((place.k & 1).equals(0), sine, cosine), place.k, flip)


def sin(x: Term) -> Term:
    """The sine."""
    size = abs(x)
    large = size > LARGE[x.dtype]
    return rare(large, wave(large_angle(size, 0), x), wave(angle(size, 0), x))


def cos(x: Term) -> Term:
    """The cosine: the sine a quarter of a turn further."""
    size = abs(x)
    large = size > LARGE[x.dtype]
    return rare(large, wave(large_angle(size, 1), None), wave(angle(size, 1), None))


def slope(place: CloseAngle, flip: Term) -> Term:
    """The tangent at an angle, negated where ``flip`` is negative.

    It is that of r or ``-1`` over it, for which what rounding took from r, its
    tangent and the quotient is made up for.
    """
    r = place.r
    square = r * r
    more = fma(r * square, series(square, square * square, TAN[r.dtype]), place.lost)
    t = r + more
    inverse = 1.0 / t
    error = fma(-inverse, more, fma(-inverse, r, 1.0))
    odd = (place.k & 1).differs(0)
    return turned(select(odd, fma(inverse, error, inverse), t), place.k << 1, flip)


def tan(x: Term) -> Term:
    """The tangent."""
    size = abs(x)
    large = size > LARGE[x.dtype]
    return rare(large, slope(large_angle_closely(size), x), slope(close_angle(size), x))
