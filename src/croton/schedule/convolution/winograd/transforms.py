"""A matrix of constants times vectors of registers, in few operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from croton.kernel.build import add, const, mul, sub
from croton.kernel.nodes import Expr, Let, Stmt, Var
from croton.schedule.convolution.winograd.matrices import Matrix

Row = Sequence[Fraction]


def transform(matrix: Matrix, values: Sequence[Expr], name: str) -> tuple[list[Stmt], list[Expr]]:
    """``matrix`` times ``values``: statements, and the results.  Variables begin with ``name``.

    Points of opposite sign make columns, or rows, that differ in some signs only: such values
    are added and subtracted once, such results share their parts.
    """
    body: list[Stmt] = []
    columns, values = [list(c) for c in zip(*matrix, strict=True)], list(values)
    for k, other in list(_pairs(columns)):
        both, between = (Var(f"{name}{v}{k}", values[k].dtype, values[k].lanes) for v in "pm")
        body.append(Let(both, add(values[k], values[other])))
        body.append(Let(between, sub(values[k], values[other])))
        values[k], values[other] = both, between
        columns[k], columns[other] = (
            [a if (a == b) == same else Fraction(0) for a, b in _zip(columns[k], columns[other])]
            for same in (True, False)
        )
    rows = list(zip(*columns, strict=True))
    found: dict[int, Expr] = {}
    for i, other in _pairs(rows):
        same = [a if a == b else Fraction(0) for a, b in _zip(rows[i], rows[other])]
        apart = [a if a != b else Fraction(0) for a, b in _zip(rows[i], rows[other])]
        scale = next(a for a in reversed(apart) if a)
        even, odd = (Var(f"{name}{v}{i}", values[0].dtype, values[0].lanes) for v in "eo")
        body.append(Let(even, _combine(same, values)))
        body.append(Let(odd, _combine([a / scale for a in apart], values)))
        found[i] = _more(even, scale, odd)
        found[other] = _more(even, -scale, odd)
    for i, row in enumerate(rows):
        if i not in found:
            found[i] = _combine(row, values)
    results = [Var(f"{name}{i}", values[0].dtype, values[0].lanes) for i in range(len(rows))]
    body += [Let(result, found[i]) for i, result in enumerate(results)]
    return body, list(results)


def _zip(a: Row, b: Row) -> Iterator[tuple[Fraction, Fraction]]:
    return zip(a, b, strict=True)


def _pairs(lines: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Lines, each in one pair at most, that have some equal and some opposite elements."""
    taken: set[int] = set()
    for i, j in combinations(range(len(lines)), 2):
        if i in taken or j in taken or any(abs(a) != abs(b) for a, b in _zip(lines[i], lines[j])):
            continue
        if len({a == b for a, b in _zip(lines[i], lines[j]) if a}) == 2:
            taken |= {i, j}
            yield i, j


def _combine(row: Row, values: Sequence[Expr]) -> Expr:
    """The sum of each value times its coefficient."""
    terms = sorted(((a, v) for a, v in zip(row, values, strict=True) if a), key=lambda t: t[0] != 1)
    (first, value), *rest = terms
    result = value if first == 1 else mul(_constant(first, value), value)
    for factor, value in rest:
        result = _more(result, factor, value)
    return result


def _more(base: Expr, factor: Fraction, value: Expr) -> Expr:
    """``base + factor * value``."""
    if factor == 1:
        return add(base, value)
    if factor == -1:
        return sub(base, value)
    return add(mul(_constant(factor, value), value), base)


def _constant(factor: Fraction, like: Expr) -> Expr:
    return const(float(factor), like.dtype, like.lanes)
