"""pow: ``x**y = 2**(y log2 |x|)``, with the sign of an odd power.

The logarithm must be better than the result, by as many bits as its product with
y has before the point.  A float32's is computed in doubles, a float64's in pairs
of them.  The special cases are C's.
"""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import ATANH, EXP2, EXP2_NEAR, POW_EXP2, POW_LOG2
from croton.codegen.math.exponentials import power_of_two, rounded
from croton.codegen.math.logarithms import minus_exponent, negated_exponent
from croton.codegen.math.term import (
    Term,
    apply,
    at_least,
    at_most,
    fast_two_sum,
    fma,
    polynomial,
    rare,
    select,
    series,
    two_product,
)

#: A larger exponent makes 0 or infinity of everything but 1.
EXPONENT_LIMIT = {"float32": 2.0**40, "float64": 2.0**70}

#: Below it the base-2 logarithm of a power is that of a normal double, as is the power of two.
USUAL = 1000.0

#: 2/log(2), 1/3 and 1/5 as pairs of doubles.
TWO_OVER_LN2 = (2.8853900817779268, 4.0710547481862066e-17)
THIRD = (0.3333333333333333, 1.850371707708594e-17)
FIFTH = (0.2, -1.1102230246251566e-17)


def pow(x: Term, y: Term) -> Term:
    """``x`` to the power of ``y``."""
    size = abs(x)
    if x.dtype == "float32":
        usual, power = _single(size, y)
        lowest = 0.0
    else:
        usual, power = _double(size, y)
        lowest = x.format.smallest
    usual = usual & (size > lowest) & (size < math.inf)
    return rare(~usual, _any(x, y), rare(x < 0.0, _signed(x, y, power), power))


def _sign_of_odd(x: Term, y: Term) -> tuple[Term, Term]:
    """Whether ``y`` is whole, and the sign bit of ``x`` where ``y`` is odd."""
    whole = apply("rint", y).equals(y)
    half = y * 0.5
    odd = whole & apply("rint", half).differs(half)
    top = {"float32": 31, "float64": 63}[x.dtype]
    return whole, select(odd, x.bits() & (-1 << top), 0)


def _signed(x: Term, y: Term, power: Term) -> Term:
    """``power`` of ``|x|`` turned into that of ``x``, which may be negative."""
    whole, sign = _sign_of_odd(x, y)
    power = select((x >= 0.0) | ((x < 0.0) & whole), power, math.nan)
    return (power.bits() ^ sign).floats()


def _any(x: Term, y: Term) -> Term:
    """The power of any two numbers, those of C's special cases among them."""
    form = x.format
    size = abs(x)
    limit = EXPONENT_LIMIT[x.dtype]
    bounded = at_least(at_most(y, limit), -limit)
    power = _single_any(size, bounded) if x.dtype == "float32" else _double_any(size, bounded)
    power = _signed(x, y, power)
    # Zero and infinity stay what they are, or change places where y is negative.
    infinity = (2 * form.bias + 1) << form.mantissa
    edge = size.equals(0.0) | size.equals(math.inf)
    turned = select(y < 0.0, (infinity - size.bits()).floats(), size)
    turned = (turned.bits() | _sign_of_odd(x, y)[1]).floats()
    power = select(edge & y.equals(y), turned, power)
    return select(y.equals(0.0) | x.equals(1.0), x.like(1.0), power)


def _split(x: Term) -> tuple[Term, Term]:
    """``m`` and the exponent (as a float) of a normal number ``m * 2**e``."""
    minus_e = negated_exponent(x)
    exponent, unit = minus_exponent(minus_e, x.dtype)
    return (x.bits() + minus_e).floats(), exponent * -unit


def _product_single(size: Term, y: Term) -> Term:
    """``y log2(size)`` in doubles."""
    m, exponent = _split(size.cast("float64"))
    g = m - 1.0
    square = g * g
    first, *rest = POW_LOG2["float64"]
    value = fma(g, series(g, square, tuple(rest)), first)
    return y.cast("float64") * fma(g, value, exponent)


def _power_single(product: Term) -> Term:
    n, shifted = rounded(product, 1.0, product.format.bias)
    value = polynomial(product - n, POW_EXP2["float64"]) * power_of_two(shifted, product.format)
    return value.cast("float32")


def _single(size: Term, y: Term) -> tuple[Term, Term]:
    product = _product_single(size, y)
    return abs(product) < USUAL, _power_single(product)


def _single_any(size: Term, y: Term) -> Term:
    return _power_single(at_least(at_most(_product_single(size, y), 200.0), -200.0))


def _double(size: Term, y: Term) -> tuple[Term, Term]:
    product, more = _product_double(*_split(size), y)
    n, shifted = rounded(product, 1.0, size.format.bias)
    value = polynomial((product - n) + more, EXP2_NEAR["float64"])
    return abs(product) < USUAL, value * power_of_two(shifted, size.format)


def _double_any(size: Term, y: Term) -> Term:
    form = size.format
    small = size < form.smallest
    m, exponent = _split(select(small, size * 2.0**54, size))
    product, more = _product_double(m, select(small, exponent - 54.0, exponent), y)
    product = at_least(at_most(product, 1100.0), -1100.0)
    h, shifted = rounded(product, 0.5, form.bias)
    r = at_least(at_most(fma(h, -2.0, product) + more, 1.5), -1.5)
    scale = power_of_two(shifted, form)
    return polynomial(r, EXP2["float64"]) * scale * scale


def _product_double(m: Term, exponent: Term, y: Term) -> tuple[Term, Term]:
    """``y (exponent + log2 m)`` as a pair."""
    high, low = _log2_mantissa(m)
    high, rest = fast_two_sum(exponent, high)
    product, more = two_product(y, high)
    return product, fma(y, low + rest, more)


def _log2_mantissa(m: Term) -> tuple[Term, Term]:
    """``log2 m`` for ``2/3 <= m < 4/3`` as a pair: the series of atanh in ``(m - 1) / (m + 1)``."""
    f, d = m - 1.0, m + 1.0
    lost = m - (d - 1.0)
    inverse = 1.0 / d
    s = f * inverse
    s_low = fma(-s, lost, fma(-s, d, f)) * inverse
    z, z_low = two_product(s, s)
    z_low = fma(s + s, s_low, z_low)
    fifth, fifth_low = fast_two_sum(m.like(FIFTH[0]), z * polynomial(z, ATANH["float64"]))
    w, w_low = two_product(z, fifth)
    w_low = fma(z_low, fifth, fma(z, fifth_low + FIFTH[1], w_low))
    third, third_low = fast_two_sum(m.like(THIRD[0]), w)
    third_low = third_low + (w_low + THIRD[1])
    q, q_low = two_product(z, third)
    q_low = fma(z_low, third, fma(z, third_low, q_low))
    t, t_low = two_product(s, q)
    t_low = fma(s_low, q, fma(s, q_low, t_low))
    total, total_low = fast_two_sum(s, t)
    total_low = total_low + (s_low + t_low)
    high, low = two_product(total, TWO_OVER_LN2[0])
    return high, fma(total, TWO_OVER_LN2[1], fma(total_low, TWO_OVER_LN2[0], low))
