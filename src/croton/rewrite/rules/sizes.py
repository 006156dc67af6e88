"""Sizes: what a shape is, and arithmetic on int64 scalars in a normal form.

Sums, differences and products of int64 scalars are polynomials; written in one way, equal
sizes become the same variable.  Comparisons and extremes are settled where the difference
cannot be negative, since an array's size is not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from croton.rewrite.pattern import AnyOf, op, reduction, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.conditions import is_size
from croton.tensor import dtypes
from croton.tensor.convert import constant
from croton.tensor.elementwise import Elemwise, add, cast, mul, neg, sub
from croton.tensor.indexing import Subtensor
from croton.tensor.indexing.basic import Slice
from croton.tensor.shapes import MakeVector, Shape_i, product

x, y = var("x y")

# A sum of products of variables: the variables' serial numbers, sorted, and a factor.
Polynomial = dict[tuple[int, ...], int]

# Longer sums stay as they are.
_LONGEST = 24
_RING = frozenset(("add", "sub", "mul", "neg", "sqr"))


class _Reader:
    """Turns int64 scalars into polynomials over the variables that are none."""

    def __init__(self, m: Match) -> None:
        self._m = m
        self.atoms: dict[int, Any] = {}

    def read(self, v: Any, depth: int = _LONGEST) -> Polynomial:
        """The polynomial of ``v``."""
        number = self._m.number(v)
        if number is not None:
            return {(): int(number)} if number else {}
        node = v.owner
        name = node.op.name if node is not None and isinstance(node.op, Elemwise) else ""
        if name not in _RING or not depth:
            name = ""
        if name in ("add", "sub"):
            a, b = (self.read(i, depth - 1) for i in node.inputs)
            return _sum(a, b, 1 if name == "add" else -1)
        if name == "neg":
            return _sum({}, self.read(node.inputs[0], depth - 1), -1)
        if name in ("mul", "sqr"):
            a, b = (self.read(node.inputs[k], depth - 1) for k in (0, -1))
            if len(a) * len(b) <= _LONGEST:
                return _times(a, b)
        key = self._m.context.serial(v)
        self.atoms[key] = v
        return {(key,): 1}

    def write(self, p: Polynomial) -> Any:
        """The expression of a polynomial: always the same one."""
        result: Any = None
        for t in _in_order(p):
            factor = p[t]
            value = self.atoms[t[0]]
            for key in t[1:]:
                value = mul(value, self.atoms[key])
            size = abs(factor)
            if size != 1:
                value = mul(value, _number(size))
            if result is None:
                result = value if factor > 0 else neg(value)
            else:
                result = (add if factor > 0 else sub)(result, value)
        rest = p.get((), 0)
        if result is None:
            return _number(rest)
        return add(result, _number(rest)) if rest else result

    def is_written(self, v: Any, p: Polynomial) -> bool:
        """Whether ``v`` is what :meth:`write` makes of ``p``, found without making it."""
        terms = _in_order(p)
        rest = p.get((), 0)
        if not terms:
            return self._m.number(v) is not None
        if rest:
            inputs = _inputs(v, "add")
            if inputs is None or self._m.number(inputs[1]) != rest:
                return False
            v = inputs[0]
        for t in reversed(terms[1:]):
            inputs = _inputs(v, "add" if p[t] > 0 else "sub")
            if inputs is None or not self._is_term(inputs[1], t, abs(p[t])):
                return False
            v = inputs[0]
        first = terms[0]
        if p[first] < 0:
            inputs = _inputs(v, "neg")
            if inputs is None:
                return False
            v = inputs[0]
        return self._is_term(v, first, abs(p[first]))

    def _is_term(self, v: Any, t: tuple[int, ...], factor: int) -> bool:
        if factor != 1:
            inputs = _inputs(v, "mul")
            if inputs is None or self._m.number(inputs[1]) != factor:
                return False
            v = inputs[0]
        for key in reversed(t[1:]):
            inputs = _inputs(v, "mul")
            if inputs is None or inputs[1] is not self.atoms[key]:
                return False
            v = inputs[0]
        return v is self.atoms[t[0]]

    def is_nonnegative(self, p: Polynomial) -> bool:
        """Whether no factor is negative and no variable can be."""
        return all(c >= 0 for c in p.values()) and all(
            never_negative(self.atoms[key], self._m) for t in p for key in t
        )


def _in_order(p: Polynomial) -> list[tuple[int, ...]]:
    """The terms but the number: first those that are added, short ones first."""
    return sorted((t for t in p if t), key=lambda t: (p[t] < 0, len(t), t))


def _inputs(v: Any, name: str) -> Any:
    """The inputs of the elementwise function ``name`` that computes ``v``, else None."""
    node = v.owner
    if node is None or not isinstance(node.op, Elemwise) or node.op.name != name:
        return None
    return node.inputs


@lru_cache(maxsize=1024)
def _number(n: int) -> Any:
    return constant(np.int64(n))


def _sum(a: Polynomial, b: Polynomial, sign: int) -> Polynomial:
    total = dict(a)
    for t, c in b.items():
        new = total.get(t, 0) + sign * c
        if new:
            total[t] = new
        else:
            total.pop(t, None)
    return total


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for s, c in a.items():
        for t, d in b.items():
            total = _sum(total, {tuple(sorted(s + t)): c * d}, 1)
    return total


def never_negative(v: Any, m: Match, depth: int = _LONGEST) -> bool:
    """Whether an int64 scalar is known to be 0 or more."""
    number = m.number(v)
    if number is not None:
        return bool(number >= 0)
    node = v.owner
    if node is None:
        return False
    if isinstance(node.op, Shape_i):
        return True
    if not isinstance(node.op, Elemwise) or not depth:
        return False
    inputs = node.inputs
    name = node.op.name
    if name in ("add", "mul", "minimum", "int_div", "mod"):
        return all(never_negative(i, m, depth - 1) for i in inputs)
    if name == "maximum":
        return any(never_negative(i, m, depth - 1) for i in inputs)
    if name == "switch":
        return all(never_negative(i, m, depth - 1) for i in inputs[1:])
    if name.startswith("Cast{"):
        return inputs[0].type.dtype in ("bool", *dtypes.UNSIGNED)
    return bool(name == "sqr")


def _normal(m: Match) -> Any:
    if not is_size(m.out):
        return None
    reader = _Reader(m)
    p = reader.read(m.out)
    limit = 2**62
    if len(p) > _LONGEST or any(abs(c) >= limit for c in p.values()):
        return None
    return None if reader.is_written(m.out, p) else reader.write(p)


def _sized(m: Match) -> bool:
    return all(map(is_size, m.inputs))


def _comparison(m: Match) -> Any:
    """Known where the difference of the sides is known not to be negative."""
    name = m.op.name
    a, b = m.inputs
    if name in ("gt", "ge"):
        a, b, name = b, a, {"gt": "lt", "ge": "le"}[name]
    reader = _Reader(m)
    difference = _sum(reader.read(b), reader.read(a), -1)
    opposite = _sum({}, difference, -1)
    above = reader.is_nonnegative(_sum(difference, {(): 1}, -1))
    below = reader.is_nonnegative(_sum(opposite, {(): 1}, -1))
    result: bool | None = None
    if name == "lt":
        result = True if above else False if reader.is_nonnegative(opposite) else None
    elif name == "le":
        result = True if reader.is_nonnegative(difference) else False if below else None
    else:
        same = True if not difference else False if above or below else None
        result = same if same is None or name == "eq" else not same
    return None if result is None else constant(np.bool_(result))


def at_least(a: Any, b: Any, m: Match) -> bool:
    """Whether the size ``a`` (an int or int64 scalar) is known to be no less than ``b``."""
    a = _number(a) if isinstance(a, int) else a
    if m.number(a) is not None and int(m.number(a)) < 0:
        return False
    reader = _Reader(m)
    return reader.is_nonnegative(_sum(reader.read(a), reader.read(b), -1))


def _extreme(m: Match) -> Any:
    a, b = m.inputs
    reader = _Reader(m)
    difference = _sum(reader.read(b), reader.read(a), -1)
    largest = m.op.name == "maximum"
    if reader.is_nonnegative(difference):
        return b if largest else a
    if reader.is_nonnegative(_sum({}, difference, -1)):
        return a if largest else b
    return None


def _quotient(m: Match) -> Any:
    """A division without remainder."""
    reader = _Reader(m)
    above, below = map(reader.read, m.inputs)
    if len(below) != 1 or not above or not reader.is_nonnegative(below):
        return None
    ((t, c),) = below.items()
    result: Polynomial = {}
    for s, d in above.items():
        rest = list(s)
        for key in t:
            if key not in rest:
                return None
            rest.remove(key)
        if d % c:
            return None
        result[tuple(rest)] = d // c
    return reader.write(result)


def _shape_i(m: Match) -> Any:
    return m.sizes(m.x)[m.op.i]


def _element(m: Match) -> Any:
    """A known element of a vector made of scalars."""
    entries = m.s.entries
    if len(entries) != 1:
        return None
    elements = m.inputs[0].owner.inputs
    (entry,) = entries
    if isinstance(entry, int):
        return elements[entry] if -len(elements) <= entry < len(elements) else None
    if isinstance(entry, Slice) and all(p is None or isinstance(p, int) for p in entry):
        return m.inputs[0].owner.op(*elements[slice(*entry)])
    return None


def _reduced_vector(m: Match) -> Any:
    elements = [cast(e, m.out.type.dtype) for e in m.inputs[0].owner.inputs]
    if not elements:
        return constant(0 if m.op.kind == "sum" else 1, dtype=m.out.type.dtype)
    if m.op.kind == "prod" and m.out.type.dtype == "int64":
        return product(elements)
    result = elements[0]
    for e in elements[1:]:
        result = add(result, e) if m.op.kind == "sum" else mul(result, e)
    return result


def _rule(name: str, pattern: Any, build: Callable[[Match], Any], when: Any = None) -> Rule:
    return Rule(name, pattern, build, "shapes", when)


RULES = (
    _rule("shape", op(Shape_i, x), _shape_i),
    _rule("element_of_made_vector", op(Subtensor, op(MakeVector), bind="s", rest=True), _element),
    _rule(
        "reduced_made_vector",
        AnyOf(reduction("sum", op(MakeVector)), reduction("prod", op(MakeVector))),
        _reduced_vector,
    ),
    _rule("size_arithmetic", AnyOf(*(op(n) for n in ("add", "sub", "mul", "neg"))), _normal),
    _rule(
        "size_comparison", AnyOf(*(op(n) for n in ("lt", "le", "gt", "ge", "eq", "ne"))),
        _comparison, _sized,
    ),
    _rule("size_extreme", AnyOf(op("maximum"), op("minimum")), _extreme, _sized),
    _rule("size_quotient", op("int_div"), _quotient, _sized),
)  # fmt: skip
