"""Bringing sums that were stored aside to where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, index, mul, op, ramp
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
from croton.schedule.product.names import (
    ACROSS,
    ADDED_ACROSS,
    ADDED_PITCH,
    ADDS,
    PITCH,
    PRESENT,
    TURN,
    WIDE,
)
from croton.schedule.product.strips import ZERO


class Finish(NamedTuple):
    """The ``sums`` of a block go to ``stored``, with what is ``added`` if there is something."""

    dtype: str
    sums: Buffer
    added: Buffer
    stored: Buffer

    def __call__(
        self, masks: Sequence[Var], wheres: tuple[Expr, Expr], pitch: int, turns: bool
    ) -> Body:
        """Bring the sums of a block, ``pitch`` in a row, to where they belong.

        ``wheres``: where the block begins in the result, and in what may be added.
        """
        line = Var("line")
        straight: list[Stmt] = []
        turned: list[Stmt] = []
        for v, there in enumerate(masks):
            lanes = there.lanes
            source = add(mul(line, index(pitch)), index(v * lanes))
            lines, columns = [], []
            for where, down, across in zip(
                wheres, (PITCH, ADDED_PITCH), (ACROSS, ADDED_ACROSS), strict=True
            ):
                lines.append(add(add(where, mul(line, down)), index(v * lanes)))
                places = op("mul", ramp(index(v * lanes), lanes), across)
                columns.append(op("add", places, add(where, line)))
            # Blocks of one vector have not computed the second one.
            some = op("lt", index(v * lanes), WIDE)
            for vectors, found in ((straight, lines), (turned, columns)):
                vector = self.bring(v, source, found, lanes, there)
                vectors += [If(some, vector)] if v else vector
        body: Body = (If(TURN, tuple(turned), tuple(straight)),) if turns else tuple(straight)
        return (For(line, ZERO, PRESENT, body),)

    def bring(
        self, number: int, source: Expr, places: Sequence[Expr], lanes: int, mask: Expr | None
    ) -> Body:
        """Bring a vector of sums to a place, one or many; and where they are, add what is there."""
        place, beside = places
        value = Var(f"value{number}", self.dtype, lanes)
        at = Var(f"place{number}", "int64", place.lanes)
        present = Load(self.added, beside, lanes, mask)
        return (
            Let(at, place),
            Local(value, Load(self.sums, source, lanes)),
            If(ADDS, (Assign(value, op("add", value, present)),)),
            Store(self.stored, at, value, mask),
        )
