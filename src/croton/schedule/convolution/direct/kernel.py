"""The kernel of a direct convolution: every item is a box of places and some channels."""

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
from croton.schedule.convolution.direct.block import TAP, Ahead, Panel, Source, Target, block
from croton.schedule.convolution.direct.border import Region, copy_region, is_inside
from croton.schedule.convolution.direct.classes import GIVEN, ONE, ZERO, dimension, find
from croton.schedule.convolution.direct.filters import LIES, Packing, panel_size, row_of
from croton.schedule.product import tile
from croton.schedule.product.pack import below
from croton.schedule.product.strips import ceildiv
from croton.schedule.product.tiling import Tiling

DIMENSIONS = [dimension(d) for d in range(3)]

#: Sizes of the kernel: of the batch, the groups, the ``inner`` source channels of one and its
#: ``outer`` result channels; the images of a box, the channels of an item; and for every spatial
#: dimension those of :data:`~croton.schedule.convolution.direct.classes.GIVEN`.  If ``own`` is not
#: 0, items copy filters themselves, so many source channels at a time.  How filters lie comes last.
SIZES = (
    "batch", "groups", "inner", "outer", "images", "columns",
    *(f"{name}{d}" for name in GIVEN for d in range(3)),
    "own", *(f"filter_{name}" for name in LIES),
)  # fmt: skip

#: Places of a box, at most.
PLACES = tile.ROWS

_S = {name: Var(name) for name in SIZES}
BOX = [Var("item_image"), *(Var(f"item_place{d}") for d in range(3))]
#: How many images, and places along each dimension, the item has.
HAS = [Var("item_images"), *(Var(f"item_extent{d}") for d in range(3))]
GROUP, N0, N1 = Var("item_group"), Var("n0"), Var("n1")
_COUNT, _TAPS, _RUN = Var("count"), Var("taps"), Var("run")
_TAP0, _TAP1 = Var("first_tap"), Var("end_tap")
_K0, _K1 = Var("first_step"), Var("end_step")
_P0, _WIDE, _AT, _PRESENT = Var("p0"), Var("wide"), Var("at"), Var("present")
_ADDS, _ASIDE = Var("adds", "bool"), Var("aside", "bool")
#: Whether the item copies filters itself, and source channels that a panel has.
_OWN, _HELD = Var("owns", "bool"), Var("held")
#: Where the next panel begins that an item copies, and whether one tap meets places side by side.
_LATER, _LONE = Var("later_filters"), Var("lone", "bool")
#: Whether taps along the last dimension are one run.
_MERGED = Var("merged", "bool")


def scratch_bytes(t: Tiling, places: int = PLACES) -> int:
    """Bytes of scratch behind the tables of taps and the copy of the source."""
    return 4 * 8 * places + t.blocks[0] * t.panel * t.itemsize


def kernel(t: Tiling, epilogue: bool) -> Function:
    """The kernel that stores the result, or hands its blocks to an epilogue."""
    return Direct(t, epilogue).function()


