"""Special functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from croton.tensor.elementwise.arithmetic import sqr
from croton.tensor.elementwise.exponential import exp
from croton.tensor.elementwise.op import define


def _by_math(function: Any) -> Any:
    # NumPy has no error function; the C library's, element by element, is the reference.
    vectorised = np.vectorize(function, otypes=[np.float64])

    def evaluate(x: Any) -> Any:
        return vectorised(np.asarray(x, np.float64)).astype(x.dtype)

    return evaluate


erf = define(
    "erf", 1, _by_math(math.erf),
    lambda x, y, g: (g * (2 / math.sqrt(math.pi)) * exp(-sqr(x[0])),), rule="float",
    doc="The error function.",
    example=("erf([0.0, 10.0])", "array([0., 1.])"),
)  # fmt: skip
erfc = define(
    "erfc", 1, _by_math(math.erfc),
    lambda x, y, g: (-g * (2 / math.sqrt(math.pi)) * exp(-sqr(x[0])),), rule="float",
    doc="``1 - erf(x)``, accurate for large x.",
    example=("erfc([0.0, -10.0])", "array([1., 2.])"),
)  # fmt: skip
