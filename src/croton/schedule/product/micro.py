"""The innermost loop: a block of the product in registers, summed over the inner index.

The sums of a few rows and one or two vectors of columns stay in registers while
the inner index runs.  Elements of the left factor are read one by one into all
lanes; rows of the right factor are read as vectors.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, broadcast, const, index, mul, op
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)

#: The inner index.
STEP = Var("step")


class Left(NamedTuple):
    """Element (i, k) of the left factor is ``buffer[start + rows[i] + k * pitch]``."""

    buffer: Buffer
    start: Expr
    rows: tuple[Expr, ...]
    pitch: Expr


class Right(NamedTuple):
    """Element (k, j) is ``buffer[start + k * pitch + j]``; ``mask``: of the last vector."""

    buffer: Buffer
    start: Expr
    pitch: Expr
    mask: Expr | None


class Target(NamedTuple):
    """Element (i, j) of the result is ``buffer[start + i * pitch + j]``."""

    buffer: Buffer
    start: Expr
    pitch: Expr


def block(
    vectors: int,
    lanes: int,
    depth: Expr,
    left: Left,
    right: Right,
    target: Target,
    every_step: Body = (),
) -> Body:
    """One block of the product; ``every_step`` runs along with the inner index."""
    dtype = left.buffer.dtype
    height = len(left.rows)
    sums = [[Var(f"s{i}_{v}", dtype, lanes) for v in range(vectors)] for i in range(height)]
    x_at, y_at = Var("x_at"), Var("y_at")
    body: list[Stmt] = [Local(s, const(0.0, dtype, lanes)) for row in sums for s in row]
    body += [Local(x_at, left.start), Local(y_at, right.start)]
    columns = [Var(f"y{v}", dtype, lanes) for v in range(vectors)]
    step: list[Stmt] = []
    for v, y in enumerate(columns):
        mask = right.mask if v == vectors - 1 else None
        step.append(Let(y, Load(right.buffer, add(y_at, index(v * lanes)), lanes, mask)))
    for at, row_sums in zip(left.rows, sums, strict=True):
        x = broadcast(Load(left.buffer, add(x_at, at)), lanes)
        step += [Assign(s, op("fma", x, y, s)) for s, y in zip(row_sums, columns, strict=True)]
    step += [Assign(x_at, add(x_at, left.pitch)), Assign(y_at, add(y_at, right.pitch))]
    body.append(For(STEP, index(0), depth, (*every_step, *step)))
    body += [
        Store(target.buffer, add(add(target.start, mul(index(i), target.pitch)), index(v * lanes)), s)
        for i, row_sums in enumerate(sums)
        for v, s in enumerate(row_sums)
    ]
    return tuple(body)
