"""Comparisons, tests and choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.elementwise.arithmetic import abs_
from croton.tensor.elementwise.op import define


def _compare(name: str, evaluate: Any, symbol: str, of_1_2_3: str) -> Any:
    return define(
        name, 2, evaluate, lambda x, y, g: (None, None), rule="bool", symbol=symbol,
        doc=f"``x {symbol} y`` as a bool.", example=(f"{name}([1, 2, 3], 2)", of_1_2_3),
    )  # fmt: skip


lt = _compare("lt", np.less, "<", "array([ True, False, False])")
le = _compare("le", np.less_equal, "<=", "array([ True,  True, False])")
gt = _compare("gt", np.greater, ">", "array([False, False,  True])")
ge = _compare("ge", np.greater_equal, ">=", "array([False,  True,  True])")
eq = _compare("eq", np.equal, "==", "array([False,  True, False])")
ne = _compare("ne", np.not_equal, "!=", "array([ True, False,  True])")
neq = ne


def _float_test(on_float: Any) -> Any:
    def kernel(a: Expr) -> Expr:
        if not a.dtype.startswith("float"):
            return build.const(False, "bool", a.lanes)
        return on_float(a)  # type: ignore[no-any-return]

    return kernel


isnan = define(
    "isnan", 1, np.isnan, lambda x, y, g: (None,), rule="bool",
    kernel=_float_test(lambda a: build.op("ne", a, a)), doc="Whether x is NaN.",
    example=('isnan([1.0, float("nan")])', "array([False,  True])"),
)  # fmt: skip
isinf = define(
    "isinf", 1, np.isinf, lambda x, y, g: (None,), rule="bool",
    kernel=_float_test(
        lambda a: build.op("eq", build.op("abs", a), build.const(float("inf"), a.dtype))
    ),
    doc="Whether x is plus or minus infinity.",
    example=('isinf([1.0, -float("inf")])', "array([False,  True])"),
)  # fmt: skip


def _choice_rule(given: Sequence[str]) -> tuple[tuple[str, ...], str]:
    common = dtypes.upcast(*given[1:])
    return ("bool", common, common), common


def _switch_derivative(x: Sequence[Any], y: Any, g: Any) -> Sequence[Any]:
    zero = g.zeros_like()
    return None, switch(x[0], g, zero), switch(x[0], zero, g)


switch = define(
    "switch", 3, np.where, _switch_derivative, rule=_choice_rule, kernel="select",
    doc="``x`` where the condition is not 0, else ``y``; both are computed.",
    example=("switch([True, False], [1, 2], 0)", "array([1, 0])"),
)  # fmt: skip


def where(condition: Any, x: Any, y: Any) -> Any:
    """NumPy's name for :func:`switch`.

    >>> import croton.tensor as T
    >>> T.where(T.gt([-1, 2], 0), 1.5, [10, 20]).eval()
    array([10. ,  1.5])
    """
    return switch(condition, x, y)


def _clip_derivative(x: Sequence[Any], y: Any, g: Any) -> Sequence[Any]:
    value, low, high = x
    zero = g.zeros_like()
    below, above = lt(value, low), gt(value, high)
    inside = (below | above).where(zero, g)
    return inside, switch(below, g, zero), switch(above, g, zero)


clip = define(
    "clip", 3, lambda x, low, high: np.minimum(np.maximum(x, low), high), _clip_derivative,
    kernel=lambda x, low, high: build.op("minimum", build.op("maximum", x, low), high),
    doc="``x`` kept between ``low`` and ``high``.",
    example=("clip([-3, 1, 9], 0, 5)", "array([0, 1, 5])"),
)  # fmt: skip


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether ``|a - b| <= atol + rtol * |b|``; infinities are close to themselves.

    >>> import croton.tensor as T
    >>> a, b = T.constant([1.0, 2.0]), T.constant([1.0 + 1e-9, 2.1])
    >>> T.isclose(a, b).eval()
    array([ True, False])
    """
    near = le(abs_(a - b), atol + rtol * abs_(b)) & ~isinf(b) & ~isinf(a)
    near = near | eq(a, b)
    return near | (isnan(a) & isnan(b)) if equal_nan else near
