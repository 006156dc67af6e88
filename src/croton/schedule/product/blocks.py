"""The blocks of a product's rows, and what each kind of them reads.

Of strips, of rows that are all there and of the last few rows, blocks that follow each other
are one function: it has all registers, and what they share is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Body,
    Buffer,
    Expr,
    For,
    If,
    Let,
    Outlined,
    Var,
)
from croton.schedule.product.ahead import line_ahead
from croton.schedule.product.left import Apart, Rows, Strip
from croton.schedule.product.micro import (
    Ahead,
    Asked,
    Keep,
    Left,
    Right,
    Shape,
    Target,
    block,
)
from croton.schedule.product.names import (
    AGAIN,
    AT,
    BLOCK,
    HERE,
    K0,
    LIES,
    LINE,
    PIECE,
    PRESENT,
    SHIFT,
    THIS,
    TIMES,
)
from croton.schedule.product.strips import (
    BATCH,
    M0,
    ONE,
    ZERO,
    strip_depth,
    strip_start,
    total,
)
from croton.schedule.product.tiling import Tiling, width
from croton.schedule.product.ways import ASKS


class Blocks:
    """Makes them.

    ``left`` is the left factor, and where its strips are; ``right`` is where the panel that
    comes next is asked for; ``keep`` is the copy that a panel's first block makes.
    """

    def __init__(
        self,
        t: Tiling,
        size: Mapping[str, Var],
        left: tuple[Buffer, Buffer],
        right: Buffer,
        keep: Keep,
    ) -> None:
        self.t = t
        self.size = size
        self.a, self.cut = left
        self.b = right
        self.keep = keep

    def strips(self, height: int, vectors: int, right: Right, target: Target) -> Body:
        """Blocks of strips, which were copied, or lie in the left factor."""
        s, t, base = self.size, self.t, Var("strip_base")
        pitch, strip = Var("strip_pitch"), Var("strip_size")
        right = right._replace(padded=True)
        start = strip_start(t, s["a_batch"], s["m"], s["rows"], BLOCK)
        copied = mul(strip_depth(t, s["k"]), index(width(t.lanes, t.strips[0])))
        lying = total((BATCH, s["a_batch"]), (add(M0, AT), ONE))
        return (
            Let(pitch, select(LIES, s["a_inner"], index(width(t.lanes, height)))),
            Let(strip, select(LIES, index(height), copied)),
            Let(base, add(select(LIES, lying, start), mul(K0, pitch))),
            *self.run(
                height,
                target,
                lambda to: self.block(
                    vectors,
                    Strip(self.cut, add(base, mul(AGAIN, strip)), pitch, height),
                    right,
                    to,
                ),
            ),
        )

    def some(self, height: int, vectors: int, right: Right, target: Target) -> Body:
        """Blocks of rows that are all there, read where they lie."""
        row, triple = self.size["a_row"], Var("triple")
        # Few registers for many rows: multiples of the stride are a part of an access.
        reach = (ZERO, row, mul(row, index(2)), triple)
        starts = [Var(f"origin{first}") for first in range(0, height, len(reach))]
        places = [add(self.origin(), mul(row, index(len(reach) * g))) for g in range(len(starts))]
        groups = tuple((start, reach[: height - len(reach) * g]) for g, start in enumerate(starts))
        # All vectors but the last are whole.
        right = right._replace(
            masks=right.masks[vectors - 1 : vectors], padded=vectors == self.t.vectors
        )
        lets = (
            Let(triple, mul(row, index(3))),
            *(Let(start, place) for start, place in zip(starts, places, strict=True)),
        )

        def apart(to: Target) -> Body:
            return (*lets, *self.block(vectors, Apart(self.a, groups, along), right, to))

        def near(to: Target) -> Body:
            # Elements of a row that are neighbours are reached without a sum of their own.
            rows = Rows(self.a, tuple(add(at, of) for at, group in groups for of in group))
            # Rows without a gap are asked for step by step while the block before is computed.
            following, pace = Buffer("next_rows", self.t.dtype), Var("pace")
            start = add(places[0], mul(row, index(height)))
            asked = Asked(following, self.a, start, pace)
            dense = op("and", ASKS, op("eq", row, PIECE))
            return (
                *lets,
                Let(pace, select(dense, index(height), ZERO)),
                *self.block(vectors, rows, right, to, asked, Apart(self.a, groups, ONE)),
            )

        along = self.size["a_inner"]
        body = self.run(height, target, apart)
        if vectors == self.t.vectors:
            body = (If(op("eq", along, ONE), self.run(height, target, near), body),)
        return body

    def few(self, height: int, right: Right, target: Target) -> Body:
        """Blocks of rows, the last of which may be missing, read where they lie."""
        row, origin = self.size["a_row"], Var("origin")
        offsets = [Var(f"r{r}") for r in range(1, height)]
        # Rows that are not there are read as the last one that is.
        places = [op("minimum", index(r), sub(PRESENT, ONE)) for r in range(1, height)]
        left = Apart(self.a, ((origin, (ZERO, *offsets)),), self.size["a_inner"])
        return (
            *(Let(v, mul(place, row)) for v, place in zip(offsets, places, strict=True)),
            *self.run(
                height,
                target,
                lambda to: (
                    Let(origin, self.origin()),
                    *self.block(self.t.vectors, left, right, to),
                ),
            ),
        )

    def origin(self) -> Expr:
        """Where the block's part of the left factor begins."""
        s = self.size
        return total((BATCH, s["a_batch"]), (add(M0, HERE), s["a_row"]), (K0, s["a_inner"]))

    def run(self, height: int, target: Target, make: Callable[[Target], Body]) -> Body:
        """The blocks that follow each other, of so many rows; ``make`` makes each one."""
        start, given = Var("block_start"), Var("block_given")
        to = target._replace(start=start)
        lets = [
            Let(SHIFT, mul(AGAIN, index(height))),
            Let(THIS, add(BLOCK, AGAIN)),
            Let(HERE, add(AT, SHIFT)),
            Let(start, add(target.start, mul(SHIFT, target.pitch))),
        ]
        if target.add is not None:
            to = to._replace(add=target.add._replace(start=given))
            lets.append(Let(given, add(target.add.start, mul(SHIFT, target.add.pitch))))
        # A function of its own has all registers.
        return (Outlined((For(AGAIN, ZERO, TIMES, (*lets, *make(to))),)),)

    def block(
        self,
        vectors: int,
        left: Left,
        right: Right,
        target: Target,
        asked: Asked | None = None,
        first: Left | None = None,
    ) -> Body:
        """A block of the result; steps ask for lines of the next panel, and what is ``asked``."""
        sums = left.height * vectors
        room = self.t.registers - vectors - 1
        phases = 2 if sums <= 8 and 2 * sums <= room else 1
        shape = Shape(vectors, self.t.lanes, phases, self.t.embeds)
        if vectors < self.t.vectors:
            return block(shape, PIECE, left, right, target)
        if isinstance(left, Strip):
            # Strips take few registers: all of their blocks can ask as they go, every second step.
            lines, asks = line_ahead(self.t, self.b, self.size, 2)
            return (*lines, *block(shape, PIECE, left, right, target, self.keep, asks))
        lines, asks = line_ahead(self.t, self.b, self.size)
        ahead = Ahead(LINE, asks)
        return (
            *lines,
            *block(shape, PIECE, left, right, target, self.keep, asked, ahead, first),
        )
