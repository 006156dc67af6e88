"""pow: ``x**y = 2**(y log2 |x|)``, with the sign of an odd power.

The logarithm must be better than the result, by as many bits as its product with
y has before the point.  A float32's is computed in doubles, a float64's in pairs
of them.  The special cases are C's.
"""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import ATANH, EXP2, POW_EXP2, POW_LOG2
from croton.codegen.math.exponentials import power_of_two, rounded
from croton.codegen.math.logarithms import negated_exponent
from croton.codegen.math.term import (
    Term,
    apply,
    at_least,
    at_most,
    fast_two_sum,
    fma,
    polynomial,
    select,
    two_product,
)

#: A larger exponent makes 0 or infinity of everything but 1.
EXPONENT_LIMIT = {"float32": 2.0**40, "float64": 2.0**70}

#: 2/log(2) and 1/3 as pairs of doubles.
TWO_OVER_LN2 = (2.8853900817779268, 4.0710547481862066e-17)
THIRD = (0.3333333333333333, 1.850371707708594e-17)


def pow(x: Term, y: Term) -> Term:
    """``x`` to the power of ``y``."""
    form = x.format
    size = abs(x)
    limit = EXPONENT_LIMIT[x.dtype]
    bounded = at_least(at_most(y, limit), -limit)
    power = _single(size, bounded) if x.dtype == "float32" else _double(size, bounded)
    whole = apply("rint", y).equals(y)
    half = y * 0.5
    odd = whole & apply("rint", half).differs(half)
    power = select((x >= 0.0) | ((x < 0.0) & whole), power, math.nan)
    # Zero and infinity stay what they are, or change places where y is negative.
    infinity = (2 * form.bias + 1) << form.mantissa
    edge = size.equals(0.0) | size.equals(math.inf)
    other = (infinity - size.bits()).floats()
    turned = select(y < 0.0, other, size)
    power = select(edge & y.equals(y), turned, power)
    sign = select(odd, x.bits() & (-1 << {"float32": 31, "float64": 63}[x.dtype]), 0)
    power = (power.bits() ^ sign).floats()
    return select(y.equals(0.0) | x.equals(1.0), x.like(1.0), power)


def _split(x: Term) -> tuple[Term, Term]:
    """``m`` and the exponent (as a float) of a normal number ``m * 2**e``."""
    minus_e = negated_exponent(x)
    exponent = minus_e.cast(x.dtype) * -(2.0**-x.format.mantissa)
    return (x.bits() + minus_e).floats(), exponent


def _single(size: Term, y: Term) -> Term:
    m, exponent = _split(size.cast("float64"))
    g = m - 1.0
    logarithm = fma(g, polynomial(g, POW_LOG2["float64"]), exponent)
    product = at_least(at_most(y.cast("float64") * logarithm, 200.0), -200.0)
    n, shifted = rounded(product, 1.0, product.format.bias)
    value = polynomial(product - n, POW_EXP2["float64"]) * power_of_two(shifted, product.format)
    return value.cast("float32")


def _double(size: Term, y: Term) -> Term:
    form = size.format
    small = size < form.smallest
    m, exponent = _split(select(small, size * 2.0**54, size))
    exponent = select(small, exponent - 54.0, exponent)
    high, low = _log2_mantissa(m)
    high, rest = fast_two_sum(exponent, high)
    low = low + rest
    product, more = two_product(y, high)
    more = fma(y, low, more)
    product = at_least(at_most(product, 1100.0), -1100.0)
    h, shifted = rounded(product, 0.5, form.bias)
    r = at_least(at_most(fma(h, -2.0, product) + more, 1.5), -1.5)
    scale = power_of_two(shifted, form)
    return polynomial(r, EXP2["float64"]) * scale * scale


def _log2_mantissa(m: Term) -> tuple[Term, Term]:
    """``log2 m`` for ``2/3 <= m < 4/3`` as a pair: the series of atanh in ``(m - 1) / (m + 1)``."""
    f, d = m - 1.0, m + 1.0
    lost = m - (d - 1.0)
    inverse = 1.0 / d
    s = f * inverse
    s_low = fma(-s, lost, fma(-s, d, f)) * inverse
    z, z_low = two_product(s, s)
    z_low = fma(s + s, s_low, z_low)
    third, third_low = fast_two_sum(m.like(THIRD[0]), z * polynomial(z, ATANH["float64"]))
    third_low = third_low + THIRD[1]
    q, q_low = two_product(z, third)
    q_low = fma(z_low, third, fma(z, third_low, q_low))
    t, t_low = two_product(s, q)
    t_low = fma(s_low, q, fma(s, q_low, t_low))
    total, total_low = fast_two_sum(s, t)
    total_low = total_low + (s_low + t_low)
    high, low = two_product(total, TWO_OVER_LN2[0])
    return high, fma(total, TWO_OVER_LN2[1], fma(total_low, TWO_OVER_LN2[0], low))
