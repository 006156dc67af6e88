"""The innermost loop: a block of the product in registers, summed over the inner index.

The sums of a few rows and one or two vectors of columns stay in registers while
the inner index runs.  Elements of the left factor are read one by one into all
lanes; rows of the right factor are read as vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, broadcast, const, index, mul, op, sub
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
    Prefetch,
    Stmt,
    Store,
    Var,
)

#: The inner index.
STEP = Var("step")


class Left(NamedTuple):
    """Element (i, k) of the left factor is ``buffer[start + row + k * pitch]``.

    ``groups`` are starts with the rows that are reached from there, from the first to the last.
    """

    buffer: Buffer
    groups: tuple[tuple[Expr, tuple[Expr, ...]], ...]
    pitch: Expr

    @property
    def height(self) -> int:
        """How many rows there are."""
        return sum(len(rows) for _, rows in self.groups)


class Rows(NamedTuple):
    """Element (i, k) of the left factor is ``buffers[i // n][k + offsets[i % n]]`` for n offsets.

    The first offset is 0.  Each buffer, and each offset, takes a register.
    """

    buffers: tuple[Buffer, ...]
    offsets: tuple[Expr, ...]
    height: int


class Right(NamedTuple):
    """Element (k, j) is ``buffer[start + k * pitch + j]``; ``masks``: of the last vectors.

    ``padded``: a block that keeps no copy finds something in all lanes, and needs no masks,
    which cost an instruction more.
    """

    buffer: Buffer
    start: Expr
    pitch: Expr
    masks: tuple[Expr, ...]
    padded: bool = False


class Given(NamedTuple):
    """Where ``when`` holds, ``buffer[start + i * pitch + j]`` is added to element (i, j)."""

    when: Expr
    buffer: Buffer
    start: Expr
    pitch: Expr


class Target(NamedTuple):
    """Element (i, j) of the result is ``buffer[start + i * pitch + j]``.

    Where there may be something to ``add``, that is asked for in the beginning, and so is the
    result, always or where it is ``far``.
    """

    buffer: Buffer
    start: Expr
    pitch: Expr
    add: Given | None = None
    far: Expr | None = None


class Ahead(NamedTuple):
    """What each step asks for where ``when`` holds, in a loop of its own as for :class:`Keep`."""

    when: Expr
    asks: Body


class Keep(NamedTuple):
    """Where ``when`` holds, rows of the right factor are kept in ``buffer``, ``pitch`` apart.

    The block that reads them first so makes the copy that the next ones read.  It has a loop of
    its own, and the others' loop no condition.
    """

    when: Expr
    buffer: Buffer
    pitch: int


class Shape(NamedTuple):
    """A block's vectors of columns, their lanes, and its sums per element.

    With two sums per element, for even and for odd steps, there are enough of them
    to keep the machine's adders busy where a block is small.
    """

    vectors: int
    lanes: int
    phases: int = 1


def block(
    shape: Shape,
    depth: Expr,
    left: Left | Rows,
    right: Right,
    target: Target,
    keep: Keep | None = None,
    every_step: Body = (),
    ahead: Ahead | None = None,
) -> Body:
    """One block of the product; ``every_step`` runs along with the inner index.

    A block that keeps a copy asks for what is ``ahead`` as well, and any block where it says so.
    """
    vectors, lanes, phases = shape
    dtype, height = right.buffer.dtype, left.height
    sums = [
        [[Var(f"s{i}_{v}_{p}", dtype, lanes) for v in range(vectors)] for i in range(height)]
        for p in range(phases)
    ]
    lines = [Var(f"line{i}") for i in range(height)]
    places = [
        (s, add(line, index(v * lanes)))
        for line, row_sums in zip(lines, sums[0], strict=True)
        for v, s in enumerate(row_sums)
    ]
    body: list[Stmt] = _lines(lines, target.start, target.pitch)
    body += [Local(s, const(0.0, dtype, lanes)) for phase in sums for row in phase for s in row]
    if target.add is not None:
        # A row may begin within a cache line.
        itemsize = 4 if dtype == "float32" else 8
        apart = [index(at // itemsize) for at in range(0, vectors * lanes * itemsize, 64)]
        stored = [
            Prefetch(target.buffer, add(line, at), write=True) for line in lines for at in apart
        ]
        body += stored if target.far is None else [If(target.far, tuple(stored))]
        given = [Var(f"given{i}") for i in range(height)]
        body += _lines(given, target.add.start, target.add.pitch)
        asked = tuple(Prefetch(target.add.buffer, add(line, at)) for line in given for at in apart)
        body.append(If(target.add.when, asked))
    groups = left.groups if isinstance(left, Left) else ()
    offsets = left.offsets[1:] if isinstance(left, Rows) else ()
    along = [Var(f"x_along{i}") for i in range(len(offsets))]
    body += [Local(at, offset) for at, offset in zip(along, offsets, strict=True)]
    starts = [Var(f"x_at{g}") for g in range(len(groups))]
    y_at = Var("y_at")
    body += [Local(at, start) for at, (start, _) in zip(starts, groups, strict=True)]
    body.append(Local(y_at, right.start))
    unmasked = [None] * vectors
    masks = (*unmasked[len(right.masks) :], *right.masks)

    def elements(number: Expr) -> list[Load]:
        if isinstance(left, Rows):
            at = [number, *along]
            return [Load(left.buffers[i // len(at)], at[i % len(at)]) for i in range(left.height)]
        pairs = zip(starts, left.groups, strict=True)
        return [Load(left.buffer, add(at, row)) for at, (_, group) in pairs for row in group]

    def step(turn: int, number: Expr, keeps: bool) -> list[Stmt]:
        columns = [Var(f"y{v}_{turn}", dtype, lanes) for v in range(vectors)]
        there = unmasked if right.padded and not keeps else masks
        found: list[Stmt] = [
            Let(y, Load(right.buffer, add(y_at, index(v * lanes)), lanes, mask))
            for v, (y, mask) in enumerate(zip(columns, there, strict=True))
        ]
        if keep is not None and keeps:
            kept = mul(number, index(keep.pitch))
            stores = tuple(
                Store(keep.buffer, add(kept, index(v * lanes)), y) for v, y in enumerate(columns)
            )
            found += stores
        for element, row_sums in zip(elements(number), sums[turn % phases], strict=True):
            x = broadcast(element, lanes)
            found += [
                Assign(s, op("add", op("mul", x, y), s))
                for s, y in zip(row_sums, columns, strict=True)
            ]
        pitch = left.pitch if isinstance(left, Left) else index(1)
        found += [Assign(at, add(at, pitch)) for at in (*starts, *along)]
        return [*found, Assign(y_at, add(y_at, right.pitch))]

    last = sub(depth, index(1))
    odd = op("ne", op("and", depth, index(1)), index(0))

    def loop(keeps: bool, asks: Body, pairs: bool) -> Body:
        """All steps; in ``pairs`` they share what is counted and asked for."""
        numbers = [STEP, add(STEP, index(1))] if pairs else [STEP]
        steps = [s for turn, number in enumerate(numbers) for s in step(turn, number, keeps)]
        if not pairs:
            return (For(STEP, index(0), depth, (*asks, *steps)),)
        return (
            For(STEP, index(0), last, (*asks, *steps), step=index(2)),
            If(odd, tuple(step(0, last, keeps))),
        )

    asking = (*(ahead.asks if ahead else ()), *every_step)
    plain = loop(False, every_step, phases == 2 or ahead is not None)
    # Blocks of two phases are few: a loop less to compile.
    if ahead is not None:
        both = loop(False, asking, phases == 2)
        plain = both if phases == 2 else (If(ahead.when, both, plain),)
    body += plain if keep is None else (If(keep.when, loop(True, asking, phases == 2), plain),)
    if phases == 2:
        body += [
            Assign(s, op("add", s, other))
            for row, others in zip(*sums, strict=True)
            for s, other in zip(row, others, strict=True)
        ]
    if target.add is not None:
        there = [
            Assign(s, op("add", s, Load(target.add.buffer, add(line, index(v * lanes)), lanes)))
            for line, row_sums in zip(given, sums[0], strict=True)
            for v, s in enumerate(row_sums)
        ]
        body.append(If(target.add.when, tuple(there)))
    body += [Store(target.buffer, at, s) for s, at in places]
    return tuple(body)


def _lines(names: Sequence[Var], start: Expr, pitch: Expr) -> list[Stmt]:
    """Where each row begins."""
    return [Let(v, add(names[i - 1], pitch) if i else start) for i, v in enumerate(names)]
