"""The operations of kernel expressions: one table.

Each entry gives what a reader, the builder, the interpreter and the renderers
need: how many arguments, what type comes out, and what it means (a NumPy
function on arrays of the lanes).  Integer arithmetic wraps; shifts of at least
the width are not defined; comparisons of NaN are false but for ``ne``.
``maximum`` and ``minimum`` give NaN if either argument is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from croton.kernel import philox


class OpInfo(NamedTuple):
    """``result`` is ``"same"`` (as the first argument), ``"bool"``, ``"second"`` or a dtype."""

    name: str
    arity: int
    result: str
    evaluate: Callable[..., Any] | None
    commutes: bool = False


def _shift_left(a: Any, b: Any) -> Any:
    return np.left_shift(a, b)


def _multiply_high(a: Any, b: Any) -> Any:
    wide = np.asarray(a, np.uint64) * np.asarray(b, np.uint64)
    return (wide >> np.uint64(32)).astype(np.uint32)[()]


def _round_half_away(a: Any) -> Any:
    down = np.trunc(a)
    away = np.where(np.abs(a - down) >= 0.5, down + np.copysign(1, a), down)
    return away.astype(np.asarray(a).dtype)[()]


def _to_odd(a: Any, b: Any) -> Any:
    """``a + b`` in float64, rounded to odd, so that rounding it once more is harmless."""
    total = a + b
    rest = total - a
    error = (a - (total - rest)) + (b - rest)
    even = total.view(np.int64) % 2 == 0
    inexact = np.isfinite(total) & (error != 0) & even
    return np.where(inexact, np.nextafter(total, np.where(error > 0, np.inf, -np.inf)), total)


def _fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    dtype = np.asarray(a).dtype
    if dtype != np.float64:
        x, y, z = (np.asarray(v, np.float64) for v in (a, b, c))
        return _to_odd(x * y, z).astype(dtype)[()]
    return np.vectorize(_exact_fma, otypes=[np.float64])(a, b, c)[()]


def _exact_fma(a: float, b: float, c: float) -> float:
    rounded = a * b + c
    if not math.isfinite(a) or not math.isfinite(b) or not math.isfinite(c):
        return rounded
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:
        return rounded if a * b == 0 and c == 0 else 0.0
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def _maximum(a: Any, b: Any) -> Any:
    return np.where(np.not_equal(a, a), a, np.where(np.greater(a, b), a, b))[()]


def _minimum(a: Any, b: Any) -> Any:
    return np.where(np.not_equal(a, a), a, np.where(np.less(a, b), a, b))[()]


def _sigmoid(a: Any) -> Any:
    tail = np.exp(-np.abs(a))
    return np.where(np.greater_equal(a, 0), 1 / (1 + tail), tail / (1 + tail)).astype(
        np.asarray(a).dtype
    )[()]


def _softplus(a: Any) -> Any:
    return np.logaddexp(a, np.zeros_like(a))


def _by_element(function: Callable[[float], float]) -> Callable[[Any], Any]:
    def evaluate(a: Any) -> Any:
        return np.vectorize(function, otypes=[np.float64])(a).astype(np.asarray(a).dtype)[()]

    return evaluate


_ENTRIES = [
    # arithmetic
    OpInfo("add", 2, "same", np.add, True),
    OpInfo("sub", 2, "same", np.subtract),
    OpInfo("mul", 2, "same", np.multiply, True),
    OpInfo("div", 2, "same", np.divide),  # floats
    OpInfo("floordiv", 2, "same", np.floor_divide),  # integers, towards minus infinity; by 0: 0
    OpInfo("mod", 2, "same", np.mod),  # integers, sign of the divisor; by 0: 0
    OpInfo("neg", 1, "same", np.negative),
    OpInfo("abs", 1, "same", np.abs),
    OpInfo("fma", 3, "same", _fused_multiply_add),  # a * b + c, rounded once
    OpInfo("maximum", 2, "same", _maximum, True),
    OpInfo("minimum", 2, "same", _minimum, True),
    OpInfo("mulhi", 2, "same", _multiply_high),  # uint32: the high half of the product
    # bits
    OpInfo("and", 2, "same", np.bitwise_and, True),
    OpInfo("or", 2, "same", np.bitwise_or, True),
    OpInfo("xor", 2, "same", np.bitwise_xor, True),
    OpInfo("not", 1, "same", np.invert),
    OpInfo("shl", 2, "same", _shift_left),
    OpInfo("shr", 2, "same", np.right_shift),  # of a signed integer: arithmetic
    # comparison and choice
    OpInfo("eq", 2, "bool", np.equal, True),
    OpInfo("ne", 2, "bool", np.not_equal, True),
    OpInfo("lt", 2, "bool", np.less),
    OpInfo("le", 2, "bool", np.less_equal),
    OpInfo("gt", 2, "bool", np.greater),
    OpInfo("ge", 2, "bool", np.greater_equal),
    OpInfo("select", 3, "second", np.where),  # attrs: RARE, or none
    # conversion: the target dtype is the result's; float to integer truncates
    OpInfo("cast", 1, "given", None),
    OpInfo("bitcast", 1, "given", None),
    # rounding and parts of floats
    OpInfo("sqrt", 1, "same", np.sqrt),
    OpInfo("floor", 1, "same", np.floor),
    OpInfo("ceil", 1, "same", np.ceil),
    OpInfo("trunc", 1, "same", np.trunc),
    OpInfo("rint", 1, "same", np.rint),
    OpInfo("round_half_away", 1, "same", _round_half_away),
    OpInfo("copysign", 2, "same", np.copysign),
    OpInfo("ldexp", 2, "same", np.ldexp),  # the second argument is an int32
    # functions that vector math expands into the above before code is generated
    OpInfo("exp", 1, "same", np.exp),
    OpInfo("exp2", 1, "same", np.exp2),
    OpInfo("expm1", 1, "same", np.expm1),
    OpInfo("log", 1, "same", np.log),
    OpInfo("log2", 1, "same", np.log2),
    OpInfo("log10", 1, "same", np.log10),
    OpInfo("log1p", 1, "same", np.log1p),
    OpInfo("sin", 1, "same", np.sin),
    OpInfo("cos", 1, "same", np.cos),
    OpInfo("tan", 1, "same", np.tan),
    OpInfo("asin", 1, "same", np.arcsin),
    OpInfo("acos", 1, "same", np.arccos),
    OpInfo("atan", 1, "same", np.arctan),
    OpInfo("atan2", 2, "same", np.arctan2),
    OpInfo("sinh", 1, "same", np.sinh),
    OpInfo("cosh", 1, "same", np.cosh),
    OpInfo("tanh", 1, "same", np.tanh),
    OpInfo("asinh", 1, "same", np.arcsinh),
    OpInfo("acosh", 1, "same", np.arccosh),
    OpInfo("atanh", 1, "same", np.arctanh),
    OpInfo("pow", 2, "same", np.power),
    OpInfo("fmod", 2, "same", np.fmod),  # floats, sign of the dividend
    OpInfo("erf", 1, "same", _by_element(math.erf)),
    OpInfo("erfc", 1, "same", _by_element(math.erfc)),
    OpInfo("sigmoid", 1, "same", _sigmoid),
    OpInfo("softplus", 1, "same", _softplus),
    OpInfo("philox", 4, "uint32", philox.element),  # int64; attrs: keep, put, turn
    # lanes
    OpInfo("broadcast", 1, "same", None),  # a scalar into every lane
    OpInfo("ramp", 1, "same", None),  # base, base + 1, ...
    OpInfo("shuffle", 2, "same", None),  # attrs: for each lane an index into the two, joined
    OpInfo("extract", 1, "same", None),  # attrs: (lane,)
    OpInfo("reduce_add", 1, "same", np.sum),  # across lanes, pairwise
    OpInfo("reduce_mul", 1, "same", np.prod),
    OpInfo("reduce_max", 1, "same", np.max),
    OpInfo("reduce_min", 1, "same", np.min),
    OpInfo("reduce_and", 1, "same", np.bitwise_and.reduce),
    OpInfo("reduce_or", 1, "same", np.bitwise_or.reduce),
    OpInfo("reduce_xor", 1, "same", np.bitwise_xor.reduce),
]

OPS: dict[str, OpInfo] = {entry.name: entry for entry in _ENTRIES}

#: Attributes of a ``select`` whose condition seldom holds in any lane: a renderer may test that
#: and jump over the evaluation of the second argument.
RARE = ("rare",)

#: Expanded by :mod:`croton.codegen.math` before rendering.
FUNCTIONS = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh "
    "asinh acosh atanh pow fmod erf erfc sigmoid softplus philox".split()
)
