"""The rows of a loop nest: a range of their numbers as loops over their indices."""

from __future__ import annotations

from collections.abc import Sequence

from croton.kernel import build
from croton.kernel.nodes import Body, Expr, For, Let, Stmt, Var


def over_rows(
    first: Expr, last: Expr, body: Body, names: Sequence[Var], extents: Sequence[Expr]
) -> list[Stmt]:
    """``body`` for the rows from ``first`` to ``last``, whose indices have ``names``.

    A line of rows, along the last of their axes, is gone through at a time:
    the other indices, which take divisions, are found once for each line.
    """
    if len(names) == 1:
        return [For(names[0], first, last, body)]
    line, n = Var("line"), extents[-1]
    before = build.mul(line, n)
    begin = build.op("maximum", build.sub(first, before), build.index(0))
    end = build.op("minimum", build.sub(last, before), n)
    inner = (*decode(line, names[:-1], extents[:-1]), For(names[-1], begin, end, body))
    stop = build.op("floordiv", build.add(last, build.sub(n, build.index(1))), n)
    return [For(line, build.op("floordiv", first, n), stop, inner)]


def decode(row: Expr, names: Sequence[Var], extents: Sequence[Expr]) -> list[Stmt]:
    """The indices, called ``names``, of the row of that number."""
    found: list[Stmt] = []
    rest: Expr = row
    for name, n in zip(reversed(names[1:]), reversed(extents[1:]), strict=True):
        found.append(Let(name, build.op("mod", rest, n)))
        quotient = Var(f"{name.name}_rest")
        found.append(Let(quotient, build.op("floordiv", rest, n)))
        rest = quotient
    found.append(Let(names[0], rest))
    return found
