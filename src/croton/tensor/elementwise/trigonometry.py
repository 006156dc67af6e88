"""Trigonometric and hyperbolic functions, their inverses, angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from croton.kernel import build
from croton.tensor.elementwise.arithmetic import sqr, sqrt
from croton.tensor.elementwise.op import define

sin = define(
    "sin",
    1,
    np.sin,
    lambda x, y, g: (g * cos(x[0]),),
    rule="float",
    doc="The sine.",
    example=("sin([0.0, 1e-20])", "array([0.e+00, 1.e-20])"),
)
cos: Any = define(
    "cos",
    1,
    np.cos,
    lambda x, y, g: (-g * sin(x[0]),),
    rule="float",
    doc="The cosine.",
    example=("cos([0.0, 1e-20])", "array([1., 1.])"),
)
tan = define(
    "tan",
    1,
    np.tan,
    lambda x, y, g: (g * (1 + sqr(y)),),
    rule="float",
    doc="The tangent.",
    example=("tan([0.0, 1e-20])", "array([0.e+00, 1.e-20])"),
)
arcsin = define(
    "arcsin", 1, np.arcsin, lambda x, y, g: (g / sqrt(1 - sqr(x[0])),), rule="float",
    kernel="asin", doc="The angle in [-pi/2, pi/2] whose sine is x.",
    example=("arcsin([0.0, 2.0])", "array([ 0., nan])"),
)  # fmt: skip
arccos = define(
    "arccos", 1, np.arccos, lambda x, y, g: (-g / sqrt(1 - sqr(x[0])),), rule="float",
    kernel="acos", doc="The angle in [0, pi] whose cosine is x.",
    example=("arccos([1.0, 2.0])", "array([ 0., nan])"),
)  # fmt: skip
arctan = define(
    "arctan", 1, np.arctan, lambda x, y, g: (g / (1 + sqr(x[0])),), rule="float",
    kernel="atan", doc="The angle in [-pi/2, pi/2] whose tangent is x.",
    example=("arctan([0.0, 1e-20])", "array([0.e+00, 1.e-20])"),
)  # fmt: skip
arctan2 = define(
    "arctan2", 2, np.arctan2,
    lambda x, y, g: (
        g * x[1] / (sqr(x[0]) + sqr(x[1])),
        -g * x[0] / (sqr(x[0]) + sqr(x[1])),
    ),
    rule="float", kernel="atan2", doc="The angle of the point (y, x); its first argument is y.",
    example=("arctan2([1.0, 0.0], [0.0, -1.0])", "array([1.57079633, 3.14159265])"),
)  # fmt: skip
sinh = define(
    "sinh",
    1,
    np.sinh,
    lambda x, y, g: (g * cosh(x[0]),),
    rule="float",
    doc="The hyperbolic sine.",
    example=("sinh([0.0, 1000.0])", "array([ 0., inf])"),
)
cosh: Any = define(
    "cosh", 1, np.cosh, lambda x, y, g: (g * sinh(x[0]),), rule="float",
    doc="The hyperbolic cosine.",
    example=("cosh([0.0, 1000.0])", "array([ 1., inf])"),
)  # fmt: skip
tanh = define(
    "tanh", 1, np.tanh, lambda x, y, g: (g * (1 - sqr(y)),), rule="float",
    doc="The hyperbolic tangent.",
    example=("tanh([0.0, 1000.0])", "array([0., 1.])"),
)  # fmt: skip
arcsinh = define(
    "arcsinh", 1, np.arcsinh, lambda x, y, g: (g / sqrt(sqr(x[0]) + 1),), rule="float",
    kernel="asinh", doc="The inverse of sinh.",
    example=("arcsinh([0.0, 1e-20])", "array([0.e+00, 1.e-20])"),
)  # fmt: skip
arccosh = define(
    "arccosh", 1, np.arccosh, lambda x, y, g: (g / (sqrt(x[0] - 1) * sqrt(x[0] + 1)),),
    rule="float", kernel="acosh", doc="The inverse of cosh, for x >= 1.",
    example=("arccosh([0.0, 1.0])", "array([nan,  0.])"),
)  # fmt: skip
arctanh = define(
    "arctanh", 1, np.arctanh, lambda x, y, g: (g / (1 - sqr(x[0])),), rule="float",
    kernel="atanh", doc="The inverse of tanh, for x between -1 and 1.",
    example=("arctanh([0.0, 1.0])", "array([ 0., inf])"),
)  # fmt: skip
deg2rad = define(
    "deg2rad", 1, np.deg2rad, lambda x, y, g: (g * (math.pi / 180),), rule="float",
    kernel=lambda a: build.op("mul", a, build.const(math.pi / 180, a.dtype)),
    doc="Degrees as radians.",
    example=("deg2rad([0, 180])", "array([0.        , 3.14159265])"),
)  # fmt: skip
rad2deg = define(
    "rad2deg", 1, np.rad2deg, lambda x, y, g: (g * (180 / math.pi),), rule="float",
    kernel=lambda a: build.op("mul", a, build.const(180 / math.pi, a.dtype)),
    doc="Radians as degrees.",
    example=("rad2deg(3.141592653589793)", "array(180.)"),
)  # fmt: skip
