"""Products and quotients as a whole: what stands above and below the line cancels.

This is what makes gradients simple and stable: ``g / s * s * (1 - s)`` becomes
``g * (1 - s)``, the gradient of ``log(softmax(x))`` loses its division by the softmax, and
``exp(x)`` over its own sum is a softmax wherever the two stand in the product.

A sigmoid and one minus that of the opposite argument are the same factor.
"""

from __future__ import annotations

from typing import Any

from croton.graph import Constant
from croton.rewrite.pattern import AnyOf, op, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.crossentropy import is_zeros
from croton.rewrite.rules.normalised import exponential_over_sum
from croton.tensor import dtypes
from croton.tensor.convert import constant
from croton.tensor.elementwise import add, mul, neg, sigmoid, sub, true_div
from croton.tensor.indexing import AdvancedIncSubtensor, AdvancedSubtensor

y = var("y")

# Longer products are looked at in parts.
_DEEPEST = 6
_KNOWN = frozenset(("mul", "true_div", "neg", "sqr"))
_NOTE = "0 / 0 and infinity / infinity were NaN; may change rounding"


class _One:
    """The empty product."""


_ONE = _One()

Factors = dict[Any, Any]


def _key(v: Any, m: Match) -> Any:
    """Equal for factors that are the same."""
    name, args = m.function(v)
    if name == "sigmoid":
        return _sigmoid_key(args[0], False, m)
    if name == "sub" and m.number(args[0]) == 1:
        name, args = m.function(args[1])
        if name == "sigmoid":
            return _sigmoid_key(args[0], True, m)
    return id(v)


def _sigmoid_key(x: Any, negative: bool, m: Match) -> tuple[int, bool]:
    opposite = m.arguments(x, "neg")
    return (id(x), negative) if opposite is None else (id(opposite[0]), not negative)


def _parts(v: Any, m: Match, depth: int) -> tuple[str, Any]:
    name, args = m.function(v)
    return (name, args) if depth and name in _KNOWN else ("", ())


def _collect(v: Any, m: Match, above: Factors, below: Factors, depth: int = _DEEPEST) -> None:
    name, args = _parts(v, m, depth)
    if name in ("mul", "neg"):
        for a in args:
            _collect(a, m, above, below, depth - 1)
    elif name == "true_div":
        _collect(args[0], m, above, below, depth - 1)
        _collect(args[1], m, below, above, depth - 1)
    elif not isinstance(v, Constant):
        above.setdefault(_key(v, m), v)
        if name == "sqr":
            above.setdefault(_key(args[0], m), args[0])


def _without(v: Any, factor: Any, above: bool, m: Match, depth: int = _DEEPEST) -> Any:
    """``v`` without ``factor``, which stands above or below its line; None if it does not."""
    if v is factor or _key(v, m) == _key(factor, m):
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
    if name == "sqr" and above and _key(args[0], m) == _key(factor, m):
        return args[0]
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
    """``exp(x)`` above the line: over its sum it is a softmax, times ``sigmoid(-x)`` a sigmoid."""
    above: Factors = {}
    below: Factors = {}
    _collect(m.out, m, above, below)
    found = _pair(above, below, m)
    is_above = found is None
    if found is None:
        found = _sigmoid_pair(above, m)
    if found is None:
        return None
    e, other, result = found
    once = _without(m.out, e, True, m)
    if once is None or once is _ONE:
        return None
    rest = _without(once, other, is_above, m, _DEEPEST + 1)
    return None if rest is None else _product(result, rest)


def _sigmoid_pair(above: Factors, m: Match) -> tuple[Any, Any, Any] | None:
    for e in list(above.values()):
        args = m.arguments(e, "exp")
        if args is None:
            continue
        x, negative = _sigmoid_key(args[0], True, m)
        found = above.get((x, negative))
        if found is not None:
            return e, found, sigmoid(args[0])
    return None


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
                a, b = (mul(x, t) if n is None else n for t, n in zip(terms, new, strict=True))
                return combine(a, b)
    return None


def _times(x: Any, term: Any, m: Match) -> Any:
    """``x * term`` if something of ``x`` cancels with what is below the line in ``term``."""
    above: Factors = {}
    below: Factors = {}
    _collect(x, m, above, {})
    scattered = _times_scatter(x, term, above, m)
    if scattered is not None:
        return scattered
    _collect(term, m, {}, below)
    if not below:
        return None
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


def _times_scatter(x: Any, term: Any, above: Factors, m: Match) -> Any:
    """``x`` times zeros into which a quotient by elements of ``x`` is put."""
    node = term.owner
    if node is None or not isinstance(node.op, AdvancedIncSubtensor):
        return None
    below: Factors = {}
    _collect(node.inputs[1], m, {}, below)
    for v in below.values():
        read = v.owner
        if (
            read is not None
            and isinstance(read.op, AdvancedSubtensor)
            and read.op.start == node.op.start
            and id(read.inputs[0]) in above
            and all(a is b for a, b in zip(read.inputs[1:], node.inputs[2:], strict=True))
        ):
            return times_put(x, node, m)
    return None


def times_put(x: Any, node: Any, m: Match) -> Any:
    """``x`` times zeros with something put in: that times the elements of ``x`` there."""
    zeros, value, *indices = node.inputs
    if (
        not is_zeros(zeros, m)
        or x.type.broadcastable != zeros.type.broadcastable
        or any(a is not b for a, b in zip(m.sizes(x), m.sizes(zeros), strict=True))
    ):
        return None
    picked = AdvancedSubtensor(node.op.start)(x, *indices)
    return node.op(zeros, mul(value, picked), *indices)


def _product_with_put(m: Match) -> Any:
    for k in (0, 1):
        node = m.inputs[k].owner
        if node is not None and isinstance(node.op, AdvancedIncSubtensor):
            result = times_put(m.inputs[1 - k], node, m)
            if result is not None:
                return result
    return None


def _rule(name: str, head: str, replacement: Any, group: str = "canonicalise") -> Rule:
    return Rule(name, op(head), replacement, group, _is_float, _NOTE)


RULES = (
    Rule(
        "product_with_put",
        AnyOf(op("mul", op(AdvancedIncSubtensor), y), op("mul", y, op(AdvancedIncSubtensor))),
        _product_with_put, "indexing", _is_float,
        "elsewhere NaN and infinity times 0 were NaN",
    ),
    _rule("cancel_in_product", "mul", _cancel),
    _rule("cancel_in_quotient", "true_div", _cancel),
    _rule("normalised_in_product", "mul", _normalised, "stabilise"),
    _rule("normalised_in_quotient", "true_div", _normalised, "stabilise"),
    _rule("product_of_sum_with_quotient", "mul", _times_sum, "stabilise"),
)  # fmt: skip
