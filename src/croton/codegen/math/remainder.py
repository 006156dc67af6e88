"""fmod, exact for every quotient.

Where ``|x / y|`` is small, one multiple of y is taken away.  Elsewhere
``x = X 2**(d + e)`` and ``y = Y 2**e`` with integers X and Y of at most 53 bits,
and the remainder is ``(X 2**d mod Y) 2**e``: the power of two is raised by
squaring modulo Y.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from croton.codegen.math.term import (
    Term,
    apply,
    copysign,
    fma,
    rare,
    select,
    two_product,
)

#: A quotient up to here is exact enough to take its whole part.
QUOTIENT = {"float32": 2.0**22, "float64": 2.0**51}

#: How many bits of ``d`` are left to squaring: what is above them fits a double.
SQUARINGS = {"float32": 4, "float64": 6}


def fmod(x: Term, y: Term) -> Term:
    """What remains of ``x`` after whole multiples of ``y``, with the sign of ``x``."""
    a, b = abs(x), abs(y)
    quotient = a / b
    far = (quotient > QUOTIENT[x.dtype]) & (a < math.inf) & (b > 0.0)
    rest = rare(far, _large_quotient(a, b), _take(a, b, quotient))
    rest = select(b.equals(math.inf) & (a < math.inf), a, rest)
    return copysign(rest, x)


def _take(a: Term, b: Term, quotient: Term) -> Term:
    """``a - trunc(quotient) b``, whose quotient may have been rounded up."""
    rest = fma(apply("trunc", quotient), -b, a)
    return select(rest < 0.0, rest + b, rest)


class _Modulus(NamedTuple):
    """Arithmetic modulo the integer ``value``, on numbers not much above half of it in size."""

    value: Term
    inverse: Term

    def reduce(self, x: Term) -> Term:
        """``x`` less the nearest multiple: exact up to the square of the modulus."""
        return fma(apply("rint", x * self.inverse), -self.value, x)

    def multiply(self, a: Term, b: Term) -> Term:
        """``a * b``, reduced."""
        high, low = two_product(a, b)
        return self.reduce(self.reduce(self.reduce(high)) + low)


def _large_quotient(a: Term, b: Term) -> Term:
    if a.dtype == "float32":
        wide = _by_squaring(a.cast("float64"), b.cast("float64"), SQUARINGS["float32"])
        return wide.cast("float32")
    # A subnormal divisor is made a normal number first; the dividend is far above it.
    tiny = b < 2.0**-900
    scaled = select(tiny, b * 2.0**100, b)
    shift = select(tiny, b.bits().like(100), 0)
    rest = _by_squaring(a, scaled, SQUARINGS["float64"], shift)
    return select(tiny, rest * 2.0**-100, rest)


def _integer(x: Term) -> tuple[Term, Term]:
    """The mantissa of a normal number as an integer in a float, and its exponent's field."""
    form = x.format
    bits = x.bits()
    field = form.bias + form.mantissa << form.mantissa
    return ((bits & ((1 << form.mantissa) - 1)) | field).floats(), bits >> form.mantissa


def _by_squaring(a: Term, b: Term, squarings: int, shift: Term | None = None) -> Term:
    form = a.format
    big, big_exponent = _integer(a)
    small, small_exponent = _integer(b)
    distance = big_exponent - small_exponent
    if shift is not None:
        distance = distance + shift
    modulus = _Modulus(small, 1.0 / small)
    start = ((distance >> squarings) + form.bias) << form.mantissa
    power = modulus.reduce(start.floats())
    for bit in reversed(range(squarings)):
        power = modulus.multiply(power, power)
        odd = (distance & (1 << bit)).differs(0)
        power = modulus.reduce(select(odd, power + power, power))
    rest = modulus.multiply(power, modulus.reduce(big))
    rest = select(rest < 0.0, rest + small, rest)
    rest = select(rest >= small, rest - small, rest)
    unit = (small_exponent << form.mantissa).floats()
    return rest * 2.0**-form.mantissa * unit
