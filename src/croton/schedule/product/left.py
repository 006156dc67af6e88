"""How the innermost loop reads its elements of the left factor: one class for each way they lie.

``begin`` is what runs before the loop, ``elements`` are the loads of a step, ``turn`` steps after
those that run ``together`` began, and ``move`` goes on to the next step, or to the next steps.
Of eight rows, the elements of so many are ``operands`` in memory of the instructions that multiply
with them, where the machine has such: rows stay in the first cache, most strips come from the
second one, and reading them again waits for it.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, index
from croton.kernel.nodes import Advance, Assign, Body, Buffer, Cursor, Expr, Load, Local, Var


class Apart(NamedTuple):
    """Element (i, k) is ``buffer[start + row + k * pitch]``.

    ``groups`` are starts with the rows that are reached from there, from the first to the last.
    """

    buffer: Buffer
    groups: tuple[tuple[Expr, tuple[Expr, ...]], ...]
    pitch: Expr
    together: int = 2
    operands: int = 0

    @property
    def height(self) -> int:
        """How many rows there are."""
        return sum(len(rows) for _, rows in self.groups)

    def begin(self) -> Body:
        """Where the groups begin."""
        groups = zip(self._starts(), self.groups, strict=True)
        return tuple(Local(at, start) for at, (start, _) in groups)

    def elements(self, turn: int) -> list[Load]:
        """The next element of each row, whatever the turn."""
        groups = zip(self._starts(), self.groups, strict=True)
        return [Load(self.buffer, add(at, row)) for at, (_, group) in groups for row in group]

    def move(self, turn: int, together: int) -> Body:
        """Go on, step by step."""
        return tuple(Assign(at, add(at, self.pitch)) for at in self._starts())

    def _starts(self) -> list[Var]:
        return [Var(f"x_at{g}") for g in range(len(self.groups))]


class Strip(NamedTuple):
    """Element (i, k) is ``buffer[start + i + k * pitch]`` of a strip, which has ``height`` rows."""

    buffer: Buffer
    start: Expr
    pitch: Expr
    height: int
    together: int = 4
    operands: int = 3

    def begin(self) -> Body:
        """Where the strip begins."""
        return (Cursor(self._here, self.buffer, self.start),)

    def elements(self, turn: int) -> list[Load]:
        """The next element of each row, whatever the turn."""
        return [Load(self._here, index(i)) for i in range(self.height)]

    def move(self, turn: int, together: int) -> Body:
        """Go on, step by step."""
        return (Advance(self._here, self.pitch),)

    @property
    def _here(self) -> Buffer:
        return Buffer("x_here", self.buffer.dtype)


class Rows(NamedTuple):
    """Element (i, k) is ``buffer[starts[i] + k]``; each row takes a register."""

    buffer: Buffer
    starts: tuple[Expr, ...]
    together: int = 4
    operands: int = 6

    @property
    def height(self) -> int:
        """How many rows there are."""
        return len(self.starts)

    def begin(self) -> Body:
        """Where the rows begin."""
        rows = zip(self._rows(), self.starts, strict=True)
        return tuple(Cursor(row, self.buffer, start) for row, start in rows)

    def elements(self, turn: int) -> list[Load]:
        """The next element of each row."""
        return [Load(row, index(turn)) for row in self._rows()]

    def move(self, turn: int, together: int) -> Body:
        """Go on, for all steps that run together at once."""
        if turn < together - 1:
            return ()
        return tuple(Advance(row, index(together)) for row in self._rows())

    def _rows(self) -> list[Buffer]:
        return [Buffer(f"x_row{i}", self.buffer.dtype) for i in range(self.height)]
