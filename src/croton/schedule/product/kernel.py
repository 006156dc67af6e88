"""The kernel of a product: every item is a block of rows and columns of the result.

An item goes over the inner index in pieces; for each piece it goes over its
panels of columns, copies a panel of the right factor where that pays, and runs
the innermost loop on the rows, as many at a time as registers hold.

The left factor may have been copied before, into strips of as many rows as the
innermost loop takes at a time: element (i, k) of the strip that starts at row r
and has h rows lies at ``r * strip + k * h + i``.  Else it is read where it lies.
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
    Load,
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
BASE, ADDS, EDGE = Var("base"), Var("adds", "bool"), Var("edge", "bool")
LANES = {n: Var("lanes", "bool", n) for n in (2, 4, 8, 16)}
BLOCK, PRESENT = Var("block"), Var("present")

ZERO, ONE = index(0), index(1)


def strip_pitch(t: Tiling, k: Expr) -> Expr:
    """Elements per row of a strip: more than ``k``, for what a copy writes behind its end."""
    return mul(add(op("floordiv", k, index(t.lanes)), ONE), index(t.lanes))


def panel_bytes(t: Tiling) -> int:
    """Bytes of scratch for a block's sums and a panel of the right factor."""
    return (t.heights[0] + t.depth + t.lanes) * t.panel * t.itemsize


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
    target = mul(add(mul(BATCH, add(size["m"], index(big))), start), strip_pitch(t, size["k"]))
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
                *pack(t, source, Copy(p, target, height, height)),
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
        self.sums = Buffer("sums", t.dtype)
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
        t = self.t
        sums = t.heights[0] * t.panel * t.itemsize
        if not self.epilogue:
            return (Allocate(self.sums, index(64)), Allocate(self.panel, index(64 + sums)))
        # The callee's scratch is a part of ours, behind our own first bytes.
        return (
            Allocate(self.below, index(64)),
            Allocate(self.c, index(64 + tile.TILE)),
            Allocate(self.sums, index(64 + tile.FREE)),
            Allocate(self.panel, index(64 + tile.FREE + sums)),
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
        copy = Copy(self.panel, ZERO, index(t.panel), mul(_ceildiv(WIDE, index(t.lanes)), index(t.lanes)))
        factor = Right(right, first, pitch, None)
        return (
            Let(start, _sum((BATCH, s["b_batch"]), (K0, s["b_inner"]), (P0, s["b_column"]))),
            Let(WIDE, op("minimum", sub(N1, P0), index(t.panel))),
            Let(packed, copies),
            If(packed, pack(t, source, copy)),
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
        head: list[Stmt] = [Let(LANES[t.lanes], below(WIDE, index((vectors - 1) * t.lanes), t.lanes))]
        if self.epilogue:
            head += [Let(BASE, sub(P0, N0)), Let(ADDS, op("gt", K0, ZERO)), Let(EDGE, ADDS)]
        else:
            more = op("or", op("gt", K0, ZERO), op("ne", s["accumulate"], ZERO))
            head += [
                Let(BASE, add(_sum((BATCH, s["c_batch"]), (M0, s["c_row"])), P0)),
                Let(ADDS, more),
                Let(EDGE, op("or", ADDS, op("lt", WIDE, index(vectors * t.lanes)))),
            ]
        second = mul(MANY, index(big))
        third = add(second, mul(SOME, index(middle)))
        return (
            *head,
            If(
                op("ne", s["strips"], ZERO),
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
        pitch = index(t.leading) if self.epilogue else s["c_row"]
        apart = Var("apart", "bool")
        target = Target(Buffer("target", t.dtype), Var("target_start"), Var("target_pitch"))
        missing = op("lt", sub(COUNT, at), index(height))
        whole = number is MANY or self.epilogue
        body: list[Stmt] = [
            Let(at, add(first, mul(BLOCK, index(height)))),
            Let(where, add(BASE, mul(at, pitch))),
            Let(apart, EDGE if whole else op("or", EDGE, missing)),
            Choose(target.buffer, apart, self.sums, self.c),
            Let(target.start, select(apart, ZERO, where)),
            Let(target.pitch, select(apart, index(t.panel), pitch)),
            Let(PRESENT, op("minimum", index(height), sub(COUNT, at))),
        ]
        every: Body = ()
        if strips:
            rows = _sum((BATCH, add(s["m"], index(t.heights[0]))), (ONE, add(M0, at)))
            start = add(mul(rows, strip_pitch(t, s["k"])), mul(K0, index(height)))
            left = Left(self.p, origin, tuple(index(r) for r in range(height)), index(height))
            right = right._replace(mask=None)
            body.append(Let(origin, start))
            if number is MANY and vectors == t.vectors:
                body += self.ahead()
                every = self.prefetch()
        else:
            # Rows that are not there are read as the last one that is.
            offsets = [Var(f"r{r}") for r in range(height)]
            places = [op("minimum", index(r), sub(PRESENT, ONE)) for r in range(height)]
            start = _sum((BATCH, s["a_batch"]), (add(M0, at), s["a_row"]), (K0, s["a_inner"]))
            body += [
                *(Let(v, mul(place, s["a_row"])) for v, place in zip(offsets, places, strict=True)),
                Let(origin, start),
            ]
            left = Left(self.a, origin, tuple(offsets), s["a_inner"])
            right = right._replace(mask=LANES[t.lanes] if t.masks else None)
        body += block(vectors, t.lanes, PIECE, left, right, target, every)
        body.append(If(apart, self.finish(vectors, where, pitch)))
        return For(BLOCK, ZERO, number, tuple(body))

    def finish(self, vectors: int, where: Expr, pitch: Expr) -> Body:
        """Bring the sums of a block at an edge, or of a further piece, to where they belong."""
        t = self.t
        line = Var("line")
        body: list[Stmt] = []
        for v in range(vectors):
            value = Var(f"t{v}", t.dtype, t.lanes)
            mask = LANES[t.lanes] if v == vectors - 1 and not self.epilogue else None
            to = add(add(where, mul(line, pitch)), index(v * t.lanes))
            present = Load(self.c, to, t.lanes, mask)
            body += [
                Local(value, Load(self.sums, add(mul(line, index(t.panel)), index(v * t.lanes)), t.lanes)),
                If(ADDS, (Assign(value, op("add", value, present)),)),
                Store(self.c, to, value, mask),
            ]
        return (For(line, ZERO, PRESENT, tuple(body)),)

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
