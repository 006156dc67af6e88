"""The quantiles of the normal distribution.

The rational approximations are those of Wichura: "Algorithm AS 241: the
percentage points of the normal distribution" (1988), good to 16 digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.tensor.elementwise import le, log, lt, sqrt, switch

_CENTRE = (
    (3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
     45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
    (1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
     21213.794301586595867, 39307.895800092710610, 28729.085735721942674, 5226.4952788528545610),
)  # fmt: skip
_SIDE = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
     3.64784832476320460504, 1.27045825245236838258, 0.241780725177450611770,
     0.0227238449892691845833, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
     0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip


def _ratio(x: Any, table: tuple[tuple[float, ...], tuple[float, ...]]) -> Any:
    upper, lower = (_horner(x, c) for c in table)
    return upper / lower


def _horner(x: Any, coefficients: tuple[float, ...]) -> Any:
    kind = np.dtype(x.dtype).type
    total: Any = kind(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x + kind(c)
    return total


def quantile(p: Any) -> Any:
    """Where the normal distribution function is ``p``, for p within 1e-11 of neither 0 nor 1."""
    kind = np.dtype(p.dtype).type
    q = p - kind(0.5)
    centre = q * _ratio(kind(0.180625) - q * q, _CENTRE)
    tail = switch(lt(q, kind(0)), p, kind(1) - p)
    side = _ratio(sqrt(-log(tail)) - kind(1.6), _SIDE)
    return switch(le(abs(q), kind(0.425)), centre, switch(lt(q, kind(0)), -side, side))
