"""Versions of a vector loop: without the conditions that are the same in all of its lanes.

At the border of an image loads have conditions, and which windows hold an element depends on its
position modulo the stride.  Both are known before the loop over the lanes begins.  So there is
a version of the loop for each remainder, without conditions, and the loop as it was for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from croton.kernel import build
from croton.kernel.nodes import (
    Assign,
    Body,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Op,
    Stmt,
    Store,
    Var,
    walk_statements,
)
from croton.kernel.text import expression_text

#: No more versions than these, apart from the loop as it was.
_MOST = 9
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
}


class Remainder(NamedTuple):
    """A variable is ``quotient * divisor + rest``."""

    quotient: Var
    divisor: int
    rest: int


def versions(loop: For, fresh: Callable[[str], str]) -> Body:
    """``loop`` as statements that choose among its versions; alone if there are none."""
    bound = {loop.var.name, *_bound(loop.body)}
    divided = _divided(loop.body, bound)
    if math.prod(s for _, s in divided) > _MOST:
        divided = []
    lets: list[Stmt] = []
    quotients = []
    for v, s in divided:
        q = Var(fresh(f"{v.name}_by"))
        lets.append(Let(q, build.op("floordiv", v, build.index(s))))
        quotients.append(q)
    result: Body = (loop,)
    found = False
    for rests in product(*(range(s) for _, s in divided)):
        known = {
            v.name: Remainder(q, s, r)
            for (v, s), q, r in zip(divided, quotients, rests, strict=True)
        }
        conditions = _Rewriter(known, bound, None)
        _rewritten(loop.body, conditions)
        assumed = conditions.conditions
        tests = [
            build.op("eq", build.sub(v, build.mul(q, build.index(s))), build.index(r))
            for (v, s), q, r in zip(divided, quotients, rests, strict=True)
        ]
        tests += assumed.values()
        if not tests:
            continue
        found = True
        fast = _rewritten(loop.body, _Rewriter(known, bound, frozenset(assumed)))
        version = For(loop.var, loop.start, loop.stop, fast, loop.kind, loop.step)
        test = tests[0]
        for t in tests[1:]:
            test = build.op("and", test, t)
        result = (If(test, (version,), result),)
    return (*lets, *result) if found else (loop,)


def _bound(body: Body) -> Iterator[str]:
    for s in walk_statements(body):
        if isinstance(s, Let | Local | For):
            yield s.var.name


def _expressions(body: Body) -> Iterator[Expr]:
    """All expressions in values and indices of what is stored or named, each once."""
    done: set[int] = set()
    stack: list[Expr] = []
    for s in walk_statements(body):
        if isinstance(s, Let | Local | Assign | Store):
            stack.append(s.value)
    while stack:
        e = stack.pop()
        if id(e) in done:
            continue
        done.add(id(e))
        yield e
        if isinstance(e, Op):
            stack.extend(e.args)
        elif isinstance(e, Load):
            stack.append(e.index)
            if e.mask is not None:
                stack.append(e.mask)


def _divided(body: Body, bound: set[str]) -> list[tuple[Var, int]]:
    """Variables from outside that are taken modulo a small number in some condition."""
    found: dict[tuple[str, int], tuple[Var, int]] = {}
    for e in _expressions(body):
        # i + pad - (i + pad) // s * s
        if not (isinstance(e, Op) and e.name == "sub" and _is_multiple(e.args[1])):
            continue
        multiple: Any = e.args[1]
        quotient, divisor = multiple.args
        total, by = quotient.args
        if isinstance(total, Op) and total.name == "add" and isinstance(total.args[1], Const):
            total = total.args[0]
        if isinstance(total, Var) and total.name not in bound and by.value == divisor.value:
            found[total.name, int(by.value)] = total, int(by.value)
    names = [name for name, _ in found]
    # A variable with two divisors is left alone.
    return [pair for (name, _), pair in found.items() if names.count(name) == 1]


def _is_multiple(e: Expr) -> bool:
    if not (isinstance(e, Op) and e.name == "mul" and isinstance(e.args[1], Const)):
        return False
    quotient = e.args[0]
    return (
        isinstance(quotient, Op)
        and quotient.name == "floordiv"
        and isinstance(quotient.args[1], Const)
    )


class _Rewriter:
    """Expressions with remainders put in, and what follows from them.

    Conditions that are the same in all lanes are noted in ``conditions`` by
    their text; those in ``assumed`` are taken to be true.
    """

    def __init__(
        self,
        known: Mapping[str, Remainder],
        bound: set[str],
        assumed: frozenset[str] | None,
    ) -> None:
        self.known = known
        self.bound = bound
        self.assumed = assumed or frozenset()
        self.conditions: dict[str, Expr] = {}
        self._done: dict[int, Expr] = {}
        self._keep: list[Expr] = []

    def __call__(self, e: Expr) -> Expr:
        found = self._done.get(id(e))
        if found is None:
            found = self._done[id(e)] = self._make(e)
            self._keep.append(e)
        return found

    def _make(self, e: Expr) -> Expr:
        if isinstance(e, Load):
            mask = None if e.mask is None else self.condition(e.mask)
            if isinstance(mask, Const):
                if not mask.value:
                    return build.const(0, e.dtype, e.lanes)
                mask = None
            return Load(e.buffer, self(e.index), e.lanes, mask)
        if not isinstance(e, Op):
            return e
        if e.dtype == "int64":
            linear = self.linear(e)
            if linear is not None:
                return _expression(linear)
        if e.name == "select":
            test = self.condition(e.args[0])
            if isinstance(test, Const):
                return self(e.args[1 if test.value else 2])
            return Op(e.name, (test, self(e.args[1]), self(e.args[2])), e.dtype, e.lanes, e.attrs)
        args = tuple(self(a) for a in e.args)
        if e.name == "add":
            # Zeros that have come up stand for windows that do not hold the element.
            for a, b, old in ((*args, e.args[1]), (*args[::-1], e.args[0])):
                if isinstance(b, Const) and b.value == 0 and not isinstance(old, Const):
                    return a
        return Op(e.name, args, e.dtype, e.lanes, e.attrs)

    def condition(self, e: Expr) -> Expr:
        """A condition, true where it is assumed to be."""
        if isinstance(e, Op) and e.name == "and":
            a, b = (self.condition(x) for x in e.args)
            for x, y in ((a, b), (b, a)):
                if isinstance(x, Const):
                    return y if x.value else x
            return build.op("and", a, b)
        if isinstance(e, Op) and e.name in _COMPARISONS and e.args[0].dtype == "int64":
            left, right = (self.linear(x) for x in e.args)
            if left is not None and right is not None and not left[0] and not right[0]:
                return build.const(_COMPARISONS[e.name](left[1], right[1]), "bool")
            if self._is_uniform(e):
                known = self(e)
                text = expression_text(known)
                if text in self.assumed:
                    return build.const(True, "bool")
                self.conditions[text] = known
                return known
        return self(e)

    def _is_uniform(self, e: Expr) -> bool:
        if isinstance(e, Var):
            return e.name not in self.bound
        if isinstance(e, Op):
            return all(self._is_uniform(a) for a in e.args)
        return isinstance(e, Const)

    def linear(self, e: Expr) -> tuple[dict[str, int], int] | None:
        """Factors of variables, and a rest; None for what is not such a sum."""
        if isinstance(e, Const):
            return {}, int(e.value)
        if isinstance(e, Var):
            at = self.known.get(e.name)
            if at is None:
                return {e.name: 1}, 0
            return {at.quotient.name: at.divisor}, at.rest
        if not isinstance(e, Op) or e.name not in ("add", "sub", "mul", "floordiv"):
            return None
        a, b = (self.linear(x) for x in e.args)
        if a is None or b is None:
            return None
        if e.name in ("add", "sub"):
            sign = 1 if e.name == "add" else -1
            total = dict(a[0])
            for name, factor in b[0].items():
                total[name] = total.get(name, 0) + sign * factor
            return {k: f for k, f in total.items() if f}, a[1] + sign * b[1]
        if e.name == "mul":
            if a[0]:
                a, b = b, a
            if a[0]:
                return None
            return {k: f * a[1] for k, f in b[0].items() if a[1]}, a[1] * b[1]
        if b[0] or b[1] < 1 or any(f % b[1] for f in a[0].values()):
            return None
        return {k: f // b[1] for k, f in a[0].items()}, a[1] // b[1]


def _expression(linear: tuple[dict[str, int], int]) -> Expr:
    total: Expr = build.index(0)
    for name, factor in linear[0].items():
        total = build.add(total, build.mul(Var(name), build.index(factor)))
    rest = build.index(abs(linear[1]))
    return build.sub(total, rest) if linear[1] < 0 else build.add(total, rest)


def _rewritten(body: Sequence[Stmt], rewrite: _Rewriter) -> Body:
    result: list[Stmt] = []
    for s in body:
        if isinstance(s, Store):
            mask = None if s.mask is None else rewrite(s.mask)
            s = Store(s.buffer, rewrite(s.index), rewrite(s.value), mask, s.nontemporal)
        elif isinstance(s, Let | Local | Assign):
            s = type(s)(s.var, rewrite(s.value))
        elif isinstance(s, For):
            start, stop, step = (rewrite(e) for e in (s.start, s.stop, s.step))
            s = For(s.var, start, stop, _rewritten(s.body, rewrite), s.kind, step)
        elif isinstance(s, If):
            then, otherwise = (_rewritten(b, rewrite) for b in (s.body, s.orelse))
            s = If(rewrite(s.condition), then, otherwise)
        result.append(s)
    return tuple(result)
