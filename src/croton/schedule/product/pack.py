"""Copying a part of a factor so that the innermost loop reads it in order."""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, broadcast, cast, index, mul, op, ramp, shuffle, sub
from croton.kernel.nodes import (
    Body,
    Buffer,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    Stmt,
    Store,
    Var,
)


class Source(NamedTuple):
    """Element (i, k) of the part is ``buffer[start + i * across + k * along]``."""

    buffer: Buffer
    start: Expr
    across: Expr
    along: Expr
    present: Expr
    depth: Expr


class Copy(NamedTuple):
    """Element (i, k) of the copy is ``buffer[start + k * pitch + i]``.

    Lanes of the last vector from ``width`` on are not written; those from the
    number present up to there hold anything.
    """

    buffer: Buffer
    start: Expr
    pitch: Expr
    width: Expr
    lanes: int


GROUP, K = Var("pack_group"), Var("pack_k")
KEPT = "pack_kept"


def pack(source: Source, copy: Copy, masks: bool) -> Body:
    """Make the copy, a vector of neighbours ``i`` at a time."""
    one = index(1)
    lanes = copy.lanes
    kept = Var(KEPT, "bool", lanes)
    body: Body = (
        Let(kept, below(copy.width, GROUP, lanes)),
        If(
            op("eq", source.along, one),
            _turned(source, copy, kept),
            (
                If(
                    op("eq", source.across, one),
                    _straight(source, copy, kept, masks),
                    _gathered(source, copy, kept),
                ),
            ),
        ),
    )
    return (For(GROUP, index(0), copy.width, body, step=index(lanes)),)


def below(limit: Expr, start: Expr, lanes: int) -> Expr:
    """Which of ``start, start + 1, ...`` are below ``limit``."""
    rest = op("minimum", sub(limit, start), index(lanes))
    return op("lt", ramp(Const(0, "int32"), lanes), broadcast(cast(rest, "int32"), lanes))


def _straight(source: Source, copy: Copy, kept: Expr, masks: bool) -> Body:
    there = Var("pack_there", "bool", copy.lanes)
    at = add(add(source.start, GROUP), mul(K, source.along))

    def copies(read: Expr | None, write: Expr | None) -> Stmt:
        value = Load(source.buffer, at, copy.lanes, read)
        return For(K, index(0), source.depth, (Store(copy.buffer, _place(copy, K), value, write),))

    masked: Body = (
        Let(there, below(source.present, GROUP, copy.lanes)),
        copies(there, kept),
    )
    if masks:
        return masked
    whole = op("le", add(GROUP, index(copy.lanes)), op("minimum", source.present, copy.width))
    return (If(whole, (copies(None, None),), masked),)


def _gathered(source: Source, copy: Copy, kept: Expr) -> Body:
    there = Var("pack_there", "bool", copy.lanes)
    places = Var("pack_places", "int64", copy.lanes)
    at = op("add", places, mul(K, source.along))
    load = Load(source.buffer, at, copy.lanes, there)
    return (
        Let(there, below(source.present, GROUP, copy.lanes)),
        Let(
            places,
            op("add", op("mul", ramp(GROUP, copy.lanes), source.across), source.start),
        ),
        For(K, index(0), source.depth, (Store(copy.buffer, _place(copy, K), load, kept),)),
    )


def _turned(source: Source, copy: Copy, kept: Expr) -> Body:
    """Squares of as many vectors as a vector has lanes, transposed in registers."""
    lanes = copy.lanes
    rows = [Var(f"pack_row{i}") for i in range(lanes)]
    mask = Var("pack_there", "bool", lanes)
    last = sub(source.present, index(1))
    head: list[Stmt] = [
        # Lines that are not there are read as the last one that is.
        Let(row, mul(op("minimum", add(GROUP, index(i)), last), source.across))
        for i, row in enumerate(rows)
    ]
    at = add(source.start, K)
    loaded = [Var(f"pack_line{i}", copy.buffer.dtype, lanes) for i in range(lanes)]
    body: list[Stmt] = [Let(mask, below(source.depth, K, lanes))]
    body += [
        Let(value, Load(source.buffer, add(at, row), lanes, mask))
        for value, row in zip(loaded, rows, strict=True)
    ]
    for i, column in enumerate(transpose(list(loaded))):
        inside = op("lt", add(K, index(i)), source.depth)
        store = Store(copy.buffer, _place(copy, add(K, index(i))), column, kept)
        body.append(If(inside, (store,)))
    return (*head, For(K, index(0), source.depth, tuple(body), step=index(lanes)))


def _place(copy: Copy, k: Expr) -> Expr:
    return add(add(copy.start, GROUP), mul(k, copy.pitch))


def transpose(rows: list[Expr]) -> list[Expr]:
    """The columns of a square of as many vectors as each has lanes (a power of two)."""
    lanes = len(rows)
    rows = list(rows)
    step = 1
    while step < lanes:
        low = tuple(lanes + i - step if i & step else i for i in range(lanes))
        high = tuple(lanes + i if i & step else i + step for i in range(lanes))
        for i in range(lanes):
            if not i & step:
                a, b = rows[i], rows[i + step]
                rows[i], rows[i + step] = shuffle(a, b, low), shuffle(a, b, high)
        step *= 2
    return rows
