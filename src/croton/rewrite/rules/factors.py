"""Products and quotients as a whole: what stands above and below the line cancels.

This is what makes gradients simple and stable: ``g / s * s * (1 - s)`` becomes
``g * (1 - s)``, and the gradient of ``log(softmax(x))`` loses its division by the softmax.
"""

from __future__ import annotations

from typing import Any

from croton.graph import Constant
from croton.rewrite.pattern import op
from croton.rewrite.rule import Match, Rule
from croton.tensor import dtypes
from croton.tensor.convert import constant
from croton.tensor.elementwise import mul, neg, true_div

# Longer products are looked at in parts.
_DEEPEST = 6
_NOTE = "0 / 0 and infinity / infinity were NaN; may change rounding"


class _One:
    """The empty product."""


_ONE = _One()


def _parts(v: Any, m: Match, depth: int) -> tuple[str, Any]:
    for name in ("mul", "true_div", "neg", "sqr") if depth else ():
        args = m.arguments(v, name)
        if args is not None:
            return name, args
    return "", ()


def _collect(v: Any, m: Match, above: dict[int, Any], below: dict[int, Any], depth: int) -> None:
    name, args = _parts(v, m, depth)
    if name == "mul":
        for a in args:
            _collect(a, m, above, below, depth - 1)
    elif name == "true_div":
        _collect(args[0], m, above, below, depth - 1)
        _collect(args[1], m, below, above, depth - 1)
    elif name == "neg":
        _collect(args[0], m, above, below, depth - 1)
    elif not isinstance(v, Constant):
        above.setdefault(id(v), v)
        if name == "sqr":
            above.setdefault(id(args[0]), args[0])


def _without(v: Any, factor: Any, above: bool, m: Match, depth: int) -> Any:
    """``v`` divided (``above``) or multiplied by ``factor``, which it contains; None if not."""
    if v is factor:
        return _ONE if above else None
    name, args = _parts(v, m, depth)
    if name == "mul":
        a, b = args
        rest = _without(a, factor, above, m, depth - 1)
        if rest is not None:
            return _product(rest, b)
        rest = _without(b, factor, above, m, depth - 1)
        return None if rest is None else _product(a, rest)
    if name == "true_div":
        a, b = args
        rest = _without(a, factor, above, m, depth - 1)
        if rest is not None:
            return _quotient(rest, b)
        rest = _without(b, factor, not above, m, depth - 1)
        return None if rest is None else _quotient(a, rest)
    if name == "neg":
        rest = _without(args[0], factor, above, m, depth - 1)
        return None if rest is None else neg(_as_one(factor)) if rest is _ONE else neg(rest)
    if name == "sqr" and args[0] is factor and above:
        return factor
    return None


def _product(a: Any, b: Any) -> Any:
    if a is _ONE:
        return b
    return a if b is _ONE else mul(a, b)


def _quotient(a: Any, b: Any) -> Any:
    if b is _ONE:
        return a
    if a is _ONE:
        a = _as_one(b)
    return true_div(a, b)


def _as_one(v: Any) -> Any:
    return constant(1, dtype=v.type.dtype, ndim=v.type.ndim)


def _cancel(m: Match) -> Any:
    if m.out.type.dtype not in dtypes.FLOATS:
        return None
    above: dict[int, Any] = {}
    below: dict[int, Any] = {}
    _collect(m.out, m, above, below, _DEEPEST)
    if not below:
        return None
    for key, factor in above.items():
        if key not in below:
            continue
        once = _without(m.out, factor, True, m, _DEEPEST)
        if once is None or once is _ONE:
            continue
        twice = _without(once, factor, False, m, _DEEPEST)
        if twice is None:
            continue
        if twice is _ONE:
            return constant(1, dtype=m.out.type.dtype, ndim=m.out.type.ndim)
        return twice
    return None


def _times_sum(m: Match) -> Any:
    """``x * (y / x - z)`` is ``y - x * z``: where a factor cancels in a term, the product is
    taken term by term."""
    if m.out.type.dtype not in dtypes.FLOATS:
        return None
    for k in (0, 1):
        x, total = m.inputs[k], m.inputs[1 - k]
        for name in ("sub", "add"):
            terms = m.arguments(total, name)
            if terms is None:
                continue
            new = [_times(x, t, m) for t in terms]
            if any(n is not None for n in new):
                whole = [mul(x, t) if n is None else n for t, n in zip(terms, new, strict=True)]
                return total_of(name, whole)
    return None


def _times(x: Any, term: Any, m: Match) -> Any:
    """``x * term`` if a factor of ``x`` stands below the line in ``term``, else None."""
    below: dict[int, Any] = {}
    _collect(term, m, {}, below, _DEEPEST)
    if not below:
        return None
    factors: dict[int, Any] = {}
    _collect(x, m, factors, {}, _DEEPEST)
    common = next((f for key, f in factors.items() if key in below), None)
    if common is None:
        return None
    rest = _without(x, common, True, m, _DEEPEST)
    freed = _without(term, common, False, m, _DEEPEST)
    if rest is None or freed is None:
        return None
    if freed is _ONE:
        return rest if rest is not _ONE else None
    return _product(rest, freed)


def total_of(name: str, terms: list[Any]) -> Any:
    """The sum or difference of two terms."""
    a, b = terms
    return a + b if name == "add" else a - b


RULES = (
    Rule("cancel_in_product", op("mul"), _cancel, "canonicalise", note=_NOTE),
    Rule("cancel_in_quotient", op("true_div"), _cancel, "canonicalise", note=_NOTE),
    Rule("product_of_sum_with_quotient", op("mul"), _times_sum, "canonicalise", note=_NOTE),
)