class Direct:
    """Makes the kernel."""

    #: What its name ends in, with an epilogue; its sizes; places of a box, at most.
    ending, sizes, places_held = "_epilogue", SIZES, PLACES
    #: Bytes before an epilogue's tile.
    tile_start = tile.TILE
    #: Whether items may copy filters.
    copies = True

    def __init__(self, t: Tiling, epilogue: bool) -> None:
        self.t = t
        self.epilogue = epilogue
        self.source = Buffer("source", t.dtype)
        self.packed = Buffer("packed", t.dtype)
        self.result = Buffer("tile" if epilogue else "result", t.dtype)
        self.callee = Buffer("epilogue", "int64")
        self.below = Buffer("below", "int64")
        #: Where places lie in the source and in the result, and taps in source and filters.
        self.places, self.lines = Buffer("places", "int64"), Buffer("lines", "int64")
        #: Of the taps, those that meet more than the border there are from the first to the last.
        self.lowest, self.highest = Buffer("lowest", "int64"), Buffer("highest", "int64")
        self.tap_places, self.tap_rows = Buffer("tap_places", "int64"), Buffer("tap_rows", "int64")
        self.sums, self.copied = Buffer("sums", t.dtype), Buffer("copy", t.dtype)
        self.read = Buffer("read", t.dtype)
        #: Filters as they are given; a panel of an item's own; and the panels that it reads.
        self.filters, self.own = Buffer("filters", t.dtype), Buffer("own_panel", t.dtype)
        self.panels = Buffer("panels", t.dtype)
        #: What blocks ask for.
        self.next = Buffer("next", t.dtype)
        size = {f"k{k}": d.taps for k, d in enumerate(DIMENSIONS)}
        size |= {name: _S[f"filter_{name}"] for name in LIES}
        rows = Buffer("filter_rows", "int64")
        self.packing = Packing(t, self.filters, self.own, rows, size, _HELD)
        self.masks = [Var(f"lanes{v}", "bool", t.lanes) for v in range(t.vectors)]
        #: Where the box begins in what boxes cut.
        self.begin = BOX[1:]

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        name = f"convolution_{self.t.dtype}" + (self.ending if self.epilogue else "")
        last = self.callee if self.epilogue else self.result
        items = For(Var("item"), Var("lo"), Var("hi"), self.item())
        return Function(
            name,
            (self.source, self.packed, last, self.filters),
            tuple(Var(n) for n in self.sizes),
            (
                *self.scratch(),
                Let(_OWN, op("ne", _S["own"], ZERO)),
                Let(_HELD, select(_OWN, _S["own"], _S["inner"])),
                Choose(self.panels, _OWN, self.own, self.packed),
                *self.packing.prepare(_OWN),
                items,
            ),
            contract=True,
        )

    def scratch(self) -> Body:
        """The parts of the scratch memory."""
        parts: list[Stmt] = []
        start, held = 64, self.places_held
        if self.epilogue:
            at = index(64 + self.tile_start)
            parts = [Allocate(self.below, index(64)), Allocate(self.result, at)]
            start += self.tile_start + held * tile.PITCH
        for buffer, length in (
            (self.places, 8 * held),
            (self.lines, 8 * held),
            (self.lowest, 8 * held),
            (self.highest, 8 * held),
            (self.sums, self.t.blocks[0] * self.t.panel * self.t.itemsize),
        ):
            parts.append(Allocate(buffer, index(start)))
            start += length
        taps = mul(_all_taps(), index(8))
        rounded = _lines(taps)
        size = {f"k{k}": d.taps for k, d in enumerate(DIMENSIONS)} | {"inner": _S["own"]}
        own = mul(panel_size(self.t, size), index(self.t.itemsize))
        table = _lines(mul(taps, _S["own"]))
        places: list[Expr] = [index(start)]
        for n in (rounded, rounded, select(op("ne", _S["own"], ZERO), own, ZERO), table):
            places.append(add(places[-1], n))
        buffers = (self.tap_places, self.tap_rows, self.own, self.packing.rows, self.copied)
        parts += [Allocate(b, place) for b, place in zip(buffers, places, strict=True)]
        return tuple(parts)

    def item(self) -> Body:
        """One box of places, for some result channels."""
        d = DIMENSIONS
        extents = [Var(f"extent{k}") for k in range(3)]
        region = Region(
            BOX[0],
            HAS[0],
            [sub(mul(i, x.stride), x.border) for i, x in zip(BOX[1:], d, strict=True)],
            extents,
            [x.source for x in d],
            mul(GROUP, _S["inner"]),
            _S["inner"],
            mul(_S["groups"], _S["inner"]),
        )
        inside, copies = Var("inside", "bool"), Var("copies", "bool")
        reach = [
            Let(e, add(add(mul(sub(h, ONE), x.stride), mul(sub(x.number, ONE), x.reach)), ONE))
            for e, h, x in zip(extents, HAS[1:], d, strict=True)
        ]
        pitch, line, plane, image, origin = (
            Var(f"source_{n}") for n in ("pitch", "line", "plane", "image", "origin")
        )
        there = add(mul(BOX[0], d[0].source), region.starts[0])
        for k in (1, 2):
            there = add(mul(there, d[k].source), region.starts[k])
        strides = (
            Let(pitch, select(copies, region.channels, region.pitch)),
            Let(line, mul(pitch, select(copies, region.extents[2], d[2].source))),
            Let(plane, mul(line, select(copies, region.extents[1], d[1].source))),
            Let(image, mul(plane, select(copies, region.extents[0], d[0].source))),
            Let(origin, select(copies, ZERO, add(mul(there, region.pitch), region.channel))),
        )
        body: Body = (
            *(s for x in d for s in find(x)),
            *self.extents(),
            Let(_TAPS, mul(mul(d[0].number, d[1].number), d[2].number)),
            *reach,
            Let(inside, is_inside(region)),
            Let(copies, op("not", op("or", inside, op("eq", _TAPS, ZERO)))),
            If(copies, copy_region(self.source, self.copied, region, self.t.lanes)),
            Choose(self.read, copies, self.copied, self.source),
            *strides,
            *self.tables(origin, [image, plane, line, pitch]),
            *self.pieces(),
        )
        if self.epilogue:
            body = (*body, *self.hand_over())
        # Classes of places take turns, so that neighbours in the result are stored one soon after
        # the other.
        for x in reversed(d):
            body = (For(x.first, ZERO, x.apart, body),)
        return (*self.decode(), *body)

    def hand_over(self) -> Body:
        """Call the epilogue for the box."""
        header = tile.HEADER // 8
        first: Expr = BOX[0]
        for k, x in enumerate(DIMENSIONS):
            first = add(mul(first, x.result), BOX[k + 1])
        base = mul(GROUP, _S["outer"])
        return (
            Store(self.below, index(header + tile.N0), add(base, N0)),
            Store(self.below, index(header + tile.N1), add(base, N1)),
            Store(self.below, index(header + tile.BATCH), ZERO),
            Call(self.callee, first, add(first, _COUNT), self.below),
        )

    def decode(self) -> Body:
        """What the item is: places run fastest, result channels slowest."""
        d = DIMENSIONS
        found: list[Stmt] = []
        rest: Expr = Var("item")
        places = [Var(f"places{k}") for k in range(3)]
        found += [Let(p, n) for p, n in zip(places, self.numbers(), strict=True)]
        radices: list[tuple[Var, Expr]] = [
            *((self.begin[k], ceildiv(places[k], d[k].box)) for k in (2, 1, 0)),
            (BOX[0], ceildiv(_S["batch"], _S["images"])),
            (GROUP, _S["groups"]),
        ]
        steps = [*(d[k].box for k in (2, 1, 0)), _S["images"]]
        for number, (name, radix) in enumerate(radices):
            quotient = Var(f"rest{number}")
            found.append(Let(quotient, op("floordiv", rest, radix)))
            digit = sub(rest, mul(quotient, radix))
            found.append(Let(name, mul(digit, steps[number]) if number < 4 else digit))
            rest = quotient
        found += [
            Let(N0, mul(rest, _S["columns"])),
            Let(N1, op("minimum", add(N0, _S["columns"]), _S["outer"])),
        ]
        found.append(Let(HAS[0], op("minimum", _S["images"], sub(_S["batch"], BOX[0]))))
        return tuple(found)

    def numbers(self) -> list[Expr]:
        """What boxes cut, along each dimension: the places of a class, the first one's."""
        return [ceildiv(x.result, x.apart) for x in DIMENSIONS]

    def extents(self) -> Body:
        """How many places of its class the box has."""
        found: list[Stmt] = []
        for x, first, has in zip(DIMENSIONS, BOX[1:], HAS[1:], strict=True):
            own = ceildiv(sub(x.result, x.first), x.apart)
            # A class may have one place less than the first one.
            left = op("maximum", sub(own, first), ZERO)
            found.append(Let(has, op("minimum", x.box, left)))
        return tuple(found)

    def tables(self, origin: Expr, strides: list[Var]) -> Body:
        """Where places and taps lie; ``strides`` of the source: images, dimensions 0 to 2."""
        d = DIMENSIONS
        row, column = Var("table_row"), Var("table_column")
        loops = [Var(f"table{k}") for k in range(4)]
        source = add(origin, mul(loops[0], strides[0]))
        result = add(BOX[0], loops[0])
        for k, x in enumerate(d):
            source = add(source, mul(mul(loops[k + 1], x.stride), strides[k + 1]))
            at = add(x.first, mul(add(BOX[k + 1], loops[k + 1]), x.apart))
            result = add(mul(result, x.result), at)
        line: Expr = add(mul(result, mul(_S["groups"], _S["outer"])), mul(GROUP, _S["outer"]))
        if self.epilogue:
            number: Expr = loops[0]
            for k in (1, 2, 3):
                number = add(mul(number, HAS[k]), loops[k])
            line = mul(number, index(self.t.leading))
        low, high = Var("low_tap"), Var("high_tap")
        body: Body = (
            Store(self.places, row, source),
            Store(self.lines, row, line),
            Store(self.lowest, row, low),
            Store(self.highest, row, high),
            Assign(row, add(row, ONE)),
        )
        # Places of the same line of all images lie side by side: the same taps meet them.
        for k in (3, 1, 0):
            body = (For(loops[k], ZERO, HAS[k], body),)
        body = (For(loops[2], ZERO, HAS[2], (*self.meets(loops[2], low, high), *body)),)
        # Taps along the last dimension that lie side by side in source and filters are one run.
        side = op("and", op("eq", d[2].reach, ONE), op("eq", d[2].number, d[2].taps))
        side = op("and", side, op("eq", strides[3], _S["inner"]))
        side = op("and", side, op("eq", _HELD, _S["inner"]))
        taps = [Var(f"table_tap{k}") for k in range(3)]
        place: Expr = ZERO
        numbers: list[Expr] = []
        for k, x in enumerate(d):
            place = add(place, mul(mul(taps[k], x.reach), strides[k + 1]))
            numbers.append(add(x.tap, mul(taps[k], x.every)))
        rows = row_of(d[1].taps, d[2].taps, _HELD, numbers)
        tap: Body = (
            Store(self.tap_places, column, place),
            Store(self.tap_rows, column, rows),
            Assign(column, add(column, ONE)),
        )
        counts = [
            d[0].number,
            d[1].number,
            select(_MERGED, op("minimum", d[2].number, ONE), d[2].number),
        ]
        for k in (2, 1, 0):
            tap = (For(taps[k], ZERO, counts[k], tap),)
        return (
            Let(_MERGED, side),
            Local(row, ZERO),
            *body,
            Let(_COUNT, row),
            Local(column, ZERO),
            *tap,
            Let(Var("runs"), column),
            Let(_RUN, mul(_S["inner"], select(_MERGED, d[2].number, ONE))),
        )

    def meets(self, at: Expr, low: Var, high: Var) -> Body:
        """Which taps meet the image at line ``at`` of the box: those of some lines of the filter.

        That is asked for where it has one plane; else all taps count.
        """
        first, x, last = DIMENSIONS
        before = sub(x.border, mul(add(BOX[2], at), x.stride))
        lowest = ceildiv(op("maximum", before, ZERO), x.reach)
        beyond = op("floordiv", add(sub(x.source, ONE), before), x.reach)
        highest = op("minimum", add(op("maximum", beyond, index(-1)), ONE), x.number)
        each = select(_MERGED, op("minimum", last.number, ONE), last.number)
        plane = op("eq", first.number, ONE)
        return (
            Let(high, mul(select(plane, highest, mul(first.number, x.number)), each)),
            Let(low, select(plane, op("minimum", mul(lowest, each), high), ZERO)),
        )

    def pieces(self) -> Body:
        """Go over the taps and their runs in pieces, so that a panel stays in the cache."""
        t, runs = self.t, Var("runs")
        whole, several, step, size = Var("whole", "bool"), Var("several"), Var("size"), Var("part")
        each = Var("taps_of_part")
        panels: Body = (For(_P0, N0, N1, self.panel(), step=index(t.panel)),)
        inner: Body = (
            Let(_K1, op("minimum", add(_K0, size), _RUN)),
            Let(_ADDS, op("gt", add(_TAP0, _K0), ZERO)),
            *panels,
        )
        # Without taps, or without source channels, one empty piece still stores zeros.
        outer: Body = (
            Let(_TAP1, op("minimum", add(_TAP0, each), runs)),
            For(_K0, ZERO, op("maximum", _RUN, ONE), inner, step=size),
        )
        run = op("maximum", _RUN, ONE)
        parts = ceildiv(run, index(t.longest))
        return (
            Let(whole, op("le", mul(run, runs), index(t.longest))),
            Let(step, op("maximum", op("floordiv", index(t.depth), run), ONE)),
            Let(several, select(whole, op("maximum", runs, ONE), step)),
            # A panel of its own has all taps.
            Let(each, select(_OWN, op("maximum", runs, ONE), several)),
            Let(size, select(_OWN, select(_MERGED, run, _HELD), ceildiv(run, parts))),
            For(_TAP0, ZERO, op("maximum", runs, ONE), outer, step=each),
        )

    def panel(self) -> Body:
        """One panel of result channels, for all places."""
        t = self.t
        tall, low = t.blocks
        start, narrow = Var("panel_start"), Var("narrow", "bool")
        depth = select(_MERGED, _S["inner"], sub(_K1, _K0))
        own = self.packing.copy_lines(self.piece_start(_P0, _K0), _WIDE, depth, ZERO)
        whole, rest = Var("whole_blocks"), Var("lower_blocks")
        panels = ceildiv(_S["outer"], index(t.panel))
        number = add(mul(GROUP, panels), op("floordiv", _P0, index(t.panel)))
        size = {f"k{k}": d.taps for k, d in enumerate(DIMENSIONS)} | {"inner": _S["inner"]}
        column = sub(_P0, N0) if self.epilogue else _P0
        block_number = Var("block")
        body: Body = (
            If(
                op("lt", block_number, whole),
                (
                    Let(_AT, mul(block_number, index(tall))),
                    Let(_PRESENT, index(tall)),
                    If(
                        narrow,
                        self.block(tall, 1, start, column),
                        self.block(tall, 2, start, column),
                    ),
                ),
                (
                    Let(
                        _AT,
                        add(
                            mul(whole, index(tall)),
                            mul(sub(block_number, whole), index(low)),
                        ),
                    ),
                    Let(_PRESENT, op("minimum", index(low), sub(_COUNT, _AT))),
                    *self.block(low, 2, start, column),
                ),
            ),
        )
        return (
            Let(_WIDE, op("minimum", sub(N1, _P0), index(t.panel))),
            Let(
                start,
                select(_OWN, sub(ZERO, mul(_K0, index(t.panel))), mul(number, panel_size(t, size))),
            ),
            *((If(_OWN, own),) if self.copies else ()),
            *self.ahead(),
            Let(narrow, op("le", _WIDE, index(t.lanes))),
            *(Let(m, below(_WIDE, index(v * t.lanes), t.lanes)) for v, m in enumerate(self.masks)),
            Let(whole, op("floordiv", _COUNT, index(tall))),
            Let(rest, ceildiv(sub(_COUNT, mul(whole, index(tall))), index(low))),
            For(block_number, ZERO, add(whole, rest), body),
        )

    def piece_start(self, outer: Expr, inner: Expr) -> Expr:
        """Where filters begin: of these channels of the result and of the source."""
        at = add(_S["filter_start"], mul(GROUP, _S["filter_group"]))
        at = add(at, mul(outer, _S["filter_across"]))
        return add(at, mul(inner, _S["filter_along"]))

    def ahead(self) -> Body:
        """What the blocks of a panel ask for: the next panel that is copied, a part each tap.

        What one tap meets of the next places is all new, and lies behind this: more rows than the
        hardware follows by itself.
        """
        outer, inner = Var("next_outer"), Var("next_inner")
        beside, behind = add(_P0, index(self.t.panel)), add(_K0, _HELD)
        last, more = op("ge", beside, N1), op("lt", behind, _S["inner"])
        lone = op("and", op("eq", _TAPS, ONE), op("eq", DIMENSIONS[2].stride, ONE))
        return (
            Let(inner, select(last, select(more, behind, ZERO), _K0)),
            Let(outer, select(last, select(more, N0, N1), beside)),
            Let(_LATER, add(self.piece_start(outer, sub(inner, _K0)), self.packing.lowest())),
            Let(_LONE, op("and", lone, op("not", _OWN))),
            Choose(self.next, _OWN, self.filters, self.read),
        )

    def asked(self, start: Expr, height: int) -> Ahead:
        """The same of a block."""
        number = add(mul(Var("block"), _TAP1), TAP)
        part, end = self.packing.part(_WIDE)
        own = add(_LATER, mul(op("minimum", number, end), part))
        source = add(start, select(_LONE, mul(_S["inner"], index(height)), ZERO))
        pace = select(_LONE, index(height), ZERO)
        return Ahead(
            self.next,
            select(_OWN, own, source),
            select(_OWN, _S["filter_along"], pace),
        )

    def block(self, height: int, vectors: int, start: Expr, column: Expr) -> Body:
        """A block, and what brings it to the result if parts of it are missing there."""
        t = self.t
        starts = [Var(f"place{i}") for i in range(height)]
        lines = [Var(f"line{i}") for i in range(height)]
        aside, adds = Var("aside", "bool"), Var("starts", "bool")
        target = Buffer("target", t.dtype)
        low, high, last = Var("block_low"), Var("block_high"), sub(add(_AT, _PRESENT), ONE)
        full = index(vectors * t.lanes)
        missing = op("or", op("lt", _WIDE, full), op("lt", _PRESENT, index(height)))
        # Places that are not there are computed as the last one that is.
        rows = [
            add(_AT, op("minimum", index(i), sub(_PRESENT, ONE)))
            if height < t.blocks[0]
            else add(_AT, index(i))
            for i in range(height)
        ]
        # Nobody else asks for lines that are only written, and that are far from each other.
        asks = [
            Prefetch(target, add(line, index(at)), write=True)
            for line in lines
            for at in range(0, vectors * t.lanes, 64 // t.itemsize)
            if t.few or not self.epilogue
        ]
        return (
            Let(aside, missing),
            Let(adds, op("and", _ADDS, op("not", aside))),
            Choose(target, aside, self.sums, self.result),
            *(Let(s, Load(self.places, row)) for s, row in zip(starts, rows, strict=True)),
            *(
                Let(
                    line,
                    select(aside, index(i * t.panel), add(Load(self.lines, row), column)),
                )
                for i, (line, row) in enumerate(zip(lines, rows, strict=True))
            ),
            *asks,
            # From place to place the first tap and the last one fall, or stay the same.
            Let(low, op("maximum", _TAP0, Load(self.lowest, last))),
            Let(high, op("minimum", _TAP1, Load(self.highest, _AT))),
            *block(
                vectors,
                t.lanes,
                (low, high),
                (_K0, _K1),
                Source(self.read, starts, self.tap_places),
                Panel(self.panels, start, self.tap_rows, t.panel),
                Target(target, lines, adds),
                self.asked(starts[0], height) if (height, vectors) == (t.blocks[0], 2) else None,
            ),
            If(aside, self.finish(vectors, column)),
        )

    def finish(self, vectors: int, column: Expr) -> Body:
        """Bring the sums of a block to the result, as far as it has them."""
        t, line, where = self.t, Var("finish_line"), Var("finish_where")
        found: list[Stmt] = [Let(where, add(Load(self.lines, add(_AT, line)), column))]
        for v, there in enumerate(self.masks[:vectors]):
            value = Var(f"value{v}", t.dtype, t.lanes)
            place = add(where, index(v * t.lanes))
            # What a row of a tile holds beyond its columns may be written.
            mask = None if self.epilogue else there
            source = add(mul(line, index(t.panel)), index(v * t.lanes))
            present = Load(self.result, place, t.lanes, mask)
            found += [
                Local(value, Load(self.sums, source, t.lanes)),
                If(_ADDS, (Assign(value, op("add", value, present)),)),
                Store(self.result, place, value, mask),
            ]
        return (For(line, ZERO, _PRESENT, tuple(found)),)


def _lines(count: Expr) -> Expr:
    """Bytes of the lines of a cache that so many lie in."""
    return mul(ceildiv(count, index(64)), index(64))


def _all_taps() -> Expr:
    d = DIMENSIONS
    return mul(mul(d[0].taps, d[1].taps), d[2].taps)
