"""The kernel of a product: every item is a block of rows and columns of the result.

An item goes over the inner index in pieces; for each piece it goes over its
panels of columns, and runs the innermost loop on the rows, as many at a time as
registers hold.  The left factor may have been copied into strips before, else it is read
where it lies.  So is the right one by the first rows, which may keep a copy of the panel for the
others; a panel that lies across is copied before.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Body,
    Buffer,
    Call,
    Choose,
    Expr,
    For,
    Function,
    If,
    Let,
    Stmt,
    Store,
    Var,
)
from croton.schedule.product import tile
from croton.schedule.product.ahead import panel_ahead
from croton.schedule.product.blocks import Blocks
from croton.schedule.product.dot import COLUMNS, Lines, dot_block
from croton.schedule.product.finish import Finish
from croton.schedule.product.items import over_items
from croton.schedule.product.left import Apart
from croton.schedule.product.micro import (
    Given,
    Keep,
    Right,
    Shape,
    Target,
    block,
)
from croton.schedule.product.names import (
    ACROSS,
    ADDED,
    ADDED_ACROSS,
    ADDED_DOWN,
    ADDED_PITCH,
    ADDS,
    AT,
    BASE,
    BLOCK,
    COLUMN,
    CUT,
    DOWN,
    FEW,
    FRESH,
    GIVEN,
    HANDS,
    HERE,
    ITEM_BATCH,
    K0,
    KEPT,
    LIES,
    M1,
    MANY,
    N0,
    N1,
    P0,
    PIECE,
    PITCH,
    PRESENT,
    ROW,
    SIZES,
    SOME,
    START,
    STORE_SIZES,
    TIMES,
    TOGETHER,
    TURN,
    TURNED,
    WIDE,
    WIDTH,
)
from croton.schedule.product.pack import Copy, Source, below, pack
from croton.schedule.product.strips import (
    BATCH,
    BIG,
    COUNT,
    LYING,
    M0,
    MIDDLE,
    ONE,
    ZERO,
    ceildiv,
    split,
    total,
)
from croton.schedule.product.tiling import Tiling
from croton.schedule.product.ways import DEPTH, DIRECT, DOT, FAR, LONE, PANELS, ways


def scratch_bytes(t: Tiling) -> int:
    """Bytes of scratch for the sums of a block and a panel of the right factor."""
    return (t.strips[0] + t.line_pitch) * t.panel * t.itemsize


def kernel(t: Tiling) -> Function:
    """The kernel that stores the product, or hands its blocks to an epilogue.

    One for both: it takes long to compile, and most programs need both.
    """
    return _Product(t).function()


class _Product:
    def __init__(self, t: Tiling) -> None:
        self.t = t
        self.a = Buffer("left", t.dtype)
        self.b = Buffer("right", t.dtype)
        self.p = Buffer("p", t.dtype)
        self.cut = Buffer("cut_left", t.dtype)
        self.c = Buffer("stored", t.dtype)
        self.d = Buffer("d", t.dtype)
        self.added = Buffer("added", t.dtype)
        self.sums = Buffer("sums", t.dtype)
        self.panel = Buffer("panel", t.dtype)
        self.finish = Finish(t.dtype, self.sums, self.added, self.c)
        self.tile = Buffer("tile", t.dtype)
        self.callee = Buffer("epilogue", "int64")
        self.below = Buffer("below", "int64")
        #: The sizes, with those of the factors in the roles that they have.
        self.size: dict[str, Var] = {n: Var(n) for n in SIZES + STORE_SIZES}
        self.size |= {name: Var(f"own_{name}") for pair in TURNED for name in pair}
        self.size["b_panel"] = Var("own_b_panel")
        keep = Keep(FRESH, self.panel, t.panel)
        self.of_rows = Blocks(t, self.size, (self.a, self.cut), self.b, keep)
        self.masks = [Var(f"lanes{v}", "bool", t.lanes) for v in range(t.vectors)]
        #: Vectors that a lone row takes at a time.
        self.broad = min(8, t.leading // t.lanes)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        a, b, c = (Buffer(name, self.t.dtype) for name in "abc")
        body = (*self.scratch(), *self.roles(a, b, c), *over_items(self.size, self.item()))
        buffers = (a, b, self.p, self.callee, self.d, c)
        sizes = tuple(Var(n) for n in SIZES + STORE_SIZES)
        # Products and sums become one instruction where the machine has it.
        return Function(f"product_{self.t.dtype}", buffers, sizes, body, contract=True)

    def roles(self, a: Buffer, b: Buffer, c: Buffer) -> Body:
        """Which factor is the left one, where the result goes, and what follows from that."""
        right = Buffer("given_right", self.t.dtype)
        body: list[Stmt] = [
            Let(TURN, op("ne", self.size["turn"], ZERO)),
            Let(CUT, op("ne", self.size["strips"], ZERO)),
            Let(LIES, op("eq", self.size["strips"], index(LYING))),
            Let(HANDS, op("ne", self.size["hands"], ZERO)),
            Let(PANELS, op("ne", Var("b_panel"), Var("b_column"))),
            Choose(self.a, TURN, b, a),
            Choose(right, PANELS, self.p, b),
            Choose(self.b, TURN, a, right),
            Choose(self.cut, LIES, a, self.p),
            Choose(self.c, HANDS, self.tile, c),
            Let(self.size["b_panel"], select(TURN, Var("a_row"), Var("b_panel"))),
        ]
        for x, y in TURNED:
            body.append(Let(self.size[x], select(TURN, Var(y), Var(x))))
            body.append(Let(self.size[y], select(TURN, Var(x), Var(y))))
        return (
            *body,
            Let(PITCH, select(HANDS, index(self.t.leading), self.size["c_row"])),
            Let(DOWN, select(TURN, ONE, PITCH)),
            Let(ACROSS, select(TURN, PITCH, ONE)),
            *ways(self.t, self.size, CUT, op("not", HANDS)),
            Let(TOGETHER, self.together()),
        )

    def together(self) -> Expr:
        """How many items of the same rows may be one block.

        Where a left factor in strips is taken in several pieces, each stays near for all columns
        of the block, whose sums stay in the second cache.
        """
        s, room = self.size, self.t.second // 4 // self.t.itemsize
        near = op("floordiv", index(room), mul(s["rows"], s["columns"]))
        cut = op("and", op("and", CUT, op("not", HANDS)), op("lt", DEPTH, s["k"]))
        return select(cut, op("maximum", near, ONE), ONE)

    def scratch(self) -> Body:
        """The parts of the scratch memory: what an epilogue is given, behind our own first bytes.

        Our own part is where the epilogue may have more: they are not used at the same time.
        """
        t, start = self.t, 64 + tile.FREE
        sums = t.strips[0] * t.panel * t.itemsize
        places = {
            self.below: 64,
            self.tile: 64 + tile.TILE,
            self.sums: start,
            self.panel: start + sums,
        }
        return tuple(Allocate(buffer, index(place)) for buffer, place in places.items())

    def item(self) -> Body:
        """One block of the result."""
        s = self.size
        panels: Body = (For(P0, N0, N1, self.columns(), step=index(self.t.panel)),)
        if self.t.masks:
            broad = For(P0, N0, N1, self.lone(), step=index(self.broad * self.t.lanes))
            panels = (If(LONE, (broad,), panels),)
        piece: Body = (Let(PIECE, op("minimum", DEPTH, sub(s["k"], K0))), *panels)
        body: list[Stmt] = [
            Let(M0, ROW),
            Let(N0, COLUMN),
            Let(BATCH, ITEM_BATCH),
            Let(M1, op("minimum", add(ROW, s["rows"]), s["m"])),
            Let(N1, op("minimum", add(COLUMN, WIDTH), s["n"])),
            Let(COUNT, sub(M1, M0)),
            *self.blocks(),
            # Without an inner index, one empty piece still stores zeros.
            For(K0, ZERO, op("maximum", s["k"], ONE), piece, step=DEPTH),
        ]
        header = tile.HEADER // 8
        lo, hi, first, last = (
            select(TURN, turned, straight)
            for turned, straight in ((N0, M0), (N1, M1), (M0, N0), (M1, N1))
        )
        hand = [
            Store(self.below, index(header + at), value)
            for at, value in ((tile.N0, first), (tile.N1, last), (tile.BATCH, BATCH))
        ]
        return (*body, If(HANDS, (*hand, Call(self.callee, lo, hi, self.below))))

    def blocks(self) -> Body:
        """How many blocks of each height cover the rows of the item.

        Rows in strips are cut as those are.  Rows that are read where they lie are cut into
        blocks of two heights, of which the smaller may lack rows.
        """
        tall, low = self.t.blocks
        rest = sub(COUNT, mul(SOME, index(tall)))
        return (
            *split(self.t),
            Let(MANY, select(CUT, BIG, ZERO)),
            Let(SOME, select(CUT, MIDDLE, op("floordiv", COUNT, index(tall)))),
            Let(FEW, select(CUT, ZERO, ceildiv(rest, index(low)))),
        )

    def columns(self) -> Body:
        """One panel of columns, for one piece of the inner index."""
        s, t = self.size, self.t
        packed, copied = Var("packed", "bool"), Var("copied", "bool")
        right = Buffer("rows_of_right", t.dtype)
        first, pitch = Var("first"), Var("pitch")
        # What is read where it lies is read in whole vectors, but by narrow panels.
        straight = op("and", DIRECT, op("or", PANELS, op("ge", WIDE, index(t.panel))))
        keeps = op("and", op("eq", s["b_column"], ONE), op("not", op("or", straight, DOT)))
        if t.masks:
            keeps = op("and", keeps, op("gt", WIDE, index(t.lanes)))
            packs = op("not", DIRECT)
        else:
            keeps = op("and", keeps, op("ge", WIDE, index(t.panel)))
            packs = op("not", straight)
        packs = select(DOT, op("ne", s["b_inner"], ONE), op("and", packs, op("not", KEPT)))
        # For dot products the copy has the columns as lines, else the rows.
        source = Source(
            self.b,
            START,
            select(DOT, s["b_inner"], s["b_column"]),
            select(DOT, s["b_column"], s["b_inner"]),
            select(DOT, PIECE, WIDE),
            select(DOT, WIDE, PIECE),
        )
        line, whole = index(t.line_pitch), mul(ceildiv(WIDE, index(t.lanes)), index(t.lanes))
        # All vectors of a copy are read, and what memory holds may be slow to compute with.
        whole = select(CUT, index(t.panel), whole) if t.masks else index(t.panel)
        copy = Copy(self.panel, ZERO, select(DOT, line, index(t.panel)), select(DOT, PIECE, whole))
        return (
            *self.corner(t.panel),
            Let(KEPT, keeps),
            Let(packed, packs),
            If(packed, pack(t, source, copy)),
            Let(copied, op("or", packed, KEPT)),
            Choose(right, copied, self.panel, self.b),
            Let(first, select(copied, ZERO, START)),
            Let(pitch, select(copied, index(t.panel), s["b_inner"])),
            *panel_ahead(t, s),
            *(Let(m, below(WIDE, index(v * t.lanes), t.lanes)) for v, m in enumerate(self.masks)),
            If(
                DOT,
                self.dots(right, first, select(packed, line, s["b_column"])),
                self.rows(Right(right, first, pitch, ())),
            ),
        )

    def corner(self, columns: int) -> Body:
        """Where so many columns begin in the right factor and in the result."""
        s = self.size
        inside = mul(sub(P0, N0), ACROSS)
        base = total((BATCH, s["c_batch"]), (M0, DOWN), (P0, ACROSS))
        # What is given is added in the beginning; later there are sums of pieces.
        adds, later = op("ne", s["accumulate"], ZERO), op("gt", K0, ZERO)
        down, across = select(TURN, ONE, s["d_row"]), select(TURN, s["d_row"], ONE)
        given = total((BATCH, s["d_batch"]), (M0, down), (P0, across))
        return (
            Let(START, total((BATCH, s["b_batch"]), (K0, s["b_inner"]), (P0, s["b_panel"]))),
            Let(WIDE, op("minimum", sub(N1, P0), index(columns))),
            Let(BASE, select(HANDS, inside, base)),
            Let(ADDS, op("or", later, adds)),
            Let(GIVEN, op("and", adds, op("not", later))),
            Choose(self.added, GIVEN, self.d, self.c),
            Let(ADDED, select(GIVEN, given, BASE)),
            Let(ADDED_PITCH, select(GIVEN, s["d_row"], PITCH)),
            Let(ADDED_DOWN, select(GIVEN, down, DOWN)),
            Let(ADDED_ACROSS, select(GIVEN, across, ACROSS)),
        )

    def lone(self) -> Body:
        """The only row, for many columns."""
        t, s, pitch = self.t, self.size, index(self.broad * self.t.lanes)
        masks = [Var(f"broad{v}", "bool", t.lanes) for v in range(self.broad)]
        left = Apart(self.a, ((self.of_rows.origin(), (ZERO,)),), s["a_inner"])
        right = Right(self.b, START, s["b_inner"], tuple(masks))
        target = Target(self.sums, ZERO, pitch)
        return (
            *self.corner(self.broad * t.lanes),
            *(Let(m, below(WIDE, index(v * t.lanes), t.lanes)) for v, m in enumerate(masks)),
            Let(HERE, ZERO),
            Let(PRESENT, ONE),
            *block(Shape(self.broad, t.lanes, 2), PIECE, left, right, target),
            *self.finish(masks, (BASE, ADDED), self.broad * t.lanes, True),
        )

    def dots(self, right: Buffer, first: Expr, pitch: Expr) -> Body:
        """All rows of the item, for one panel, by dot products."""
        s, t = self.size, self.t
        row, column = Var("dot_row"), Var("dot_column")
        where, beside = Var("where"), Var("beside")
        height, columns = t.dots, COLUMNS
        rows = [Var(f"dot_a{i}") for i in range(height)]
        lines = [Var(f"dot_b{j}") for j in range(columns)]
        origin = total((BATCH, s["a_batch"]), (M0, s["a_row"]), (K0, s["a_inner"]))
        # Lines that are not there are read as the last one that is.
        places = [op("minimum", add(row, index(i)), sub(COUNT, ONE)) for i in range(height)]
        across = [op("minimum", add(column, index(j)), sub(WIDE, ONE)) for j in range(columns)]
        block: Body = (
            *(Let(v, add(first, mul(c, pitch))) for v, c in zip(lines, across, strict=True)),
            *dot_block(t, PIECE, Lines(self.a, tuple(rows)), Lines(right, tuple(lines)), self.sums),
            Let(where, add(add(BASE, mul(row, PITCH)), column)),
            Let(beside, add(add(ADDED, mul(row, ADDED_PITCH)), column)),
            Let(PRESENT, op("minimum", index(height), sub(COUNT, row))),
            Let(Var("dot_lanes", "bool", columns), below(WIDE, column, columns)),
            *self.finish((Var("dot_lanes", "bool", columns),), (where, beside), columns, False),
        )
        body: Body = (
            *(
                Let(v, add(origin, mul(place, s["a_row"])))
                for v, place in zip(rows, places, strict=True)
            ),
            For(column, ZERO, WIDE, block, step=index(columns)),
        )
        return (For(row, ZERO, COUNT, body, step=index(height)),)

    def rows(self, later: Right) -> Body:
        """All rows of the item, for one panel, by blocks of the result.

        ``later``: the right factor for all but the first block, which may keep a copy.
        """
        t = self.t
        first, apart = Var("first_of_right"), Var("right_pitch")
        masks = tuple(self.masks) if t.masks else ()
        right = Right(Buffer("right_of_block", t.dtype), first, apart, masks)
        (big, middle), (tall, low) = t.strips, t.blocks
        early, late, wide = Var("early", "bool"), Var("late", "bool"), Var("two", "bool")
        aside, starts = Var("aside", "bool"), Var("starts", "bool")
        begin, end, before = Var("begin"), Var("end"), Var("blocks_before")
        height, rows_before = Var("height"), Var("rows_before")
        where, start, pitch = Var("where"), Var("target_start"), Var("target_pitch")
        beside = Var("beside")
        second = mul(MANY, index(big))
        third = mul(SOME, index(tall))
        # Blocks of one vector are for narrow panels.
        single = op("and", op("not", op("or", wide, CUT)), op("not", late))
        full = select(single, index(t.lanes), index(t.panel))
        # What does not go straight to the result is brought there in a second step.
        missing = op("lt", COUNT, add(rows_before, mul(sub(end, before), height)))
        indirect = op("or", missing, op("lt", WIDE, full))
        indirect = op("or", indirect, TURN)
        # Others than most blocks do not add to the result themselves: it would be more code.
        others = op("and", wide, op("not", op("or", late, CUT)))
        adding = op("or", early, others)
        indirect = op("or", indirect, op("and", ADDS, op("not", adding)))
        target = Target(Buffer("target", t.dtype), start, pitch, far=FAR)
        main = target._replace(add=Given(starts, self.added, beside, ADDED_DOWN))
        one, two = t.vectors - 1, t.vectors
        cut = (
            If(
                early,
                self.of_rows.strips(big, two, right, main),
                self.of_rows.strips(middle, two, right, target),
            ),
        )
        uncut = (
            If(
                late,
                self.of_rows.few(low, right, target),
                (
                    If(
                        wide,
                        self.of_rows.some(tall, two, right, main),
                        self.of_rows.some(tall, one, right, target),
                    ),
                ),
            ),
        )
        blocks: Body = (
            Let(AT, add(rows_before, mul(sub(BLOCK, before), height))),
            Let(PRESENT, op("minimum", height, sub(COUNT, AT))),
            Let(where, add(BASE, mul(AT, DOWN))),
            Let(beside, add(ADDED, mul(AT, ADDED_DOWN))),
            Let(start, select(aside, ZERO, where)),
            If(CUT, cut, uncut),
            If(aside, self.finish(self.masks, (where, beside), t.panel, True)),
        )
        run: Body = (
            Let(FRESH, op("and", KEPT, op("eq", begin, ZERO))),
            Choose(right.buffer, FRESH, self.b, later.buffer),
            Let(first, select(FRESH, START, later.start)),
            Let(apart, select(FRESH, self.size["b_inner"], later.pitch)),
            Let(early, op("lt", begin, MANY)),
            Let(late, op("ge", begin, add(MANY, SOME))),
            Let(
                height,
                select(
                    CUT,
                    select(early, index(big), index(middle)),
                    select(late, index(low), index(tall)),
                ),
            ),
            Let(before, select(late, add(MANY, SOME), select(early, ZERO, MANY))),
            Let(rows_before, select(late, third, select(early, ZERO, second))),
            Let(aside, indirect),
            Let(starts, op("and", ADDS, op("not", aside))),
            Choose(target.buffer, aside, self.sums, self.c),
            Let(pitch, select(aside, index(t.panel), DOWN)),
            # Those whose sums are brought from the same place come one by one.
            Let(TIMES, select(aside, ONE, sub(end, begin))),
            For(BLOCK, begin, end, blocks, step=TIMES),
        )
        # Blocks of a kind follow each other: the one that keeps a copy, those of either height of
        # strips or of rows that are all there, and those of few rows.
        kind, kept = Var("kind"), select(KEPT, ONE, ZERO)
        ends = [
            kept,
            op("maximum", MANY, kept),
            op("maximum", add(MANY, SOME), kept),
            add(MANY, add(SOME, FEW)),
        ]
        until, since = ends[3], ends[2]
        for k in (2, 1, 0):
            of_kind = op("eq", kind, index(k))
            until = select(of_kind, ends[k], until)
            since = select(of_kind, ends[k - 1] if k else ZERO, since)
        # Kinds of which there are none are not even looked at.
        lowest = select(KEPT, ZERO, select(op("gt", MANY, ZERO), ONE, index(2)))
        highest = select(op("gt", FEW, ZERO), index(4), index(3))
        runs = (Let(begin, since), Let(end, until), If(op("lt", begin, end), run))
        return (
            Let(wide, op("gt", WIDE, index(t.lanes))),
            For(kind, lowest, highest, runs),
        )
