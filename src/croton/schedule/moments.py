"""Kernel code for squared deviations: shifted sums in a chunk, and the chunks combined.

A chunk of ``n`` elements keeps the sums s1 and s2 of ``d`` and ``d * d``, where
``d = x - shift`` and the shift is its first element.  Its mean is
``shift + s1 / n`` and its squared deviations are ``s2 - s1 * s1 / n``.
"""

from __future__ import annotations

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import Assign, Buffer, Expr, Let, Load, Local, Stmt, Store, Var
from croton.tensor.deviations import SquaredDeviations


def is_moment(v: Variable) -> bool:
    """Whether ``v`` is a sum of squared deviations."""
    return v.owner is not None and isinstance(v.owner.op, SquaredDeviations)


def close(s1: Expr, s2: Expr, shift: Expr, count: Expr) -> tuple[Expr, Expr]:
    """The mean and the squared deviations of a chunk."""
    part = build.op("div", s1, count)
    mean = build.op("add", shift, part)
    squares = build.op("sub", s2, build.op("mul", s1, part))
    return mean, build.op("maximum", squares, build.const(0.0, squares.dtype))


class Combined:
    """The running count, mean and squared deviations of the chunks so far, in float64."""

    def __init__(self, name: str) -> None:
        self.count = Var(f"{name}_n", "float64")
        self.mean = Var(f"{name}_mean", "float64")
        self.squares = Var(f"{name}_squares", "float64")

    def begin(self) -> list[Stmt]:
        """Nothing so far."""
        zero = build.const(0.0, "float64")
        return [Local(v, zero) for v in (self.count, self.mean, self.squares)]

    def add(self, count: Expr, mean: Expr, squares: Expr) -> list[Stmt]:
        """One chunk more."""
        op = build.op
        delta = op("sub", mean, self.mean)
        total = op("add", self.count, count)
        share = op("div", count, total)
        between = op("mul", op("mul", delta, delta), op("mul", self.count, share))
        some = op("gt", count, build.const(0.0, "float64"))
        new_squares = op("add", op("add", self.squares, squares), between)
        new_mean = op("add", self.mean, op("mul", delta, share))
        squares_name = Var(self.squares.name + "_next", "float64")
        mean_name = Var(self.mean.name + "_next", "float64")
        return [
            Let(squares_name, build.select(some, new_squares, self.squares)),
            Let(mean_name, build.select(some, new_mean, self.mean)),
            Assign(self.squares, squares_name),
            Assign(self.mean, mean_name),
            Assign(self.count, total),
        ]


def column_close(s1: Buffer, s2: Buffer, place: Expr, shift: Expr, count: Expr) -> list[Stmt]:
    """For one column of a chunk: the sums in memory become its mean and squared deviations."""
    first, second = Var("sum_of_d", s1.dtype), Var("sum_of_squares", s2.dtype)
    mean, squares = close(first, second, shift, count)
    return [
        Let(first, Load(s1, place)),
        Let(second, Load(s2, place)),
        Store(s1, place, mean),
        Store(s2, place, squares),
    ]
