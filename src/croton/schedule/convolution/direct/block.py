"""A block of the result in registers: a few places times one or two vectors of channels."""

from __future__ import annotations

from collections.abc import Sequence
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
    Part,
    Prefetch,
    Stmt,
    Store,
    Var,
)

#: The tap, and the source channel (or the place along a run of them).
TAP, STEP = Var("tap"), Var("step")


class Source(NamedTuple):
    """Element k of place i at tap t is ``buffer[starts[i] + taps[t] + k]``."""

    buffer: Buffer
    starts: Sequence[Expr]
    taps: Buffer


class Panel(NamedTuple):
    """Filters: element (t, k, j) is ``buffer[start + (taps[t] + k) * pitch + j]``."""

    buffer: Buffer
    start: Expr
    taps: Buffer
    pitch: int


class Target(NamedTuple):
    """Element (i, j) is ``buffer[lines[i] + j]``; where ``add`` holds, it is added to."""

    buffer: Buffer
    lines: Sequence[Expr]
    add: Expr


class Ahead(NamedTuple):
    """What is asked for meanwhile: from ``buffer[start]``, ``pace`` further with each step."""

    buffer: Buffer
    start: Expr
    pace: Expr


def block(
    vectors: int,
    lanes: int,
    taps: tuple[Expr, Expr],
    steps: tuple[Expr, Expr],
    source: Source,
    panel: Panel,
    target: Target,
    ahead: Ahead | None = None,
) -> Body:
    """The sums over ``[first, last)`` of the taps and of the steps of each.

    With each step a line of what is ``ahead`` is asked for.
    """
    dtype, height = source.buffer.dtype, len(source.starts)
    sums = [[Var(f"s{i}_{v}", dtype, lanes) for v in range(vectors)] for i in range(height)]
    places = [
        (s, add(line, index(v * lanes)))
        for line, row in zip(target.lines, sums, strict=True)
        for v, s in enumerate(row)
    ]
    first_at = index(0) if ahead is None else mul(steps[0], ahead.pace)
    body: list[Stmt] = [Local(s, const(0.0, dtype, lanes)) for row in sums for s in row]
    body.append(
        If(target.add, tuple(Assign(s, Load(target.buffer, at, lanes)) for s, at in places))
    )
    offset, first = Var("tap_offset"), Var("tap_filters")
    rows = [Var(f"x_at{i}") for i in range(height)]
    columns = [Var(f"filters{v}", dtype, lanes) for v in range(vectors)]
    # Where the loop begins to read it has a pointer, which is not as likely to be put aside.
    y_at, near, later = Var("y_at"), Buffer("filters_near", dtype), Buffer("later", dtype)
    begin = add(panel.start, mul(add(first, steps[0]), index(panel.pitch)))
    step: list[Stmt] = [
        Let(y, Load(near, add(y_at, index(v * lanes)), lanes)) for v, y in enumerate(columns)
    ]
    asked, pace = Var("asked"), Var("pace")
    if ahead is not None:
        body.append(Let(pace, ahead.pace))
        step += [Prefetch(later, asked, level=2), Assign(asked, add(asked, pace))]
    for row, row_sums in zip(rows, sums, strict=True):
        x = broadcast(Load(source.buffer, add(row, STEP)), lanes)
        step += [
            Assign(s, op("add", op("mul", x, y), s)) for s, y in zip(row_sums, columns, strict=True)
        ]
    tap: Body = (
        Let(offset, Load(source.taps, TAP)),
        Let(first, Load(panel.taps, TAP)),
        *(Let(row, add(start, offset)) for row, start in zip(rows, source.starts, strict=True)),
        Part(near, panel.buffer, begin),
        *(
            ()
            if ahead is None
            else (Part(later, ahead.buffer, ahead.start), Local(asked, first_at))
        ),
        Local(y_at, index(0)),
        For(STEP, *steps, (*step, Assign(y_at, add(y_at, index(panel.pitch))))),
    )
    body.append(For(TAP, *taps, tap))
    body += [Store(target.buffer, at, s) for s, at in places]
    return tuple(body)
