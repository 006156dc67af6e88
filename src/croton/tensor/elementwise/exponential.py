"""Exponentials and logarithms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from croton.tensor.elementwise.op import define

exp = define(
    "exp",
    1,
    np.exp,
    lambda x, y, g: (g * y,),
    rule="float",
    doc="e to the x.",
    example=("exp([0, 0])", "array([1., 1.])"),
)
exp2 = define(
    "exp2",
    1,
    np.exp2,
    lambda x, y, g: (g * y * math.log(2),),
    rule="float",
    doc="2 to the x.",
    example=("exp2([0, 3])", "array([1., 8.])"),
)
expm1 = define(
    "expm1", 1, np.expm1, lambda x, y, g: (g * (y + 1),), rule="float",
    doc="``exp(x) - 1``, accurate near 0.",
    example=("expm1([0.0, 1e-20])", "array([0.e+00, 1.e-20])"),
)  # fmt: skip
log = define(
    "log",
    1,
    np.log,
    lambda x, y, g: (g / x[0],),
    rule="float",
    doc="The natural logarithm.",
    example=("log([0.0, 1.0])", "array([-inf,   0.])"),
)
log2 = define(
    "log2", 1, np.log2, lambda x, y, g: (g / (x[0] * math.log(2)),), rule="float",
    doc="The logarithm to base 2.",
    example=("log2([1, 8])", "array([0., 3.])"),
)  # fmt: skip
log10 = define(
    "log10", 1, np.log10, lambda x, y, g: (g / (x[0] * math.log(10)),), rule="float",
    doc="The logarithm to base 10.",
    example=("log10([1, 1000])", "array([0., 3.])"),
)  # fmt: skip
log1p = define(
    "log1p", 1, np.log1p, lambda x, y, g: (g / (1 + x[0]),), rule="float",
    doc="``log(1 + x)``, accurate near 0.",
    example=("log1p([0.0, 1e-20])", "array([0.e+00, 1.e-20])"),
)  # fmt: skip


def _sigmoid(x: Any) -> Any:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def _softplus(x: Any) -> Any:
    return (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))).astype(x.dtype)


sigmoid = define(
    "sigmoid", 1, _sigmoid, lambda x, y, g: (g * y * (1 - y),), rule="float",
    doc="``1 / (1 + exp(-x))``.",
    example=("sigmoid([-1000.0, 0.0, 1000.0])", "array([0. , 0.5, 1. ])"),
)  # fmt: skip
softplus = define(
    "softplus", 1, _softplus, lambda x, y, g: (g * sigmoid(x[0]),), rule="float",
    doc="``log(1 + exp(x))``.",
    example=("softplus([-1000.0, 1000.0])", "array([   0., 1000.])"),
)  # fmt: skip
