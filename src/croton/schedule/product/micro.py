"""The innermost loop: a block of the product in registers, summed over the inner index.

The sums of a few rows and one or two vectors of columns stay in registers while
the inner index runs.  Elements of the left factor are read one by one into all
lanes; rows of the right factor are read as vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, broadcast, const, index, mul, op
from croton.kernel.nodes import (
    Advance,
    Assign,
    Body,
    Buffer,
    Cursor,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Prefetch,
    Reload,
    Stmt,
    Store,
    Var,
)
from croton.schedule.product.left import Apart, Rows, Strip

Left = Apart | Strip | Rows

#: The inner index.
STEP = Var("step")


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


class Asked(NamedTuple):
    """Each step asks for ``buffer[start + k * pitch]``, which ``cursor`` stands at."""

    cursor: Buffer
    buffer: Buffer
    start: Expr
    pitch: Expr
    level: int = 1


class Ahead(NamedTuple):
    """What each step asks for where ``when`` holds, in a loop of its own as for :class:`Keep`."""

    when: Expr
    asks: Asked


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
    to keep the machine's adders busy where a block is small.  ``embeds``: elements of the
    left factor may be operands in memory, which saves the instructions that load them.
    """

    vectors: int
    lanes: int
    phases: int = 1
    embeds: bool = False


def block(
    shape: Shape,
    depth: Expr,
    left: Left,
    right: Right,
    target: Target,
    keep: Keep | None = None,
    asked: Asked | None = None,
    ahead: Ahead | None = None,
    first: Left | None = None,
) -> Body:
    """One block of the product; what is ``asked`` for, is so along with the inner index.

    A block that keeps a copy asks for what is ``ahead`` as well, and any block where it says so.
    These read the left factor by ``first``, which takes fewer registers.
    """
    vectors, lanes, phases, embeds = shape
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
        added = target.add.buffer
        summands = tuple(Prefetch(added, add(line, at)) for line in given for at in apart)
        body.append(If(target.add.when, summands))
    here = Buffer("y_here", dtype)
    unmasked = [None] * vectors
    masks = (*unmasked[len(right.masks) :], *right.masks)

    def step(turn: int, together: int, keeps: bool, left: Left) -> list[Stmt]:
        most = height * left.operands // 8 if embeds else 0
        operands = {i * height // most for i in range(most)}
        columns = [Var(f"y{v}_{turn}", dtype, lanes) for v in range(vectors)]
        there = unmasked if right.padded and not keeps else masks
        found: list[Stmt] = [
            Let(y, Load(here, index(v * lanes), lanes, mask))
            for v, (y, mask) in enumerate(zip(columns, there, strict=True))
        ]
        if keep is not None and keeps:
            kept = mul(add(STEP, index(turn)), index(keep.pitch))
            found += [
                Store(keep.buffer, add(kept, index(v * lanes)), y) for v, y in enumerate(columns)
            ]
        elements = left.elements(turn)

        def multiplied(i: int, v: int) -> Stmt:
            s = sums[turn % phases][i][v]
            return Assign(s, op("add", op("mul", broadcast(elements[i], lanes), columns[v]), s))

        for i in range(height):
            for v in range(vectors):
                if v and i in operands:
                    # An operand in memory is used once.
                    found.append(Reload())
                found.append(multiplied(i, v))
        return [*found, *left.move(turn, together), Advance(here, right.pitch)]

    def ask(asks: tuple[Asked, ...], together: int) -> list[Stmt]:
        """What some steps ask for; one line holds it."""
        found: list[Stmt] = []
        for a in asks:
            steps = mul(a.pitch, index(together))
            found += [Prefetch(a.cursor, index(0), level=a.level), Advance(a.cursor, steps)]
        return found

    def loop(left: Left, keeps: bool, asks: tuple[Asked, ...], together: int) -> Body:
        """All steps, of which some run ``together``: they share what is counted and asked for."""
        begin = (
            *left.begin(),
            Cursor(here, right.buffer, right.start),
            *(Cursor(a.cursor, a.buffer, a.start) for a in asks),
        )
        if together == 1:
            return (*begin, For(STEP, index(0), depth, (*ask(asks, 1), *step(0, 1, keeps, left))))
        steps: list[Stmt] = []
        for turn in range(together):
            steps += ask(asks, 2) if turn % 2 == 0 else ()
            steps += step(turn, together, keeps, left)
        whole = op("and", depth, index(-together))
        return (
            *begin,
            For(STEP, index(0), whole, tuple(steps), step=index(together)),
            For(STEP, whole, depth, tuple(step(0, 1, keeps, left))),
        )

    pairs, early = 2 if phases == 2 else 1, first or left
    everywhere = () if asked is None else (asked,)
    asking = (ahead.asks, *everywhere) if ahead else everywhere
    plain = loop(left, False, everywhere, pairs if keep is None or phases == 2 else left.together)
    # Blocks of two phases are few: a loop less to compile.
    if ahead is not None:
        both = loop(early, False, asking, pairs)
        plain = both if phases == 2 else (If(ahead.when, both, plain),)
    if keep is not None:
        # Few blocks keep a copy, of the largest kind for the most part.
        together = pairs if height * vectors <= 16 else early.together
        plain = (If(keep.when, loop(early, True, asking, together), plain),)
    body += plain
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
