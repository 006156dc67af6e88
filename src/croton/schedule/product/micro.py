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
    If,
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
    """Element (i, j) of the result is ``buffer[start + rows[i] + j]``.

    Of the last vector only the lanes of ``mask`` are written.  Where ``add``
    holds, the sums are added to what is there.  Where a row appears more than once,
    the sums of its first appearance count.
    """

    buffer: Buffer
    start: Expr
    rows: tuple[Expr, ...]
    mask: Expr | None
    add: Expr


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
    body: list[Stmt] = [Local(s, const(0.0, dtype, lanes)) for row in sums for s in row]
    row = add(right.start, mul(STEP, right.pitch))
    columns = [Var(f"y{v}", dtype, lanes) for v in range(vectors)]
    step: list[Stmt] = [
        Let(y, Load(right.buffer, add(row, index(v * lanes)), lanes, _last(right.mask, v, vectors)))
        for v, y in enumerate(columns)
    ]
    column = add(left.start, mul(STEP, left.pitch))
    for at, row_sums in zip(left.rows, sums, strict=True):
        x = broadcast(Load(left.buffer, add(column, at)), lanes)
        step += [Assign(s, op("fma", x, y, s)) for s, y in zip(row_sums, columns, strict=True)]
    body.append(For(STEP, index(0), depth, (*every_step, *step)))

    places = [
        (s, add(add(target.start, at), index(v * lanes)), _last(target.mask, v, vectors))
        for at, row_sums in zip(target.rows, sums, strict=True)
        for v, s in enumerate(row_sums)
    ]
    present = tuple(
        Assign(s, op("add", s, Load(target.buffer, at, lanes, mask))) for s, at, mask in places
    )
    body.append(If(target.add, present))
    body += [Store(target.buffer, at, s, mask) for s, at, mask in reversed(places)]
    return tuple(body)


def _last(mask: Expr | None, vector: int, vectors: int) -> Expr | None:
    return mask if vector == vectors - 1 else None
