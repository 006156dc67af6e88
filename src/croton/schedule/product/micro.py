"""The innermost loop: a block of the product in registers, summed over the inner index.

The sums of a few rows and one or two vectors of columns stay in registers while
the inner index runs.  Elements of the left factor are read one by one into all
lanes; rows of the right factor are read as vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    vectors, lanes, phases, _ = shape
    dtype, height = right.buffer.dtype, left.height
    sums = [
        [[Var(f"s{i}_{v}_{p}", dtype, lanes) for v in range(vectors)] for i in range(height)]
        for p in range(phases)
    ]
    lines = [Var(f"line{i}") for i in range(height)]
    given = [Var(f"given{i}") for i in range(height)]
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
        body += _lines(given, target.add.start, target.add.pitch)
        added = target.add.buffer
        summands = tuple(Prefetch(added, add(line, at)) for line in given for at in apart)
        body.append(If(target.add.when, summands))
    everywhere = () if asked is None else (asked,)
    body += _Steps(shape, depth, right, sums, keep).all(left, first or left, everywhere, ahead)
    if phases == 2:
        body += [
            Assign(s, op("add", s, other))
            for row, others in zip(*sums, strict=True)
            for s, other in zip(row, others, strict=True)
        ]

    def places(lines: Sequence[Var]) -> Iterator[tuple[Var, Expr]]:
        for line, row_sums in zip(lines, sums[0], strict=True):
            for v, s in enumerate(row_sums):
                yield s, add(line, index(v * lanes))

    if target.add is not None:
        added = target.add.buffer
        there = [Assign(s, op("add", s, Load(added, at, lanes))) for s, at in places(given)]
        body.append(If(target.add.when, tuple(there)))
    body += [Store(target.buffer, at, s) for s, at in places(lines)]
    return tuple(body)


class _Steps:
    """The loops over the inner index that add to a block's ``sums``, which go by phases."""

    def __init__(
        self,
        shape: Shape,
        depth: Expr,
        right: Right,
        sums: Sequence[Sequence[Sequence[Var]]],
        keep: Keep | None,
    ) -> None:
        self.shape = shape
        self.depth = depth
        self.right = right
        self.sums = sums
        self.keep = keep
        self.here = Buffer("y_here", right.buffer.dtype)

    def all(
        self, left: Left, first: Left, everywhere: tuple[Asked, ...], ahead: Ahead | None
    ) -> Body:
        """The loop that most blocks run, or one of those that others do."""
        phases, keep = self.shape.phases, self.keep
        pairs = 2 if phases == 2 else 1
        most = pairs if keep is None or phases == 2 else left.together
        asking = (ahead.asks, *everywhere) if ahead else everywhere
        found = self._loop(left, False, everywhere, most)
        # Blocks of two phases are few: a loop less to compile.
        if ahead is not None:
            both = self._loop(first, False, asking, pairs)
            found = both if phases == 2 else (If(ahead.when, both, found),)
        if keep is not None:
            # Few blocks keep a copy, of the largest kind for the most part.
            together = pairs if left.height * self.shape.vectors <= 16 else first.together
            found = (If(keep.when, self._loop(first, True, asking, together), found),)
        return found

    def _loop(self, left: Left, keeps: bool, asks: tuple[Asked, ...], together: int) -> Body:
        """All steps, of which some run ``together``: they share what is counted and asked for."""
        begin = (
            *left.begin(),
            Cursor(self.here, self.right.buffer, self.right.start),
            *(Cursor(a.cursor, a.buffer, a.start) for a in asks),
        )
        one = self._step(left, keeps, 0, 1)
        if together == 1:
            return (*begin, For(STEP, index(0), self.depth, (*_ask(asks, 1), *one)))
        steps: list[Stmt] = []
        for turn in range(together):
            # One line holds what two steps ask for.
            steps += _ask(asks, 2) if turn % 2 == 0 else ()
            steps += self._step(left, keeps, turn, together)
        whole = op("and", self.depth, index(-together))
        return (
            *begin,
            For(STEP, index(0), whole, tuple(steps), step=index(together)),
            For(STEP, whole, self.depth, tuple(one)),
        )

    def _step(self, left: Left, keeps: bool, turn: int, together: int) -> list[Stmt]:
        vectors, lanes, phases, embeds = self.shape
        right, keep, dtype = self.right, self.keep, self.right.buffer.dtype
        columns = [Var(f"y{v}_{turn}", dtype, lanes) for v in range(vectors)]
        masks: list[Expr | None] = [None] * vectors
        if right.masks and (keeps or not right.padded):
            masks[-len(right.masks) :] = right.masks
        found: list[Stmt] = [
            Let(y, Load(self.here, index(v * lanes), lanes, mask))
            for v, (y, mask) in enumerate(zip(columns, masks, strict=True))
        ]
        if keep is not None and keeps:
            kept = mul(add(STEP, index(turn)), index(keep.pitch))
            found += [
                Store(keep.buffer, add(kept, index(v * lanes)), y) for v, y in enumerate(columns)
            ]
        elements = left.elements(turn)
        most = left.height * left.operands // 8 if embeds else 0
        operands = {i * left.height // most for i in range(most)}
        for i, row_sums in enumerate(self.sums[turn % phases]):
            x = broadcast(elements[i], lanes)
            for v, (s, y) in enumerate(zip(row_sums, columns, strict=True)):
                if v and i in operands:
                    # An operand in memory is used once.
                    found.append(Reload())
                found.append(Assign(s, op("add", op("mul", x, y), s)))
        return [*found, *left.move(turn, together), Advance(self.here, right.pitch)]


def _ask(asks: tuple[Asked, ...], steps: int) -> list[Stmt]:
    """What so many steps ask for."""
    found: list[Stmt] = []
    for a in asks:
        found.append(Prefetch(a.cursor, index(0), level=a.level))
        found.append(Advance(a.cursor, mul(a.pitch, index(steps))))
    return found


def _lines(names: Sequence[Var], start: Expr, pitch: Expr) -> list[Stmt]:
    """Where each row begins."""
    return [Let(v, add(names[i - 1], pitch) if i else start) for i, v in enumerate(names)]
