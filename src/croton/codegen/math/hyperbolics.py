"""sinh, cosh and the inverses asinh, acosh and atanh; tanh is with the logistic functions."""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import EXP_NEAR, SINH
from croton.codegen.math.exponentials import power_of_two, reduced, rounded
from croton.codegen.math.logarithms import log1p_closely
from croton.codegen.math.term import (
    Term,
    apply,
    at_most,
    copysign,
    fast_two_sum,
    fma,
    polynomial,
    select,
)

#: Beyond it sinh and cosh are infinite.
HYPERBOLIC_LIMIT = {"float32": 90.0, "float64": 711.0}

#: Beyond it the area functions are log(2 x).
AREA_LIMIT = {"float32": 2.0**30, "float64": 2.0**60}


def _half_exp(size: Term) -> Term:
    """``exp(size) / 2``, which overflows later than exp does."""
    form = size.format
    short = form.bias // 2
    size = at_most(size, HYPERBOLIC_LIMIT[size.dtype])
    n, shifted = rounded(size, 1 / math.log(2), form.bias - short)
    value = polynomial(reduced(size, n, 1), EXP_NEAR[size.dtype])
    return value * power_of_two(shifted, form) * 2.0 ** (short - 1)


def cosh(x: Term) -> Term:
    """The hyperbolic cosine."""
    half = _half_exp(abs(x))
    return half + 0.25 / half


def sinh(x: Term) -> Term:
    """The hyperbolic sine: ``x + x**3 P(x**2)`` up to 1."""
    half = _half_exp(abs(x))
    square = x * x
    small = fma(x * square, polynomial(square, SINH[x.dtype]), x)
    return select(abs(x) < 1.0, small, copysign(half - 0.25 / half, x))


def asinh(x: Term) -> Term:
    """``log(x + sqrt(x**2 + 1))``, as log1p of what the argument is more than 1."""
    size = abs(x)
    far = size > AREA_LIMIT[x.dtype]
    square = size * size
    root = apply("sqrt", fma(size, size, 1.0))
    near, low = fast_two_sum(size, square / (root + 1.0))
    return copysign(log1p_closely(select(far, size, near), low, far), x)


def acosh(x: Term) -> Term:
    """``log(x + sqrt(x**2 - 1))``, as log1p of what the argument is more than 1."""
    far = x > AREA_LIMIT[x.dtype]
    more = x - 1.0
    twice = more + more
    square = fma(more, more, twice)
    root = apply("sqrt", square)
    near, low = fast_two_sum(root, more)
    # What the root lost, and the square before it; both are 0 where x is 1.
    rest = fma(-root, root, square) + fma(more, more, twice - square)
    low = low + rest / (root + root + x.format.smallest)
    return select(x >= 1.0, log1p_closely(select(far, x, near), low, far), math.nan)


def atanh(x: Term) -> Term:
    """``log((1 + x) / (1 - x)) / 2``, as log1p of ``2 x + 2 x**2 / (1 - x)``."""
    size = abs(x)
    double = size + size
    near, low = fast_two_sum(double, double * (size / (1.0 - size)))
    return copysign(select(size <= 1.0, log1p_closely(near, low) * 0.5, math.nan), x)
