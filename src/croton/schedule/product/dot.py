"""Products whose factors both lie along the inner index: sums of products, lane by lane.

Where the result has few columns, or few rows, elements of one factor cannot fill
vectors of columns.  Here the lanes go along the inner index, and are added up in
the end.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op, shuffle
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)
from croton.schedule.product.pack import below
from croton.schedule.product.tiling import Tiling

#: Columns of a block.
COLUMNS = 4

_STEP, _WHOLE = Var("dot_step"), Var("dot_whole")


class Lines(NamedTuple):
    """Element k of line i is ``buffer[starts[i] + k]``."""

    buffer: Buffer
    starts: tuple[Var, ...]


def dot_block(t: Tiling, depth: Expr, left: Lines, right: Lines, sums: Buffer) -> Body:
    """Store the products of each line of ``left`` with each of ``right`` to ``sums``, in order."""
    lanes = t.lanes
    totals = [
        [Var(f"d{i}_{j}", t.dtype, lanes) for j in range(len(right.starts))]
        for i in range(len(left.starts))
    ]
    flat = [total for row in totals for total in row]
    there = Var("dot_there", "bool", lanes)

    def step(at: Expr, mask: Expr | None) -> Body:
        found: list[Stmt] = []
        columns = [Var(f"dot_y{j}", t.dtype, lanes) for j in range(len(right.starts))]
        for start, y in zip(right.starts, columns, strict=True):
            found.append(Let(y, Load(right.buffer, add(start, at), lanes, mask)))
        for start, row in zip(left.starts, totals, strict=True):
            x = Load(left.buffer, add(start, at), lanes, mask)
            found += [
                Assign(total, op("add", op("mul", x, y), total))
                for total, y in zip(row, columns, strict=True)
            ]
        return tuple(found)

    body: list[Stmt] = [Local(total, const(0.0, t.dtype, lanes)) for total in flat]
    body += [
        Let(_WHOLE, mul(op("floordiv", depth, index(lanes)), index(lanes))),
        For(_STEP, index(0), _WHOLE, step(_STEP, None), step=index(lanes)),
        If(
            op("lt", _WHOLE, depth),
            (Let(there, below(depth, _WHOLE, lanes)), *step(_WHOLE, there)),
        ),
    ]
    for first in range(0, len(flat), lanes):
        total = add_lanes(list(flat[first : first + lanes]))
        body.append(Store(sums, index(first), total))
    return tuple(body)


def add_lanes(vectors: list[Expr]) -> Expr:
    """One vector with the sum of the lanes of each of as many vectors as each has lanes.

    Each step halves the vectors: of a pair, one half of each group of lanes is for one
    vector's sum, the other half for the other's.
    """
    lanes = vectors[0].lanes
    group = lanes
    while len(vectors) > 1:
        half = group // 2
        groups = range(0, lanes, group)
        low = tuple(i for g in groups for v in (0, lanes) for i in range(v + g, v + g + half))
        high = tuple(i + half for i in low)
        count = len(vectors) // 2
        vectors = [
            op("add", shuffle(a, b, low), shuffle(a, b, high))
            for a, b in zip(vectors[:count], vectors[count:], strict=True)
        ]
        group = half
    return vectors[0]
