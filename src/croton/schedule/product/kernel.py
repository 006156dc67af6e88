"""The kernel of a product: every item is a block of rows and columns of the result.

An item goes over the inner index in pieces; for each piece it goes over its
panels of columns, copies a panel of the right factor where that pays, and runs
the innermost loop on the rows, as many at a time as registers hold.  The left
factor has been copied into strips before, or is read where it lies; so may the right
one have been copied.
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
from croton.schedule.product.micro import STEP, Left, Right, Shape, Target, block
from croton.schedule.product.pack import Copy, Source, below, pack
from croton.schedule.product.strips import (
    BATCH,
    COUNT,
    FEW,
    M0,
    MANY,
    ONE,
    SOME,
    ZERO,
    ceildiv,
    split,
    strip_start,
    total,
)
from croton.schedule.product.tiling import Tiling

#: Of every kernel: extents, strides in elements, rows and columns of an item, how much
#: of the inner index to take at a time, whether the left factor has been copied into
#: strips, whether the right one has been copied into panels, or else is read where it lies.
SIZES = (
    "m", "n", "k",
    "a_row", "a_inner", "a_batch",
    "b_inner", "b_column", "b_batch",
    "rows", "columns", "depth", "strips", "panels", "direct",
)  # fmt: skip
#: Of a kernel that stores its result: its strides, and whether to add to what is there.
STORE_SIZES = ("c_row", "c_batch", "accumulate")

#: Names of the kernel's variables: the block of the result that an item is, ...
ROW, COLUMN, ITEM_BATCH = Var("row"), Var("column"), Var("item_batch")
M1, N0, N1 = Var("m1"), Var("n0"), Var("n1")
#: ... the piece of the inner index, the panel of columns, and how many of them there are, ...
K0, PIECE, P0, WIDE = Var("k0"), Var("piece"), Var("p0"), Var("wide")
#: ... where the panel begins in the result, whether there is something to add to, ...
BASE, ADDS = Var("base"), Var("adds", "bool")
#: ... the block of rows, the first of them and how many there are, ...
BLOCK, AT, PRESENT = Var("block"), Var("at"), Var("present")
#: ... and where the panel begins that comes next, its strides, and the lines of it to ask for.
AHEAD, AHEAD_ROW, AHEAD_COLUMN = Var("ahead"), Var("ahead_row"), Var("ahead_column")
LINE, LINE_PITCH = Var("ahead_line"), Var("ahead_pitch")


def scratch_bytes(t: Tiling) -> int:
    """Bytes of scratch for the sums of a block and a panel of the right factor."""
    return (t.heights[0] + t.depth + t.lanes) * t.panel * t.itemsize


def kernel(t: Tiling, epilogue: bool) -> Function:
    """The kernel that stores the product, or hands its blocks to an epilogue."""
    return _Product(t, epilogue).function()


class _Product:
    def __init__(self, t: Tiling, epilogue: bool) -> None:
        self.t = t
        self.epilogue = epilogue
        self.a = Buffer("a", t.dtype)
        self.b = Buffer("b", t.dtype)
        self.p = Buffer("p", t.dtype)
        self.q = Buffer("q", t.dtype)
        self.c = Buffer("tile" if epilogue else "c", t.dtype)
        self.sums = Buffer("sums", t.dtype)
        self.panel = Buffer("panel", t.dtype)
        self.callee = Buffer("epilogue", "int64")
        self.below = Buffer("below", "int64")
        names = SIZES if epilogue else SIZES + STORE_SIZES
        self.size = {name: Var(name) for name in names}
        self.masks = [Var(f"lanes{v}", "bool", t.lanes) for v in range(t.vectors)]
        self.pitch: Expr = index(t.leading) if epilogue else self.size["c_row"]

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        name = f"product_{self.t.dtype}" + ("_epilogue" if self.epilogue else "")
        last = self.callee if self.epilogue else self.c
        buffers = (self.a, self.b, self.p, self.q, last)
        return Function(name, buffers, tuple(self.size.values()), self.items())

    def items(self) -> Body:
        """Go over the items: columns first, then rows, then the batch."""
        s = self.size
        lo, hi = Var("lo"), Var("hi")
        across, down, rest = Var("across"), Var("down"), Var("rest")
        place: Body = (
            Let(across, ceildiv(s["n"], s["columns"])),
            Let(down, ceildiv(s["m"], s["rows"])),
            Let(rest, op("floordiv", lo, across)),
            Assign(COLUMN, mul(sub(lo, mul(rest, across)), s["columns"])),
            Assign(ITEM_BATCH, op("floordiv", rest, down)),
            Assign(ROW, mul(sub(rest, mul(ITEM_BATCH, down)), s["rows"])),
        )
        next_batch: Body = (Assign(ROW, ZERO), Assign(ITEM_BATCH, add(ITEM_BATCH, ONE)))
        next_row: Body = (
            Assign(COLUMN, ZERO),
            Assign(ROW, add(ROW, s["rows"])),
            If(op("ge", ROW, s["m"]), next_batch),
        )
        following: Body = (
            Assign(COLUMN, add(COLUMN, s["columns"])),
            If(op("ge", COLUMN, s["n"]), next_row),
        )
        return (
            *self.scratch(),
            Local(ROW, ZERO),
            Local(COLUMN, ZERO),
            Local(ITEM_BATCH, ZERO),
            If(op("gt", lo, ZERO), place),
            For(Var("item"), lo, hi, (*self.item(), *following)),
        )

    def scratch(self) -> Body:
        """The parts of the scratch memory."""
        t = self.t
        start = 64
        parts: list[Stmt] = []
        if self.epilogue:
            # The callee's scratch is a part of ours, behind our own first bytes.
            parts = [Allocate(self.below, index(64)), Allocate(self.c, index(64 + tile.TILE))]
            start += tile.FREE
        sums = t.heights[0] * t.panel * t.itemsize
        parts += [Allocate(self.sums, index(start)), Allocate(self.panel, index(start + sums))]
        return tuple(parts)

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
            Let(BATCH, ITEM_BATCH),
            Let(M1, op("minimum", add(ROW, s["rows"]), s["m"])),
            Let(N1, op("minimum", add(COLUMN, s["columns"]), s["n"])),
            Let(COUNT, sub(M1, M0)),
            *split(self.t, op("ne", s["strips"], ZERO)),
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
        start, packed, copied = Var("start"), Var("packed", "bool"), Var("copied", "bool")
        where, panel_start = Var("where_b"), Var("panel_start")
        lies, right = Buffer("lies", t.dtype), Buffer("right", t.dtype)
        first, pitch = Var("first"), Var("pitch")
        part = op("lt", WIDE, index(t.panel))
        if t.masks:
            # Blocks that read the left factor where it lies load with masks.
            part = op("and", part, op("ne", s["strips"], ZERO))
        packs = op("and", op("or", op("eq", s["direct"], ZERO), part), op("not", copied))
        source = Source(self.b, start, s["b_column"], s["b_inner"], WIDE, PIECE)
        whole = mul(ceildiv(WIDE, index(t.lanes)), index(t.lanes))
        if self.epilogue:
            base, adds = sub(P0, N0), op("gt", K0, ZERO)
        else:
            base = add(total((BATCH, s["c_batch"]), (M0, s["c_row"])), P0)
            adds = op("or", op("gt", K0, ZERO), op("ne", s["accumulate"], ZERO))
        return (
            Let(start, total((BATCH, s["b_batch"]), (K0, s["b_inner"]), (P0, s["b_column"]))),
            Let(WIDE, op("minimum", sub(N1, P0), index(t.panel))),
            Let(copied, op("ne", s["panels"], ZERO)),
            Let(packed, packs),
            If(packed, pack(t, source, Copy(self.panel, ZERO, index(t.panel), whole))),
            Choose(lies, copied, self.q, self.b),
            Choose(right, packed, self.panel, lies),
            Let(panel_start, self.panel_start(P0, K0)),
            Let(where, select(copied, panel_start, start)),
            Let(first, select(packed, ZERO, where)),
            Let(
                pitch,
                select(op("or", copied, packed), index(t.panel), s["b_inner"]),
            ),
            Let(BASE, base),
            Let(ADDS, adds),
            *self.ahead(copied, lies),
            *(Let(m, below(WIDE, index(v * t.lanes), t.lanes)) for v, m in enumerate(self.masks)),
            *self.rows(Right(right, first, pitch, ())),
        )

    def panel_start(self, column: Expr, k: Expr) -> Expr:
        """Where the panel that starts at ``column`` holds row ``k`` of the right factor."""
        s, t = self.size, self.t
        return add(strip_start(t, s["b_batch"], s["n"], column), mul(k, index(t.panel)))

    def ahead(self, copied: Expr, lies: Buffer) -> Body:
        """Where the panel that comes next begins."""
        s, t = self.size, self.t
        k, column = Var("next_k"), Var("next_column")
        following = add(K0, s["depth"])
        more = op("lt", following, s["k"])
        start = total((BATCH, s["b_batch"]), (k, s["b_inner"]), (column, s["b_column"]))
        return (
            Let(k, select(more, following, ZERO)),
            Let(column, select(more, P0, add(P0, index(t.panel)))),
            Let(AHEAD, select(copied, self.panel_start(column, k), start)),
            Let(AHEAD_ROW, select(copied, index(t.panel), s["b_inner"])),
            Let(AHEAD_COLUMN, select(copied, ONE, s["b_column"])),
        )

    def rows(self, right: Right) -> Body:
        """All rows of the item, for one panel."""
        t = self.t
        big, middle, small = t.heights
        second = mul(MANY, index(big))
        third = add(second, mul(SOME, index(middle)))
        wide = op("gt", WIDE, index(t.lanes))
        one, two = t.vectors - 1, t.vectors
        return (
            If(
                op("ne", self.size["strips"], ZERO),
                (
                    If(
                        wide,
                        (self.strips(big, two, right, ZERO, MANY),),
                        (self.strips(big, one, right, ZERO, MANY),),
                    ),
                    self.strips(middle, two, right, second, SOME),
                ),
                (
                    If(
                        wide,
                        (self.direct(middle, two, right, second, SOME, self.masks[one:]),),
                        (self.direct(middle, one, right, second, SOME, self.masks[:one]),),
                    ),
                    self.direct(small, two, right, third, FEW, self.masks),
                ),
            ),
        )

    def strips(self, height: int, vectors: int, right: Right, first: Expr, number: Var) -> Stmt:
        """``number`` blocks of strips, the first of them at row ``first`` of the item."""
        s, origin = self.size, Var("origin")
        rows = tuple(index(r) for r in range(height))
        left = Left(self.p, ((origin, rows),), index(height))
        head: list[Stmt] = [
            Let(
                origin,
                add(
                    strip_start(self.t, s["a_batch"], s["m"], add(M0, AT)),
                    mul(K0, index(height)),
                ),
            )
        ]
        main = number is MANY and vectors == self.t.vectors
        if main:
            head += self.line_ahead()
        return self.blocks(vectors, left, right, first, number, tuple(head), main)

    def direct(
        self,
        height: int,
        vectors: int,
        right: Right,
        first: Expr,
        number: Var,
        masks: list[Var],
    ) -> Stmt:
        """``number`` blocks of rows read where they lie; ``masks``: of the last vectors."""
        s, t = self.size, self.t
        origin, triple = Var("origin"), Var("triple")
        start = total((BATCH, s["a_batch"]), (add(M0, AT), s["a_row"]), (K0, s["a_inner"]))
        row = s["a_row"]
        head: list[Stmt] = [Let(origin, start)]
        if number is SOME:
            # Few registers for many rows: multiples of the stride are a part of an access.
            head.append(Let(triple, mul(row, index(3))))
            reach = (ZERO, row, mul(row, index(2)), triple)
            starts = [Var(f"origin{r}") for r in range(0, height, 4)]
            head += [Let(v, add(origin, mul(row, index(4 * g)))) for g, v in enumerate(starts)]
            groups = tuple((v, reach[: height - 4 * g]) for g, v in enumerate(starts))
        else:
            # Rows that are not there are read as the last one that is.
            offsets = [Var(f"r{r}") for r in range(1, height)]
            head += [
                Let(v, mul(op("minimum", index(r), sub(PRESENT, ONE)), row))
                for r, v in enumerate(offsets, 1)
            ]
            groups = ((origin, (ZERO, *offsets)),)
        left = Left(self.a, groups, s["a_inner"])
        right = right._replace(masks=tuple(masks) if t.masks else ())
        return self.blocks(vectors, left, right, first, number, tuple(head), False)

    def blocks(
        self,
        vectors: int,
        left: Left,
        right: Right,
        first: Expr,
        number: Var,
        head: Body,
        main: bool,
    ) -> Stmt:
        """``number`` blocks of equal height; ``main``: those that do nearly all of the work."""
        t = self.t
        height = left.height
        where = Var("where")
        aside, starts = Var("aside", "bool"), Var("starts", "bool")
        # What does not go straight to the result is brought there in a second step.
        reasons: list[Expr] = []
        if not self.epilogue:
            reasons.append(op("lt", WIDE, index(vectors * t.lanes)))
            if number is not MANY:
                reasons.append(op("lt", sub(COUNT, AT), index(height)))
        if not main:
            reasons.append(ADDS)
        every_step = self.prefetch() if main else ()
        shape = Shape(vectors, t.lanes, 2 if height * vectors <= 8 else 1)
        place: Body = (
            Let(AT, add(first, mul(BLOCK, index(height)))),
            Let(PRESENT, op("minimum", index(height), sub(COUNT, AT))),
            Let(where, add(BASE, mul(AT, self.pitch))),
            *head,
        )
        if not reasons:
            target = Target(self.c, where, self.pitch, ADDS)
            body = block(shape, PIECE, left, right, target, every_step)
            return For(BLOCK, ZERO, number, (*place, *body))
        reason = reasons[0]
        for other in reasons[1:]:
            reason = op("or", reason, other)
        start, pitch = Var("target_start"), Var("target_pitch")
        target = Target(Buffer("target", t.dtype), start, pitch, starts if main else None)
        choice: Body = (
            Let(aside, reason),
            Let(starts, op("and", ADDS, op("not", aside))),
            Choose(target.buffer, aside, self.sums, self.c),
            Let(start, select(aside, ZERO, where)),
            Let(pitch, select(aside, index(t.panel), self.pitch)),
        )
        body = block(shape, PIECE, left, right, target, every_step)
        last = If(aside, self.finish(vectors, where))
        return For(BLOCK, ZERO, number, (*place, *choice, *body, last))

    def finish(self, vectors: int, where: Expr) -> Body:
        """Bring the sums of a block to where they belong."""
        t = self.t
        line = Var("line")
        body: list[Stmt] = []
        for v in range(vectors):
            value = Var(f"t{v}", t.dtype, t.lanes)
            mask = None if self.epilogue else self.masks[v]
            source = add(mul(line, index(t.panel)), index(v * t.lanes))
            place = add(add(where, mul(line, self.pitch)), index(v * t.lanes))
            present = Load(self.c, place, t.lanes, mask)
            body += [
                Local(value, Load(self.sums, source, t.lanes)),
                If(ADDS, (Assign(value, op("add", value, present)),)),
                Store(self.c, place, value, mask),
            ]
        return (For(line, ZERO, PRESENT, tuple(body)),)

    def line_ahead(self) -> Body:
        """Which part of the panel that comes next this block asks for.

        Four blocks ask for all of it: two for the first lines of its rows, two for the last.
        """
        t = self.t
        half = mul(op("shr", BLOCK, ONE), op("shr", PIECE, ONE))
        last = mul(op("and", BLOCK, ONE), index(t.panel - 1))
        start = add(AHEAD, total((half, AHEAD_ROW), (last, AHEAD_COLUMN)))
        pitch = select(op("lt", BLOCK, index(4)), AHEAD_ROW, ZERO)
        return (Let(LINE, start), Let(LINE_PITCH, pitch))

    def prefetch(self) -> Body:
        """Ask for a line of the next panel at every other step: no more are under way at once."""
        lies = Buffer("lies", self.t.dtype)
        return (Prefetch(lies, add(LINE, mul(op("shr", STEP, ONE), LINE_PITCH))),)
