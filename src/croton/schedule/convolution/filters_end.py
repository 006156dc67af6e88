"""The last step of a gradient by the filters that hands its result to an epilogue.

The algorithms leave sums of pieces of the places, each a result in its own order (see
:mod:`croton.schedule.convolution.names`).  Here they are added up, block by block, and each block
goes to the epilogue (:mod:`croton.schedule.product.tile`) in one of two orders:

- as the sums lie: rows are (place, channel), columns filters;
- *turned*: rows are filters, columns (channel, place), as filters lie that programs write.

*Backwards*, the place that is last in the sums comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op, select, sub
from croton.kernel.machine import Machine
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Call,
    Expr,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Store,
    Var,
)
from croton.kernel.parameters import from_parameters
from croton.schedule import counts
from croton.schedule.counts import Count, count
from croton.schedule.product import tile
from croton.schedule.product.pack import transpose
from croton.schedule.product.tiling import ITEMSIZE
from croton.schedule.steps import Plan, Step

#: What the sums of the pieces are called.
SUMS = "filters_sums"

SIZES = ("pieces", "taps", "channels", "filters", "backwards")

#: Rows of a block.
ROWS = 64
#: Vectors that are added up at a time.
VECTORS = 4

ZERO, ONE = index(0), index(1)

#: The block, and where its rows and columns end.
M0, M1, N0, N1 = Var("m0"), Var("m1"), Var("n0"), Var("n1")
#: From the sums of a piece to those of the next.
PITCH = Var("pitch")


class Sums(NamedTuple):
    """An algorithm's kernel and step that sum into ``SUMS``, ``when`` it is chosen.

    ``pieces`` are how many sums of each element it leaves.
    """

    when: Count
    function: Function
    step: Step
    pieces: Count


class Whole(NamedTuple):
    """A kernel and its step that hand over blocks by themselves, ``when`` that is chosen."""

    when: Count
    function: Function
    step: Step


def plan(
    machine: Machine,
    dtype: str,
    algorithms: Sequence[Sums],
    turned: bool,
    backwards: bool,
    whole: Whole | None = None,
) -> Plan:
    """The steps of all ``algorithms``, of which one is chosen, and the last one.

    Where that is ``whole``, there is no last one.

    >>> plan(Machine("some", 32, 16, 32 << 10, 1 << 20, 8 << 20), "float32", (), True, False).steps
    (Step(kernel='convolution_filters_float32_turned', ...
    """
    lanes = machine.lanes(ITEMSIZE[dtype])
    function = kernel(dtype, lanes, turned)
    places, filters = counts.mul("k0", "k1", "k2"), counts.mul("groups", "filters")
    result = counts.mul(places, "channels", filters)
    pieces: Count = 0
    for sums in algorithms:
        here = count("select", sums.when, sums.pieces, 0)
        pieces = here if pieces == 0 else count("add", pieces, here)
    values: dict[str, Count] = {
        "pieces": pieces,
        "taps": places,
        "filters": filters,
        "backwards": int(backwards),
    }
    rows, columns = counts.mul(places, "channels"), filters
    if turned:
        rows, columns = filters, counts.mul(places, "channels")
    down, across = count("ceildiv", rows, ROWS), count("ceildiv", columns, tile.LEADING[dtype])
    blocks = counts.mul(down, across)
    end = Step(
        function.name,
        (SUMS, "epilogue"),
        tuple(values.get(name, name) for name in SIZES),
        count("select", whole.when, 0, blocks) if whole else blocks,
        1,
        scratch_bytes(dtype),
    )
    # Whole vectors are read, some of them beyond the last filter.
    size = count("add", counts.mul(pieces, result), VECTORS * lanes)
    parts: list[Sums | Whole] = [*algorithms, *([whole] if whole else [])]
    return Plan(
        dtype,
        (*(part.function for part in parts), function),
        ((SUMS, size),),
        (*(part.step for part in parts), end),
    )


def scratch_bytes(dtype: str) -> int:
    """Bytes of scratch, with what an epilogue is given."""
    return 64 + tile.FREE + 8 * tile.LEADING[dtype]


@from_parameters
def kernel(dtype: str, lanes: int, turned: bool) -> Function:
    """The kernel, for any sizes; an item is a block of the result."""
    return End(dtype, lanes, turned).function()


class End:
    """The statements of the kernel, some of which other kernels have as well."""

    def __init__(self, dtype: str, lanes: int, turned: bool) -> None:
        self.dtype, self.lanes, self.turned = dtype, lanes, turned
        self.size = {name: Var(name) for name in SIZES}
        self.parts, self.tile = Buffer("parts", dtype), Buffer("tile", dtype, 64)
        self.callee, self.below = Buffer("epilogue", "int64"), Buffer("below", "int64")
        self.starts = Buffer("starts", "int64")
        self.leading = tile.LEADING[dtype]

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        s = self.size
        lines = mul(s["taps"], s["channels"])
        rows, columns = (s["filters"], lines) if self.turned else (lines, s["filters"])
        across, down, item = Var("across"), Var("down"), Var("item")
        wide = index(self.leading)
        block: Body = (
            Let(down, op("floordiv", item, across)),
            Let(M0, mul(down, index(ROWS))),
            Let(M1, op("minimum", add(M0, index(ROWS)), rows)),
            Let(N0, mul(sub(item, mul(down, across)), wide)),
            Let(N1, op("minimum", add(N0, wide), columns)),
            *(self.turn() if self.turned else self.copy()),
            *self.hand_over(),
        )
        body: Body = (
            *self.scratch(),
            Let(PITCH, mul(lines, s["filters"])),
            Let(across, op("floordiv", add(columns, index(self.leading - 1)), wide)),
            For(item, Var("lo"), Var("hi"), block),
        )
        name = f"convolution_filters_{self.dtype}_" + ("turned" if self.turned else "end")
        return Function(name, (self.parts, self.callee), tuple(s.values()), body)

    def scratch(self) -> Body:
        """The parts of the scratch memory, in ``scratch_bytes``."""
        return (
            Allocate(self.below, index(64)),
            Allocate(self.tile, index(64 + tile.TILE)),
            Allocate(self.starts, index(64 + tile.FREE)),
        )

    def hand_over(self) -> Body:
        """Call the epilogue for the block."""
        header = tile.HEADER // 8
        return (
            Store(self.below, index(header + tile.N0), N0),
            Store(self.below, index(header + tile.N1), N1),
            Store(self.below, index(header + tile.BATCH), ZERO),
            Call(self.callee, M0, M1, self.below),
        )

    def start(self, tap: Expr, channel: Expr) -> Expr:
        """Where the sums of a place in the filter and a channel begin."""
        s = self.size
        own = select(op("ne", s["backwards"], ZERO), sub(sub(s["taps"], ONE), tap), tap)
        return mul(add(mul(own, s["channels"]), channel), s["filters"])

    def add_up(self, sums: Sequence[Var], places: Sequence[Expr]) -> Body:
        """Add up vectors of all pieces, from their ``places`` in the first one, in their order."""
        piece, base = Var("piece"), Var("base")
        step = tuple(
            Assign(total, op("add", total, Load(self.parts, add(base, place), self.lanes)))
            for total, place in zip(sums, places, strict=True)
        )
        return (
            *(Local(total, const(0.0, self.dtype, self.lanes)) for total in sums),
            Local(base, ZERO),
            For(piece, ZERO, self.size["pieces"], (*step, Assign(base, add(base, PITCH)))),
        )

    def copy(self) -> Body:
        """The block's sums, row by row."""
        s, lanes = self.size, self.lanes
        row, column, tap, first = Var("row"), Var("column"), Var("tap"), Var("first")
        to, sums = Var("to"), [Var(f"sum{v}", self.dtype, lanes) for v in range(VECTORS)]
        group: Body = (
            *self.add_up(sums, [add(add(first, column), index(v * lanes)) for v in range(VECTORS)]),
            *(
                Store(self.tile, add(add(to, sub(column, N0)), index(v * lanes)), total)
                for v, total in enumerate(sums)
            ),
        )
        line: Body = (
            Let(tap, op("floordiv", row, s["channels"])),
            Let(first, self.start(tap, sub(row, mul(tap, s["channels"])))),
            Let(to, mul(sub(row, M0), index(self.leading))),
            For(column, N0, N1, group, step=index(VECTORS * lanes)),
        )
        return (For(row, M0, M1, line),)

    def turn(self) -> Body:
        """The block's sums, squares of a vector's side transposed in registers."""
        s, lanes = self.size, self.lanes
        column, tap, channel, here = Var("column"), Var("tap"), Var("channel"), Var("here")
        f, square, to = Var("filter"), Var("square"), Var("to")
        sums = [Var(f"sum{i}", self.dtype, lanes) for i in range(lanes)]
        turned = [Var(f"turned{i}", self.dtype, lanes) for i in range(lanes)]
        starts = [Var(f"start{i}") for i in range(lanes)]
        count_ = sub(N1, N0)
        # Columns beyond the last one are what that is.
        table: Body = (
            Store(self.starts, column, self.start(tap, channel)),
            If(
                op("lt", add(column, ONE), count_),
                (
                    Assign(tap, add(tap, ONE)),
                    If(
                        op("eq", tap, s["taps"]),
                        (Assign(tap, ZERO), Assign(channel, add(channel, ONE))),
                    ),
                ),
            ),
        )
        body: Body = (
            *self.add_up(sums, [add(v, f) for v in starts]),
            *(Let(v, e) for v, e in zip(turned, transpose(list(sums), lanes), strict=True)),
            Let(to, add(mul(sub(f, M0), index(self.leading)), square)),
            *(Store(self.tile, add(to, index(i * self.leading)), v) for i, v in enumerate(turned)),
        )
        columns: Body = (
            *(Let(v, Load(self.starts, add(square, index(i)))) for i, v in enumerate(starts)),
            For(f, M0, M1, body, step=index(lanes)),
        )
        whole = op("floordiv", add(count_, index(lanes - 1)), index(lanes))
        return (
            Let(here, op("floordiv", N0, s["taps"])),
            Local(channel, here),
            Local(tap, sub(N0, mul(here, s["taps"]))),
            For(column, ZERO, mul(whole, index(lanes)), table),
            For(square, ZERO, count_, columns, step=index(lanes)),
        )
