"""erf and erfc."""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import (
    ERF_LARGE,
    ERF_SMALL,
    ERFC,
    EXP2_NEAR,
    EXP_NEAR,
)
from croton.codegen.math.exponentials import LN2, power_of_two, rounded
from croton.codegen.math.term import (
    Term,
    at_most,
    copysign,
    fast_two_sum,
    fma,
    polynomial,
    select,
    series,
    two_product,
)

#: Beyond it erf rounds to 1.
ERF_LIMIT = {"float32": 3.95, "float64": 5.95}

#: Beyond it erfc is 0.
ERFC_LIMIT = {"float32": 10.1, "float64": 27.3}


def erf(x: Term) -> Term:
    """The error function: ``x + x P(x**2)`` up to 1, then ``1 - 2**Q(x)``."""
    form = x.format
    size = abs(x)
    square = x * x
    small = fma(x, polynomial(square, ERF_SMALL[x.dtype]), x)
    far = at_most(size, ERF_LIMIT[x.dtype])
    exponent = series(far, far * far, ERF_LARGE[x.dtype])
    n, shifted = rounded(exponent, 1.0, form.bias)
    rest = polynomial(exponent - n, EXP2_NEAR[x.dtype])
    large = fma(-rest, power_of_two(shifted, form), 1.0)
    return select(size < 1.0, small, copysign(large, x))


def erfc(x: Term) -> Term:
    """``1 - erf(x)``, right where that is small.

    A float32's is computed in doubles: the exponential of a square would need
    them, or pairs, anyway.
    """
    if x.dtype == "float32":
        return _erfc_single(x.cast("float64")).cast("float32")
    return _erfc_double(x)


def _erfc_single(x: Term) -> Term:
    size = at_most(abs(x), ERFC_LIMIT["float32"])
    inverse = 1.0 / (size + 3.0)
    first, first_low, *rest = ERFC["float32"]
    ratio = polynomial(fma(inverse, -6.0, 1.0), (first + first_low, *rest)) * inverse
    n, shifted = rounded(size * size, -1 / math.log(2), x.format.bias)
    r = fma(n, -math.log(2), -(size * size))
    value = polynomial(r, EXP_NEAR["float32"]) * power_of_two(shifted, x.format) * ratio
    return select(x < 0.0, 2.0 - value, value)


def _erfc_double(x: Term) -> Term:
    """With most of what is rounded on the way made up for."""
    form = x.format
    size = at_most(abs(x), ERFC_LIMIT["float64"])
    below = size + 3.0
    inverse = 1.0 / below
    # What rounding took from the inverse, relative to it.
    error = fma(-(size - (below - 3.0)), inverse, fma(-below, inverse, 1.0))
    scaled, more = two_product(inverse, 6.0)
    near, near_low = fast_two_sum(x.like(1.0), -scaled)
    t, t_low = fast_two_sum(near, near_low - fma(scaled, error, more))
    first, first_low, second, *rest = ERFC[x.dtype]
    others = series(t, t * t, tuple(rest))
    upper = fma(t, others, second)
    ratio = fma(t, upper, first)
    lost = fma(t, fma(t, others, second - upper), fma(t, upper, first - ratio) + first_low)
    lost = fma(ratio, error, fma(t_low, upper, lost))
    square = size * size
    n, shifted = rounded(square, -1 / math.log(2), form.bias + 512)
    high, low = LN2[x.dtype]
    r = fma(n, -high, -square) - fma(n, low, fma(size, size, -square))
    grown = fma(polynomial(r, EXP_NEAR[x.dtype][2:]), r * r, r)  # exp(r) - 1
    value, low_value = fast_two_sum(ratio, fma(ratio, grown, fma(lost, grown, lost)))
    product, more = two_product(value, inverse)
    value = product + fma(low_value, inverse, more)
    value = value * power_of_two(shifted, form) * 2.0**-512
    return select(x < 0.0, 2.0 - value, value)
