"""sigmoid, softplus and tanh: the logistic function, its integral and its odd twin.

sigmoid and tanh are ``e / (1 + e)``, with ``e = exp(x)`` for the one and
``e = (exp(2 |x|) - 1) / 2`` for the other.
"""

from __future__ import annotations

import math

from croton.codegen.math.coefficients import SOFTPLUS, TANH, TANH_LATE
from croton.codegen.math.exponentials import (
    LN2,
    exp_of_small,
    expm1_reduced,
    power_of_two,
    rounded,
)
from croton.codegen.math.term import Term, at_most, copysign, fma, select, series

#: Above it sigmoid rounds to 1, and tanh.
SIGMOID_LIMIT = {"float32": 17.4, "float64": 37.5}
TANH_LIMIT = {"float32": 9.1, "float64": 19.1}


def share(e: Term, small: Term, steps: int = 1) -> Term:
    """``e / (1 + e)``; ``small`` tells where e is below about a third.

    There ``e - e**2 / (1 + e)`` is closer, more so with each of the ``steps``: the
    roundings of ``1 + e`` and of the quotient fade.
    """
    quotient = close = e / (e + 1.0)
    for _ in range(steps):
        close = fma(-e, close, e)
    return select(small, close, quotient)


def sigmoid(x: Term) -> Term:
    """``1 / (1 + exp(-x))``."""
    return share(exp_of_small(at_most(x, SIGMOID_LIMIT[x.dtype])), x < -1.05)


def softplus(x: Term) -> Term:
    """``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``."""
    z = exp_of_small(-abs(x))
    _, second, *others = SOFTPLUS[x.dtype]
    square = z * z
    rest = fma(z, series(z, square, tuple(others)), second)
    # The larger one comes last, or nothing.
    positive = x > 0.0
    return fma(square, rest, select(positive, x, z)) + select(positive, z, 0.0)


def tanh(x: Term) -> Term:
    """The hyperbolic tangent."""
    form = x.format
    size = at_most(abs(x), TANH_LIMIT[x.dtype])
    high, low = LN2[x.dtype]
    if x.dtype == "float32":
        n, shifted = rounded(size, 2.0 / math.log(2), form.bias)
        # log 2 happens to be good enough: e's error fades with n.
        r = fma(n, -high / 2, size)
        coefficients = TANH[x.dtype]
    else:
        # A quarter less: n is 0, and e is the polynomial's, for all that is small.
        n, shifted = rounded(fma(size, 2.0 / math.log(2), -0.25), 1.0, form.bias)
        r = fma(n, -low / 2, fma(n, -high / 2, size))
        coefficients = TANH_LATE[x.dtype]
    scale = power_of_two(shifted, form)
    e = fma(scale, expm1_reduced(r, coefficients), fma(scale, 0.5, -0.5))
    return copysign(share(e, size < 0.26, 1 if x.dtype == "float32" else 2), x)
