"""Products and quotients as a whole: what stands above and below the line cancels.

This is what makes gradients simple and stable: ``g / s * s * (1 - s)`` becomes
``g * (1 - s)``, the gradient of ``log(softmax(x))`` loses its division by the softmax, and
``exp(x)`` over its own sum is a softmax wherever the two stand in the product.
"""

from __future__ import annotations

from typing import Any

from croton.graph import Constant
from croton.rewrite.pattern import op
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.normalised import exponential_over_sum
from croton.tensor import dtypes
from croton.tensor.convert import constant
from croton.tensor.elementwise import add, mul, neg, sub, true_div

# Longer products are looked at in parts.
_DEEPEST = 6
_NOTE = "0 / 0 and infinity / infinity were NaN; may change rounding"


class _One:
    """The empty product."""


_ONE = _One()

Factors = dict[int, Any]


def _parts(v: Any, m: Match, depth: int) -> tuple[str, Any]:
    for name in ("mul", "true_div", "neg", "sqr") if depth else ():
        args = m.arguments(v, name)
        if args is not None:
            return name, args
    return "", ()


def _collect(v: Any, m: Match, above: Factors, below: Factors, depth: int = _DEEPEST) -> None:
    name, args = _parts(v, m, depth)
    if name in ("mul", "neg"):
        for a in args:
            _collect(a, m, above, below, depth - 1)
    elif name == "true_div":
        _collect(args[0], m, above, below, depth - 1)
        _collect(args[1], m, below, above, depth - 1)
    elif not isinstance(v, Constant):
        above.setdefault(id(v), v)
        if name == "sqr":
            above.setdefault(id(args[0]), args[0])


def _without(v: Any, factor: Any, above: bool, m: Match, depth: int = _DEEPEST) -> Any:
    """``v`` without ``factor``, which stands above or below its line; None if it does not."""
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
        if rest is None:
            return None
        return neg(_one_like(factor) if rest is _ONE else rest)
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
    return true_div(_one_like(b) if a is _ONE else a, b)


def _one_like(v: Any) -> Any:
    return constant(1, dtype=v.type.dtype, ndim=v.type.ndim)


def _is_float(m: Match) -> bool:
    return m.out.type.dtype in dtypes.FLOATS


def _cancel(m: Match) -> Any:
    above: Factors = {}
    below: Factors = {}
    _collect(m.out, m, above, below)
    for key, factor in above.items() if below else ():
        if key not in below:
            continue
        once = _without(m.out, factor, True, m)
        if once is None or once is _ONE:
            continue
        twice = _without(once, factor, False, m, _DEEPEST + 1)
        if twice is not None:
            return _one_like(m.out) if twice is _ONE else twice
    return None


def _normalised(m: Match) -> Any:
    """``exp(x)`` above the line, its sum below: a softmax."""
    above: Factors = {}
    below: Factors = {}
    _collect(m.out, m, above, below)
    found = _pair(above, below, m)
    if found is None:
        return None
    e, total, result = found
    once = _without(m.out, e, True, m)
    if once is None or once is _ONE:
        return None
    rest = _without(once, total, False, m, _DEEPEST + 1)
    return None if rest is None else _product(result, rest)


def _pair(above: Factors, below: Factors, m: Match) -> tuple[Any, Any, Any] | None:
    for total in below.values():
        for e in above.values():
            result = exponential_over_sum(e, total, m)
            if result is not None:
                return e, total, result
    return None


def _times_sum(m: Match) -> Any:
    """``x * (y / x - z)`` is ``y - x * z``: where a factor cancels in a term, the product is
    taken term by term."""
    for k in (0, 1):
        x, total = m.inputs[k], m.inputs[1 - k]
        for name, combine in (("sub", sub), ("add", add)):
            terms = m.arguments(total, name)
            if terms is None:
                continue
            new = [_times(x, t, m) for t in terms]
            if any(n is not None for n in new):
                a, b = (
                    mul(x, t) if n is None else n for t, n in zip(terms, new, strict=True)
                )
                return combine(a, b)
    return None


def _times(x: Any, term: Any, m: Match) -> Any:
    """``x * term`` if something of ``x`` cancels with what is below the line in ``term``."""
    above: Factors = {}
    below: Factors = {}
    _collect(term, m, {}, below)
    if not below:
        return None
    _collect(x, m, above, {})
    common = next((f for key, f in above.items() if key in below), None)
    if common is not None:
        pair = common, common, _ONE
    else:
        found = _pair(above, below, m)
        if found is None:
            return None
        pair = found
    rest = _without(x, pair[0], True, m)
    freed = _without(term, pair[1], False, m)
    if rest is None or freed is None:
        return None
    product = _product(_product(pair[2], rest), freed)
    return _one_like(m.out) if product is _ONE else product


def _rule(name: str, head: str, replacement: Any, group: str = "canonicalise") -> Rule:
    return Rule(name, op(head), replacement, group, _is_float, _NOTE)


RULES = (
    _rule("cancel_in_product", "mul", _cancel),
    _rule("cancel_in_quotient", "true_div", _cancel),
    _rule("normalised_in_product", "mul", _normalised, "stabilise"),
    _rule("normalised_in_quotient", "true_div", _normalised, "stabilise"),
    _rule("product_of_sum_with_quotient", "mul", _times_sum, "stabilise"),
)
