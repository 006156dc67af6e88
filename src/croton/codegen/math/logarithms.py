"""log and log1p.

``x = 2**e * (1 + g)`` with ``2/3 <= 1 + g < 4/3``: the bits of ``x`` are taken
apart as an integer, and ``log x = e log 2 + log(1 + g)`` with a polynomial that
starts with ``g``.  Infinity and NaN pass through it: its last power is odd and
has a positive factor.
"""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import LOG
from croton.codegen.math.term import Format, Term, fma, select, series


def two_thirds(form: Format) -> int:
    """The bits of the number below which a mantissa counts as of the binade above."""
    return {23: 0x3F2AAAAB, 52: 0x3FE5555555555555}[form.mantissa]


def negated_exponent(x: Term) -> Term:
    """``-e`` of ``x = 2**e * m`` with ``2/3 <= m < 4/3``, in the exponent's place of an integer."""
    form = x.format
    # x + (4/3 - 1) would carry into the exponent; as -e it needs no separate sign change.
    bits = two_thirds(form) + (1 << form.mantissa) - 1 - x.bits()
    return bits & -(1 << form.mantissa)


def log_reduced(m: Term, minus_e: Term) -> Term:
    """``log(1 + m) + e log 2``; ``minus_e`` is in the exponent's place.

    With ``-e`` and ``-log 2`` the sum keeps the sign of a zero ``m``.
    """
    form = m.format
    square = m * m
    value = fma(series(m, square, LOG[m.dtype][1:]), square, m)
    return fma(minus_e.cast(m.dtype), -math.log(2) / 2.0**form.mantissa, value)


def domain(result: Term, x: Term, pole: float) -> Term:
    """``result`` where ``x > pole``; minus infinity at the pole and NaN below it."""
    edge = select(x.equals(pole), result.like(-math.inf), math.nan)
    return select(x > pole, result, edge)


def log(x: Term) -> Term:
    """The natural logarithm."""
    form = x.format
    lift = form.mantissa + 2
    # A little above the smallest normal number: four times its reciprocal must be finite.
    small = x < form.smallest * 16
    normal = select(small, x * 2.0**lift, x)
    minus_e = negated_exponent(normal)
    # Four times the reciprocal of 2**e: its exponent stays in the range for the largest x.
    scale = (minus_e + ((form.bias + 2) << form.mantissa)).floats()
    g = fma(normal, scale, -4.0) * 0.25
    minus_e = select(small, minus_e + (lift << form.mantissa), minus_e)
    return domain(log_reduced(g, minus_e), x, 0.0)


def log1p(x: Term) -> Term:
    """``log(1 + x)``, right near 0."""
    form = x.format
    minus_e = negated_exponent(x + 1.0)
    scale = (minus_e + ((form.bias + 2) << form.mantissa)).floats()
    m = fma(x, scale, -(4.0 - scale)) * 0.25
    return domain(log_reduced(m, minus_e), x, -1.0)
