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
    """Element (k, j) is ``buffer[start + k * pitch + j]``; ``masks``: of the last vectors."""

    buffer: Buffer
    start: Expr
    pitch: Expr
    masks: tuple[Expr, ...]


class Target(NamedTuple):
    """Element (i, j) of the result is ``buffer[start + i * pitch + j]``.

    Where ``add`` holds, the sums start from what is there.
    """

    buffer: Buffer
    start: Expr
    pitch: Expr
    add: Expr | None = None


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
    places = [
        (s, add(add(target.start, mul(index(i), target.pitch)), index(v * lanes)))
        for i, row_sums in enumerate(sums)
        for v, s in enumerate(row_sums)
    ]
    x_at, y_at = Var("x_at"), Var("y_at")
    body: list[Stmt] = [Local(s, const(0.0, dtype, lanes)) for s, _ in places]
    if target.add is not None:
        present = tuple(Assign(s, Load(target.buffer, at, lanes)) for s, at in places)
        body.append(If(target.add, present))
    body += [Local(x_at, left.start), Local(y_at, right.start)]
    columns = [Var(f"y{v}", dtype, lanes) for v in range(vectors)]
    step: list[Stmt] = []
    masks = (*[None] * (vectors - len(right.masks)), *right.masks)
    for v, (y, mask) in enumerate(zip(columns, masks, strict=True)):
        step.append(Let(y, Load(right.buffer, add(y_at, index(v * lanes)), lanes, mask)))
    for at, row_sums in zip(left.rows, sums, strict=True):
        x = broadcast(Load(left.buffer, add(x_at, at)), lanes)
        step += [Assign(s, op("fma", x, y, s)) for s, y in zip(row_sums, columns, strict=True)]
    step += [Assign(x_at, add(x_at, left.pitch)), Assign(y_at, add(y_at, right.pitch))]
    body.append(For(STEP, index(0), depth, (*every_step, *step)))
    body += [Store(target.buffer, at, s) for s, at in places]
    return tuple(body)
