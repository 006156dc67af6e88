"""Accumulators in lanes: where they start, how they are kept exact, how lanes are combined."""

from __future__ import annotations

import math
from collections.abc import Callable

from croton.kernel import build
from croton.kernel.lanes import size_of
from croton.kernel.nodes import Assign, Best, Expr, Let, Local, Op, Stmt, Var

#: What gives a fresh name like another one.
Names = Callable[[str], str]


class Sum:
    """Where the sums of finished runs go: their total, and what it lost by rounding."""

    def __init__(self, run: Var, names: Names) -> None:
        self.run = run
        self.total = Var(names(f"{run.name}_total"), run.dtype, run.lanes)
        self.lost = Var(names(f"{run.name}_lost"), run.dtype, run.lanes)
        self.zero = build.const(-0.0, run.dtype, run.lanes)

    def start(self) -> list[Stmt]:
        """Nothing yet."""
        return [Local(self.total, self.zero), Local(self.lost, self.zero)]

    def flush(self, names: Names) -> list[Stmt]:
        """Add the run to the total, and the exact error of that to what is lost."""
        run, total, lost = self.run, self.total, self.lost
        new = Var(names(f"{run.name}_new"), run.dtype, run.lanes)
        part = Var(names(f"{run.name}_part"), run.dtype, run.lanes)
        of_total = _exact("sub", total, _exact("sub", new, part))
        of_run = _exact("sub", run, part)
        return [
            Let(new, _exact("add", total, run)),
            Let(part, _exact("sub", new, total)),
            Assign(lost, _exact("add", lost, _exact("add", of_total, of_run))),
            Assign(total, new),
            Assign(run, self.zero),
        ]

    def finish(self) -> Stmt:
        """All of it back into the run; a total of infinity, or of zeros, has lost nothing."""
        total, zero = self.total, build.const(0.0, self.total.dtype)
        finite = build.op("eq", _exact("sub", total, total), zero)
        some = build.op("and", finite, build.op("ne", self.lost, zero))
        whole = build.select(some, _exact("add", total, self.lost), total)
        return Assign(self.run, _exact("add", self.run, whole))


def _exact(name: str, a: Expr, b: Expr) -> Expr:
    return Op(name, (a, b), a.dtype, a.lanes, ("exact",))


def fold(family: str, value: Expr, lanes: int) -> Expr:
    """Halves of ``value`` combined until it has ``lanes`` lanes."""
    while value.lanes > lanes:
        value = build.op(family, _half(value, 0), _half(value, 1))
    return value


def fold_best(
    best: Best, value: Expr, where: Expr, lanes: int, names: Names
) -> tuple[list[Stmt], Expr, Expr]:
    """The same for a best value and its place; of equals the first place wins."""
    result: list[Stmt] = []

    def named(like: Var, e: Expr) -> Var:
        var = Var(names(f"{like.name}_half"), e.dtype, e.lanes)
        result.append(Let(var, e))
        return var

    while value.lanes > lanes:
        a, b = (named(best.var, _half(value, k)) for k in (0, 1))
        i, j = (named(best.where, _half(where, k)) for k in (0, 1))
        better = build.op("gt" if best.largest else "lt", b, a)
        same = build.op("eq", a, b)
        if "float" in value.dtype:
            a_nan, b_nan = build.op("ne", a, a), build.op("ne", b, b)
            only = build.op("and", b_nan, build.op("not", a_nan))
            better = build.op("or", better, only)
            same = build.op("or", same, build.op("and", a_nan, b_nan))
        earlier = build.op("and", same, build.op("lt", j, i))
        test = Var(names("better"), "bool", a.lanes)
        result.append(Let(test, build.op("or", better, earlier)))
        value = named(best.var, build.select(test, b, a))
        where = named(best.where, build.select(test, j, i))
    return result, value, where


def _half(value: Expr, which: int) -> Expr:
    count = value.lanes // 2
    return build.shuffle(value, value, tuple(range(which * count, (which + 1) * count)))


REDUCTIONS = {
    "add": "add",
    "mul": "mul",
    "maximum": "max",
    "minimum": "min",
    "and": "and",
    "or": "or",
    "xor": "xor",
}


def identity(family: str, dtype: str) -> float | int | bool:
    """What changes nothing when it is combined."""
    if family == "mul":
        return True if dtype == "bool" else 1
    if family == "add":
        return -0.0 if "float" in dtype else 0
    if family in ("or", "xor"):
        return False if dtype == "bool" else 0
    if family == "and":
        return (
            True if dtype == "bool" else (-1 if dtype[0] == "i" else (1 << 8 * size_of(dtype)) - 1)
        )
    low, high = _ends(dtype)
    return low if family == "maximum" else high


def _ends(dtype: str) -> tuple[float | int, float | int]:
    if dtype == "bool":
        return False, True
    if "float" in dtype:
        return -math.inf, math.inf
    bits = 8 * size_of(dtype)
    if dtype[0] == "u":
        return 0, (1 << bits) - 1
    return -(1 << bits - 1), (1 << bits - 1) - 1
