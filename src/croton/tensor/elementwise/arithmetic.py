"""Sums, products, quotients, powers, absolute values, extremes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable, constant_scalar
from croton.tensor.elementwise.op import define


def _no_bool(name: str) -> Any:
    def rule(given: Sequence[str]) -> tuple[tuple[str, ...], str]:
        common = dtypes.upcast(*given)
        if common == "bool":
            raise TypeError(f"{name} of bools is not defined; use xor, or cast to an integer first")
        return (common,) * len(given), common

    return rule


def _or_kernel(op: str, for_bool: str) -> Any:
    return lambda a, b: build.op(for_bool if a.dtype == "bool" else op, a, b)


add = define(
    "add", 2, np.add, lambda x, y, g: (g, g), symbol="+", kernel=_or_kernel("add", "or"),
    many=True, doc="``x + y`` (of bools: or), or the sum of more.",
    example=("add([1, 2], [[10], [20]])", "array([[11, 12],\n       [21, 22]])"),
)  # fmt: skip
sub = define(
    "sub", 2, np.subtract, lambda x, y, g: (g, -g), rule=_no_bool("sub"), symbol="-",
    doc="``x - y``.",
    example=("sub([5, 7], 2)", "array([3, 5])"),
)  # fmt: skip
mul = define(
    "mul", 2, np.multiply, lambda x, y, g: (g * x[1], g * x[0]), symbol="*",
    kernel=_or_kernel("mul", "and"), many=True,
    doc="``x * y`` (of bools: and), or the product of more.",
    example=("mul([1, 2], 3.0)", "array([3., 6.])"),
)  # fmt: skip
neg = define(
    "neg",
    1,
    np.negative,
    lambda x, y, g: (-g,),
    rule=_no_bool("neg"),
    symbol="-",
    doc="``-x``.",
    example=("neg([1, -2])", "array([-1,  2])"),
)


def _true_div_rule(given: Sequence[str]) -> tuple[tuple[str, ...], str]:
    common = dtypes.upcast(*given)
    if common in dtypes.DISCRETE:
        common = "float64"
    return (common,) * len(given), common


_quotient = define(
    "true_div",
    2,
    np.true_divide,
    lambda x, y, g: (g / x[1], -(g * y) / x[1]),
    rule=_true_div_rule,
    kernel="div",
    symbol="/",
    doc="``x / y`` in floats.",
    example=("true_div([1.0, 3.0], 2.0)", "array([0.5, 1.5])"),
)


def true_div(x: Any, y: Any) -> Any:
    """``x / y`` in floats; of integers the result is of dtype ``floatX``.

    >>> import croton.tensor as T
    >>> T.true_div([1, 3], 2).eval()
    array([0.5, 1.5])
    """
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    if dtypes.upcast(x.type.dtype, y.type.dtype) in dtypes.DISCRETE:
        # The dtype is settled here: an op must not depend on what is configured later.
        x, y = x.astype("floatX"), y.astype("floatX")
    return _quotient(x, y)


true_div.op = _quotient.op  # type: ignore[attr-defined]


def _float_mod(a: Expr, b: Expr) -> Expr:
    remainder = build.op("fmod", a, b)
    zero = build.const(0.0, a.dtype)
    wrong_sign = build.op("lt", build.op("mul", remainder, b), zero)
    # The product may underflow to zero; the signs themselves decide.
    wrong_sign = build.op(
        "and",
        build.op("ne", remainder, zero),
        build.op("ne", build.op("lt", remainder, zero), build.op("lt", b, zero)),
    )
    shifted = build.select(wrong_sign, build.op("add", remainder, b), remainder)
    signed_zero = build.op("copysign", zero, b)
    return build.select(build.op("eq", shifted, zero), signed_zero, shifted)


def _mod_kernel(a: Expr, b: Expr) -> Expr:
    if a.dtype == "bool":
        return build.op("and", a, build.op("xor", a, a))
    return _float_mod(a, b) if a.dtype.startswith("float") else build.op("mod", a, b)


def _float_floordiv(a: Expr, b: Expr) -> Expr:
    # As NumPy: through the exact remainder, so that 1 // 0.1 is 9, not 10.
    remainder = build.op("fmod", a, b)
    zero = build.const(0.0, a.dtype)
    quotient = build.op("div", build.op("sub", a, remainder), b)
    wrong_sign = build.op(
        "and",
        build.op("ne", remainder, zero),
        build.op("ne", build.op("lt", remainder, zero), build.op("lt", b, zero)),
    )
    quotient = build.select(
        wrong_sign, build.op("sub", quotient, build.const(1.0, a.dtype)), quotient
    )
    down = build.op("floor", quotient)
    gap = build.op("gt", build.op("sub", quotient, down), build.const(0.5, a.dtype))
    rounded = build.select(gap, build.op("add", down, build.const(1.0, a.dtype)), down)
    small = build.op("copysign", zero, build.op("div", a, b))
    rounded = build.select(build.op("eq", quotient, zero), small, rounded)
    return build.select(build.op("eq", b, zero), build.op("div", a, b), rounded)


def _floordiv_kernel(a: Expr, b: Expr) -> Expr:
    if a.dtype.startswith("float"):
        return _float_floordiv(a, b)
    return build.op("floordiv", a, b)


def _int_or_float_zero(function: Any) -> Any:
    def evaluate(a: Any, b: Any) -> Any:
        return function(a, b)

    return evaluate


int_div = define(
    "int_div", 2, np.floor_divide, lambda x, y, g: (None, None), rule=_no_bool("int_div"),
    kernel=_floordiv_kernel, symbol="//",
    doc="``floor(x / y)``; of integers by zero: 0.",
    example=("int_div([7, -7, 7], [2, 2, 0])", "array([ 3, -4,  0])"),
)  # fmt: skip
floor_div = int_div
mod = define(
    "mod", 2, np.mod, lambda x, y, g: (g, -(g * int_div(x[0], x[1]))), rule=_no_bool("mod"),
    kernel=_mod_kernel, symbol="%",
    doc="``x - y * floor(x / y)``, with the sign of y; of integers by zero: 0.",
    example=("mod([7, -7, 7], [3, 3, -3])", "array([ 1,  2, -2])"),
)  # fmt: skip


def _integer_power(base: Any, exponent: Any) -> Any:
    base, exponent = np.broadcast_arrays(base, exponent)
    if base.dtype.kind == "u":
        return np.power(base, exponent)
    negative = exponent < 0
    result = np.power(base, np.where(negative, 0, exponent).astype(exponent.dtype))
    sign = np.where(exponent % 2, -1, 1)
    inverse = np.where(base == -1, sign, np.where(base == 1, 1, 0))
    return np.where(negative, inverse, result).astype(base.dtype)


def _power(base: Any, exponent: Any) -> Any:
    if base.dtype.kind == "f":
        return np.power(base, exponent)
    return _integer_power(base, exponent)


def _power_kernel(base: Expr, exponent: Expr) -> Expr:
    if base.dtype.startswith("float"):
        return build.op("pow", base, exponent)
    dtype = base.dtype
    zero, one = build.const(0, dtype), build.const(1, dtype)
    result: Expr = one
    square, left = base, exponent
    for _ in range(np.iinfo(dtype).bits):
        odd = build.op("ne", build.op("and", left, one), zero)
        result = build.select(odd, build.op("mul", result, square), result)
        square = build.op("mul", square, square)
        left = build.op("shr", left, one)
    if dtype in dtypes.SIGNED:
        minus = build.const(-1, dtype)
        sign = build.select(build.op("ne", build.op("and", exponent, one), zero), minus, one)
        inverse = build.select(build.op("eq", base, one), one, zero)
        inverse = build.select(build.op("eq", base, minus), sign, inverse)
        result = build.select(build.op("lt", exponent, zero), inverse, result)
    return result


def _power_derivative(x: Sequence[Any], y: Any, g: Any) -> Sequence[Any]:
    base, exponent = x
    known = constant_scalar(exponent)
    if known is not None:
        # x ** 0 is 1 for every x, though 0 * 0 ** -1 is not 0.
        return g * exponent * power(base, exponent - 1) if known else g.zeros_like(), None
    zero = y.zeros_like()
    slope = _where(_eq(exponent, 0), zero, exponent * power(base, exponent - 1))
    return g * slope, g * _where(_eq(base, 0), zero, y * log_of(base))


power = define(
    "pow", 2, _power, _power_derivative, rule=_no_bool("pow"), kernel=_power_kernel, symbol="**",
    doc="``x ** y``; of integers with a negative exponent: the quotient rounded towards zero.",
    example=("pow([2, 3], 3)", "array([ 8, 27])"),
)  # fmt: skip

abs_ = define(
    "abs", 1, np.abs, lambda x, y, g: (g * sgn(x[0]),), symbol="abs",
    kernel=lambda a: a if a.dtype == "bool" or a.dtype.startswith("u") else build.op("abs", a),
    doc="The absolute value.",
    example=("abs([-1.5, 2.0])", "array([1.5, 2. ])"),
)  # fmt: skip


def _sign_kernel(a: Expr) -> Expr:
    if a.dtype == "bool":
        return a
    zero, one = build.const(0, a.dtype), build.const(1, a.dtype)
    if a.dtype.startswith("u"):
        return build.select(build.op("eq", a, zero), zero, one)
    minus = build.const(-1, a.dtype)
    positive = build.select(build.op("gt", a, zero), one, zero)
    result = build.select(build.op("lt", a, zero), minus, positive)
    if a.dtype.startswith("float"):
        return build.select(build.op("ne", a, a), a, result)
    return result


sgn: Any = define(
    "sgn", 1, lambda a: a if a.dtype == bool else np.sign(a), lambda x, y, g: (None,),
    kernel=_sign_kernel, doc="-1, 0 or 1 by the sign; NaN of NaN.",
    example=("sgn([-3, 0, 5])", "array([-1,  0,  1])"),
)  # fmt: skip


def _pick(larger: str) -> Any:
    def derivative(x: Sequence[Any], y: Any, g: Any) -> Sequence[Any]:
        # Where both are equal the first one takes the gradient, as in Theano.
        first = _compare(larger, x[0], x[1])
        return _where(first, g, g.zeros_like()), _where(first, g.zeros_like(), g)

    return derivative


maximum = define(
    "maximum", 2, np.maximum, _pick("ge"), kernel=_or_kernel("maximum", "or"),
    doc="The larger of two; NaN if either is NaN.",
    example=("maximum([1.0, 5.0], 3.0)", "array([3., 5.])"),
)  # fmt: skip
minimum = define(
    "minimum", 2, np.minimum, _pick("le"), kernel=_or_kernel("minimum", "and"),
    doc="The smaller of two; NaN if either is NaN.",
    example=("minimum([1.0, 5.0], 3.0)", "array([1., 3.])"),
)  # fmt: skip


def _square_kernel(a: Expr) -> Expr:
    return a if a.dtype == "bool" else build.op("mul", a, a)


sqr = define(
    "sqr", 1, np.square, lambda x, y, g: (g * x[0] * 2,), kernel=_square_kernel,
    doc="``x * x``.",
    example=("sqr([-2, 3])", "array([4, 9])"),
)  # fmt: skip
sqrt = define(
    "sqrt",
    1,
    np.sqrt,
    lambda x, y, g: (g * 0.5 / y,),
    rule="float",
    doc="The square root.",
    example=("sqrt([4, 9])", "array([2., 3.])"),
)
reciprocal = define(
    "reciprocal", 1, lambda a: np.true_divide(a.dtype.type(1), a),
    lambda x, y, g: (-g * sqr(y),), rule="float",
    kernel=lambda a: build.op("div", build.const(1.0, a.dtype), a), doc="``1 / x``.",
    example=("reciprocal([2, 4])", "array([0.5 , 0.25])"),
)  # fmt: skip
inv = reciprocal


# Derivatives need functions of other subjects; a variable's own operators and
# methods give them without importing those modules here.
def log_of(x: Any) -> Any:
    """``log(x)``."""
    return as_tensor_variable(x).log()


def _eq(a: Any, b: Any) -> Any:
    return as_tensor_variable(a).eq(b)


def _compare(name: str, a: Any, b: Any) -> Any:
    return getattr(as_tensor_variable(a), name)(b)


def _where(condition: Any, a: Any, b: Any) -> Any:
    return condition.where(a, b)
