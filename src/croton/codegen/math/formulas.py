"""Which formula a function of the kernel language expands into."""

from __future__ import annotations

from collections.abc import Callable

from croton.codegen.math.error_function import erf, erfc
from croton.codegen.math.exponentials import exp, exp2, expm1
from croton.codegen.math.hyperbolics import acosh, asinh, atanh, cosh, sinh
from croton.codegen.math.inverse_trig import acos, asin, atan, atan2
from croton.codegen.math.logarithms import log, log1p, log2, log10
from croton.codegen.math.logistic import sigmoid, softplus, tanh
from croton.codegen.math.power import pow
from croton.codegen.math.remainder import fmod
from croton.codegen.math.term import Term
from croton.codegen.math.trigonometry import cos, sin, tan

FORMULAS: dict[str, Callable[..., Term]] = {
    f.__name__: f
    for f in (
        *(exp, exp2, expm1),
        *(log, log1p, log2, log10),
        *(sigmoid, softplus, tanh),
        *(sin, cos, tan),
        *(asin, acos, atan, atan2),
        *(sinh, cosh, asinh, acosh, atanh),
        *(erf, erfc),
        *(pow, fmod),
    )
}
