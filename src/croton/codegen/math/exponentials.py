"""exp, exp2 and expm1.

``exp`` splits ``x = 2 h log 2 + r`` with ``|r| <= log 2``; the result is
``exp(r) * 2**h * 2**h``.  ``2**h`` is always a normal number, made by shifting
the low bits of the sum that rounded ``h``; the second product rounds, so that
overflow and gradual underflow come out right.  One more power in the polynomial
costs less than building two different scales would.
"""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import EXP, EXP2, EXP_NEAR, EXPM1
from croton.codegen.math.term import (
    Format,
    Term,
    at_least,
    at_most,
    copysign,
    fma,
    polynomial,
)

#: log(2) of each dtype, and what is left of it.
LN2 = {
    "float32": (0.693147182464599609375, -1.904654299957767878541823431924500011926e-9),
    "float64": (0.6931471805599453094, 2.319046813846299558417771e-17),
}

#: Below the first exp gives 0, above the second infinity.
EXP_RANGE = {"float32": (-104.0, 89.0), "float64": (-745.2, 709.8)}
EXP2_RANGE = {"float32": (-150.5, 128.5), "float64": (-1076.0, 1025.0)}

#: Below the first expm1 gives -1; above the second its argument stays in the top binade.
EXPM1_RANGE = {"float32": -17.5, "float64": -38.0}


def rounded(x: Term, factor: float, offset: int = 0) -> tuple[Term, Term]:
    """``factor * x`` rounded to an integer: as a float, and as ``offset`` more in the low bits."""
    shifter = x.format.shifter + offset
    shifted = fma(x, factor, shifter)
    return shifted - shifter, shifted


def power_of_two(shifted: Term, form: Format) -> Term:
    """``2**n`` of an ``n`` that :func:`rounded` gave with the format's bias as its offset."""
    return (shifted.bits() << form.mantissa).floats()


def reduced(x: Term, n: Term, step: int) -> Term:
    """``x - n * step * log 2``; ``n`` is a small integer."""
    high, low = LN2[x.dtype]
    return fma(n, -low * step, fma(n, -high * step, x))


def exp(x: Term) -> Term:
    """``e**x``."""
    form = x.format
    low, high = EXP_RANGE[x.dtype]
    x = at_least(at_most(x, high), low)
    h, shifted = rounded(x, 0.5 / math.log(2), form.bias)
    value = polynomial(reduced(x, h, 2), EXP[x.dtype])
    scale = power_of_two(shifted, form)
    return value * scale * scale


def exp_of_small(x: Term) -> Term:
    """``e**x`` for an ``x`` below half of the largest exponent, a little closer than :func:`exp`.

    The range is cut in half once more.  The power of two is too large by a
    constant, which a second product takes back.
    """
    form = x.format
    surplus = (form.bias + 1) // 2
    x = at_least(x, EXP_RANGE[x.dtype][0])
    n, shifted = rounded(x, 1 / math.log(2), form.bias + surplus)
    value = polynomial(reduced(x, n, 1), EXP_NEAR[x.dtype])
    return value * power_of_two(shifted, form) * 2.0**-surplus


def exp2(x: Term) -> Term:
    """``2**x``."""
    low, high = EXP2_RANGE[x.dtype]
    x = at_least(at_most(x, high), low)
    h, shifted = rounded(x, 0.5, x.format.bias)
    value = polynomial(fma(h, -2.0, x), EXP2[x.dtype])
    scale = power_of_two(shifted, x.format)
    return value * scale * scale


def expm1_reduced(r: Term, coefficients: tuple[float, ...]) -> Term:
    """``exp(r) - 1`` by its polynomial, which starts with ``r``."""
    return fma(polynomial(r, coefficients[1:]), r * r, r)


def expm1(x: Term) -> Term:
    """``e**x - 1``, right near 0.

    The power of two stops at the largest one that is a normal number; the
    polynomial is good for the rest of the top binade, and grows beyond it.
    """
    form = x.format
    limit = form.shifter + form.bias
    low = at_least(x, EXPM1_RANGE[x.dtype])
    shifted = at_most(fma(low, 1 / math.log(2), limit), limit + form.bias)
    n = shifted - limit
    scale = power_of_two(shifted, form)
    q = expm1_reduced(reduced(low, n, 1), EXPM1[x.dtype])
    return copysign(fma(scale, q, scale - 1.0), x)
