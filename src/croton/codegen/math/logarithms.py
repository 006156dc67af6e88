"""log, log2, log10 and log1p.

``x = 2**e * (1 + g)`` with ``2/3 < 1 + g < 4/3``, about: the bits of ``x`` are
taken apart as an integer, and ``log x = e log 2 + log(1 + g)`` with a polynomial
that starts with ``g``.  Infinity and NaN pass through it: its last power is odd
and has a positive factor.
"""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import LOG, LOG2, LOG10
from croton.codegen.math.exponentials import LN2
from croton.codegen.math.term import FORMATS, Term, fma, select, series

#: log10(2) as a short number, whose product with an exponent is exact, and the rest.
LOG10_2 = {
    "float32": (0.301025390625, 4.605038981195214e-06),
    "float64": (0.30102999566395283, 2.83633945510449644e-14),
}


#: Below it a mantissa counts as of the binade above.  It is a little more than 2/3 so that
#: ``log10(2 LEAST)`` is more than 1/8: below that an ULP is half as large.
LEAST = 171 / 256


def negated_exponent(x: Term) -> Term:
    """``-e`` of ``x = 2**e * m`` with ``LEAST <= m < 2 LEAST``, in an integer's exponent place."""
    form = x.format
    least = (form.bias - 1 << form.mantissa) + int((2 * LEAST - 1) * 2**form.mantissa)
    # x + (1 - LEAST) would carry into the exponent; as -e it needs no separate sign change.
    bits = least + (1 << form.mantissa) - 1 - x.bits()
    return bits & -(1 << form.mantissa)


def minus_exponent(minus_e: Term, dtype: str) -> tuple[Term, float]:
    """``-e`` as a float, but for a factor, which is given as well."""
    mantissa = FORMATS[dtype].mantissa
    if dtype == "float32":
        return minus_e.cast(dtype), 2.0**-mantissa
    # Many processors convert 64-bit integers only one by one, unless they are known to be small.
    return (minus_e >> mantissa).cast(dtype), 1.0


def log_reduced(m: Term, minus_e: Term, lost: Term | None = None) -> Term:
    """``log(1 + m + lost) + e log 2``; ``minus_e`` is in the exponent's place.

    With ``-e`` and ``-log 2`` the sum keeps the sign of a zero ``m``.
    """
    square = m * m
    upper = series(m, square, LOG[m.dtype][1:])
    exponent, unit = minus_exponent(minus_e, m.dtype)
    high, low = LN2[m.dtype]
    if lost is None:
        value = fma(upper, square, m)
    else:
        value = fma(upper, square, fma(exponent, -low * unit, lost)) + m
    return fma(exponent, -high * unit, value)


def domain(result: Term, x: Term, pole: float) -> Term:
    """``result`` where ``x > pole``; minus infinity at the pole and NaN below it."""
    edge = select(x.equals(pole), result.like(-math.inf), math.nan)
    return select(x > pole, result, edge)


def parts(x: Term) -> tuple[Term, Term]:
    """``g`` and ``-e`` (in the exponent's place) of ``x``, which may be subnormal."""
    form = x.format
    lift = form.mantissa + 2
    # A little above the smallest normal number: four times its reciprocal must be finite.
    small = x < form.smallest * 16
    normal = select(small, x * 2.0**lift, x)
    minus_e = negated_exponent(normal)
    # Four times the reciprocal of 2**e: its exponent stays in the range for the largest x.
    scale = (minus_e + ((form.bias + 2) << form.mantissa)).floats()
    g = fma(normal, scale, -4.0) * 0.25
    return g, select(small, minus_e + (lift << form.mantissa), minus_e)


def log(x: Term) -> Term:
    """The natural logarithm."""
    return domain(log_reduced(*parts(x)), x, 0.0)


def log2(x: Term) -> Term:
    """The logarithm to base 2."""
    g, minus_e = parts(x)
    first, *rest = LOG2[x.dtype]
    square = g * g
    # The largest term comes last: its product is not rounded on its own.
    value = fma(g, first, series(g, square, tuple(rest)) * square)
    exponent, unit = minus_exponent(minus_e, x.dtype)
    return domain(fma(exponent, -unit, value), x, 0.0)


def log10(x: Term) -> Term:
    """The logarithm to base 10."""
    g, minus_e = parts(x)
    first, first_low, *rest = LOG10[x.dtype]
    square = g * g
    exponent, unit = minus_exponent(minus_e, x.dtype)
    high, low = LOG10_2[x.dtype]
    small = fma(g, first_low, exponent * (-low * unit))
    value = fma(g, first, fma(series(g, square, tuple(rest)), square, small))
    return domain(fma(exponent, -high * unit, value), x, 0.0)


def log1p_parts(x: Term) -> tuple[Term, Term, Term]:
    """``4 m``, ``-e`` (in the exponent's place) and ``4 / 2**e`` of ``1 + x = 2**e * (1 + m)``."""
    form = x.format
    minus_e = negated_exponent(x + 1.0)
    scale = (minus_e + ((form.bias + 2) << form.mantissa)).floats()
    return fma(x, scale, -(4.0 - scale)), minus_e, scale


def log1p_closely(x: Term, low: Term | None = None, double: Term | None = None) -> Term:
    """``log(1 + x + low)``, or ``log(2 (1 + x))`` where ``double``.

    Where ``m`` is ``(x - 1) / 2``, what it loses shows: log 2, added to it, is
    twice as large as the sum.
    """
    m, minus_e, scale = log1p_parts(x)
    lost = x * scale - (m + (4.0 - scale))
    if low is not None:
        lost = fma(low, scale, lost)
    lost = select(x < 2.0, lost * 0.25, 0.0)
    if double is not None:
        minus_e = select(double, minus_e - (1 << x.format.mantissa), minus_e)
    return log_reduced(m * 0.25, minus_e, lost)


def log1p(x: Term) -> Term:
    """``log(1 + x)``, right near 0."""
    if x.dtype == "float64":
        return domain(log1p_closely(x), x, -1.0)
    m, minus_e, _ = log1p_parts(x)
    return domain(log_reduced(m * 0.25, minus_e), x, -1.0)
