"""The kernel of a product: every item is a block of rows and columns of the result.

An item goes over the inner index in pieces; for each piece it goes over its
panels of columns, copies a panel of the right factor where that pays, and runs
the innermost loop on the rows, as many at a time as registers hold.

The left factor may have been copied before, into strips of as many rows as the
innermost loop takes at a time: element (i, k) of the strip that starts at row r
and has h rows lies at ``r * K + k * h + i``.  Else it is read where it lies.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Call,
    Choose,
    Expr,
    For,
    Function,
    If,
    Let,
    Local,
    Prefetch,
    Stmt,
    Store,
    Var,
)
from croton.schedule.product import tile
from croton.schedule.product.micro import STEP, Left, Right, Target, block
from croton.schedule.product.pack import Copy, Source, below, pack
from croton.schedule.product.tiling import Tiling

#: Of every kernel: extents, strides in elements, rows and columns of an item, how much
#: of the inner index to take at a time, whether the left factor has been copied, and
#: whether to read the right factor where it lies.
SIZES = (
    "m", "n", "k",
    "a_row", "a_inner", "a_batch",
    "b_inner", "b_column", "b_batch",
    "rows", "columns", "depth", "strips", "direct",
)  # fmt: skip
#: Of a kernel that stores its result: its strides, and whether to add to what is there.
STORE_SIZES = ("c_row", "c_batch", "accumulate")
#: Of the kernel that copies the left factor: ``slots`` is how many strips an item's
#: rows have at most.
PACK_SIZES = ("m", "k", "a_row", "a_inner", "a_batch", "rows", "slots")

#: Names of the kernel's variables: the item, ...
ROW, COLUMN, BATCH = Var("row"), Var("column"), Var("batch")
M0, M1, N0, N1, COUNT = Var("m0"), Var("m1"), Var("n0"), Var("n1"), Var("count")
#: ... how many blocks of each height cover its rows, ...
MANY, SOME, FEW = Var("many"), Var("some"), Var("few")
#: ... the piece of the inner index, the panel of columns, and how many of them there are, ...
K0, PIECE, P0, WIDE = Var("k0"), Var("piece"), Var("p0"), Var("wide")
#: ... and where the panel begins that comes next.
AHEAD = Var("ahead")
BLOCK, PRESENT = Var("block"), Var("present")

ZERO, ONE = index(0), index(1)


def panel_bytes(t: Tiling) -> int:
    """Bytes of scratch for a panel of the right factor."""
    return (t.depth + t.lanes) * t.panel * t.itemsize


def kernel(t: Tiling, epilogue: bool) -> Function:
    """The kernel that stores the product, or hands its blocks to an epilogue."""
    return _Product(t, epilogue).function()


def pack_kernel(t: Tiling) -> Function:
    """The kernel that copies the left factor; an item is a strip of rows."""
    size = {name: Var(name) for name in PACK_SIZES}
    a, p = Buffer("a", t.dtype), Buffer("p", t.dtype)
    item, slot, rest, down = Var("item"), Var("slot"), Var("rest"), Var("down")
    big, middle, _ = t.heights
    first, start, height, wide = Var("first"), Var("start"), Var("height"), Var("wide")
    early = op("lt", slot, MANY)
    source = Source(
        a,
        _sum((BATCH, size["a_batch"]), (start, size["a_row"])),
        size["a_row"],
        size["a_inner"],
        wide,
        size["k"],
    )
    target = mul(add(mul(BATCH, add(size["m"], index(big))), start), size["k"])
    body: Body = (
        Let(rest, op("floordiv", item, size["slots"])),
        Let(slot, sub(item, mul(rest, size["slots"]))),
        Let(down, _ceildiv(size["m"], size["rows"])),
        Let(BATCH, op("floordiv", rest, down)),
        Let(M0, mul(sub(rest, mul(BATCH, down)), size["rows"])),
        Let(COUNT, op("minimum", size["rows"], sub(size["m"], M0))),
        *split(t, ONE),
        If(
            op("lt", slot, add(MANY, SOME)),
            (
                Let(height, select(early, index(big), index(middle))),
                Let(first, mul(slot, index(big))),
                Let(
                    start,
                    add(
                        M0,
                        select(early, first, sub(first, mul(sub(slot, MANY), index(big - middle)))),
                    ),
                ),
                Let(wide, op("minimum", height, sub(size["m"], start))),
                *pack(source, Copy(p, target, height, height, t.lanes), t.masks),
            ),
        ),
    )
    return Function(
        f"product_{t.dtype}_pack",
        (a, p),
        tuple(size.values()),
        (For(item, Var("lo"), Var("hi"), body),),
    )


def split(t: Tiling, strips: Expr) -> Body:
    """How many blocks of each height cover ``COUNT`` rows."""
    big, middle, small = t.heights
    whole, left, after = Var("whole"), Var("left"), Var("after")
    # Two blocks of the middle height are better than a big one and a rest of one or two.
    even = op("and", op("gt", left, ZERO), op("le", left, index(2 * middle - big)))
    even = op("and", even, op("gt", whole, ZERO))
    copied = op("ne", strips, ZERO)
    least = select(copied, index(middle - 1), index(middle - 1 - small))
    return (
        Let(whole, select(copied, op("floordiv", COUNT, index(big)), ZERO)),
        Let(left, sub(COUNT, mul(whole, index(big)))),
        Let(MANY, select(even, sub(whole, ONE), whole)),
        Let(after, sub(COUNT, mul(MANY, index(big)))),
        Let(SOME, op("floordiv", add(after, least), index(middle))),
        Let(FEW, select(op("lt", mul(SOME, index(middle)), after), ONE, ZERO)),
    )


class _Product:
    def __init__(self, t: Tiling, epilogue: bool) -> None:
        self.t = t
        self.epilogue = epilogue
        self.a = Buffer("a", t.dtype)
        self.b = Buffer("b", t.dtype)
        self.p = Buffer("p", t.dtype)
        self.c = Buffer("tile" if epilogue else "c", t.dtype)
        self.panel = Buffer("panel", t.dtype)
        self.callee = Buffer("epilogue", "int64")
        self.below = Buffer("below", "int64")
        names = SIZES if epilogue else SIZES + STORE_SIZES
        self.size = {name: Var(name) for name in names}

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        name = f"product_{self.t.dtype}" + ("_epilogue" if self.epilogue else "")
        last = self.callee if self.epilogue else self.c
        buffers = (self.a, self.b, self.p, last)
        return Function(name, buffers, tuple(self.size.values()), self.items())

    def items(self) -> Body:
        """Go over the items: columns first, then rows, then the batch."""
        s = self.size
        lo, hi = Var("lo"), Var("hi")
        across, down, rest = Var("across"), Var("down"), Var("rest")
        place: Body = (
            Let(across, _ceildiv(s["n"], s["columns"])),
            Let(down, _ceildiv(s["m"], s["rows"])),
            Let(rest, op("floordiv", lo, across)),
            Assign(COLUMN, mul(sub(lo, mul(rest, across)), s["columns"])),
            Assign(BATCH, op("floordiv", rest, down)),
            Assign(ROW, mul(sub(rest, mul(BATCH, down)), s["rows"])),
        )
        following: Body = (
            Assign(COLUMN, add(COLUMN, s["columns"])),
            If(
                op("ge", COLUMN, s["n"]),
                (
                    Assign(COLUMN, ZERO),
                    Assign(ROW, add(ROW, s["rows"])),
                    If(
                        op("ge", ROW, s["m"]),
                        (Assign(ROW, ZERO), Assign(BATCH, add(BATCH, ONE))),
                    ),
                ),
            ),
        )
        return (
            *self.scratch(),
            Local(ROW, ZERO),
            Local(COLUMN, ZERO),
            Local(BATCH, ZERO),
            If(op("gt", lo, ZERO), place),
            For(Var("item"), lo, hi, (*self.item(), *following)),
        )

    def scratch(self) -> Body:
        """The parts of the scratch memory."""
        if not self.epilogue:
            return (Allocate(self.panel, index(64)),)
        # The callee's scratch is a part of ours, behind our own first bytes.
        return (
            Allocate(self.below, index(64)),
            Allocate(self.c, index(64 + tile.TILE)),
            Allocate(self.panel, index(64 + tile.FREE)),
        )

    def item(self) -> Body:
        """One block of the result."""
        s = self.size
        piece: Body = (
            Let(PIECE, op("minimum", s["depth"], sub(s["k"], K0))),
            For(P0, N0, N1, self.columns(), step=index(self.t.panel)),
        )
        body: list[Stmt] = [
            Let(M0, ROW),
            Let(N0, COLUMN),
            Let(M1, op("minimum", add(ROW, s["rows"]), s["m"])),
            Let(N1, op("minimum", add(COLUMN, s["columns"]), s["n"])),
            Let(COUNT, sub(M1, M0)),
            *split(self.t, s["strips"]),
            # Without an inner index, one empty piece still stores zeros.
            For(K0, ZERO, op("maximum", s["k"], ONE), piece, step=s["depth"]),
        ]
        if self.epilogue:
            header = tile.HEADER // 8
            body += [
                Store(self.below, index(header + at), value)
                for at, value in ((tile.N0, N0), (tile.N1, N1), (tile.BATCH, BATCH))
            ]
            body.append(Call(self.callee, M0, M1, self.below))
        return tuple(body)

    def columns(self) -> Body:
        """One panel of columns, for one piece of the inner index."""
        s, t = self.size, self.t
        start, packed = Var("start"), Var("packed", "bool")
        right, first, pitch = Buffer("right", t.dtype), Var("first"), Var("pitch")
        part = op("lt", WIDE, index(t.panel))
        if t.masks:
            # Only the blocks that read the left factor where it lies load with a mask.
            part = op("and", part, op("ne", s["strips"], ZERO))
        copies = op("or", op("eq", s["direct"], ZERO), part)
        source = Source(self.b, start, s["b_column"], s["b_inner"], WIDE, PIECE)
        copy = Copy(self.panel, ZERO, index(t.panel), WIDE, t.lanes)
        factor = Right(right, first, pitch, None)
        return (
            Let(start, _sum((BATCH, s["b_batch"]), (K0, s["b_inner"]), (P0, s["b_column"]))),
            Let(WIDE, op("minimum", sub(N1, P0), index(t.panel))),
            Let(packed, copies),
            If(packed, pack(source, copy, t.masks)),
            Choose(right, packed, self.panel, self.b),
            Let(first, select(packed, ZERO, start)),
            Let(pitch, select(packed, index(t.panel), s["b_inner"])),
            If(
                op("gt", WIDE, index(t.lanes)),
                self.rows(t.vectors, factor),
                self.rows(t.vectors - 1, factor),
            ),
        )

    def rows(self, vectors: int, right: Right) -> Body:
        """All rows of the item, with a panel of ``vectors`` vectors."""
        s, t = self.size, self.t
        big, middle, small = t.heights
        base, adding = Var("base"), Var("adding", "bool")
        mask = Var("lanes", "bool", t.lanes)
        head: list[Stmt] = []
        if self.epilogue:
            head += [Let(base, sub(P0, N0)), Let(adding, op("gt", K0, ZERO))]
        else:
            more = op("or", op("gt", K0, ZERO), op("ne", s["accumulate"], ZERO))
            head += [
                Let(base, add(_sum((BATCH, s["c_batch"]), (M0, s["c_row"])), P0)),
                Let(adding, more),
            ]
        if t.masks or not self.epilogue:
            head.append(Let(mask, below(WIDE, index((vectors - 1) * t.lanes), t.lanes)))
        second = mul(MANY, index(big))
        third = add(second, mul(SOME, index(middle)))
        whole = op("ne", s["strips"], ZERO)
        return (
            *head,
            If(
                whole,
                (
                    self.blocks(big, vectors, right, ZERO, MANY, True),
                    self.blocks(middle, vectors, right, second, SOME, True),
                ),
                (
                    self.blocks(middle, vectors, right, second, SOME, False),
                    self.blocks(small, vectors, right, third, FEW, False),
                ),
            ),
        )

    def blocks(
        self, height: int, vectors: int, right: Right, first: Expr, number: Var, strips: bool
    ) -> Stmt:
        """``number`` blocks of one height, the first of them at row ``first`` of the item."""
        s, t = self.size, self.t
        at, origin, where = Var("at"), Var("origin"), Var("where")
        mask = Var("lanes", "bool", t.lanes)
        places: list[Expr] = [index(r) for r in range(height)]
        pitch = index(t.leading) if self.epilogue else s["c_row"]
        body: list[Stmt] = [
            Let(at, add(first, mul(BLOCK, index(height)))),
            Let(where, add(Var("base"), mul(at, pitch))),
        ]
        if number is not MANY:
            # Rows that are not there are read and written as the last one that is.
            body.append(Let(PRESENT, sub(op("minimum", index(height), sub(COUNT, at)), ONE)))
            places = [op("minimum", place, PRESENT) for place in places]
        lines = [Var(f"l{r}") for r in range(height)]
        body += [Let(v, mul(place, pitch)) for v, place in zip(lines, places, strict=True)]
        target = Target(
            self.c, where, tuple(lines), None if self.epilogue else mask, Var("adding", "bool")
        )
        every: Body = ()
        if strips:
            rows = _sum((BATCH, add(s["m"], index(t.heights[0]))), (ONE, add(M0, at)))
            body.append(Let(origin, add(mul(rows, s["k"]), mul(K0, index(height)))))
            left = Left(self.p, origin, tuple(index(r) for r in range(height)), index(height))
            right = right._replace(mask=None)
            if number is MANY and vectors == t.vectors:
                body += self.ahead()
                every = self.prefetch()
        else:
            offsets = [Var(f"r{r}") for r in range(height)]
            start = _sum((BATCH, s["a_batch"]), (add(M0, at), s["a_row"]), (K0, s["a_inner"]))
            body += [
                *(Let(v, mul(place, s["a_row"])) for v, place in zip(offsets, places, strict=True)),
                Let(origin, start),
            ]
            left = Left(self.a, origin, tuple(offsets), s["a_inner"])
            right = right._replace(mask=mask if t.masks else None)
        body += block(vectors, t.lanes, PIECE, left, right, target, every)
        return For(BLOCK, ZERO, number, tuple(body))

    def ahead(self) -> Body:
        """Where the panel that comes next begins, and which part of it this block asks for."""
        s, t = self.size, self.t
        following = add(K0, s["depth"])
        more = op("lt", following, s["k"])
        column = select(more, P0, add(P0, index(t.panel)))
        start = _sum(
            (BATCH, s["b_batch"]),
            (select(more, following, ZERO), s["b_inner"]),
            (column, s["b_column"]),
        )
        half = mul(op("shr", BLOCK, ONE), op("shr", PIECE, ONE))
        line = mul(op("and", BLOCK, ONE), index(t.panel - 1))
        on = op("lt", BLOCK, index(4))
        begin = add(add(start, mul(half, s["b_inner"])), mul(line, s["b_column"]))
        return (Let(AHEAD, begin), Let(Var("ahead_pitch"), select(on, s["b_inner"], ZERO)))

    def prefetch(self) -> Body:
        """Ask for a line of the next panel at every other step."""
        at = add(AHEAD, mul(op("shr", STEP, ONE), Var("ahead_pitch")))
        return (Prefetch(self.b, at),)


def _ceildiv(a: Expr, b: Expr) -> Expr:
    return op("floordiv", add(a, sub(b, ONE)), b)


def _sum(*products: tuple[Expr, Expr]) -> Expr:
    total: Expr = ZERO
    for a, b in products:
        total = add(total, mul(a, b))
    return total
