"""The kernel of the forward kind and of the inputs: an item is a part of the result.

It goes over its lines, in each line over the places that see all taps inside of the source in
blocks of several, and over the others one by one.
"""

from __future__ import annotations

from collections.abc import Callable

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Aligned,
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
from croton.schedule.convolution.depthwise.block import (
    RUN,
    Buffers,
    Moves,
    Shape,
    Start,
    Taps,
    Window,
    block,
)
from croton.schedule.convolution.depthwise.choice import LINE_BYTES, Tiling, family
from croton.schedule.convolution.depthwise.dimensions import (
    FIRST,
    HIGH,
    LOW,
    NUMBER,
    ONE,
    ORIGIN,
    ZERO,
    Dimension,
    Reach,
    ceil,
    clip,
    dimensions,
    floor,
    reach,
    word,
)
from croton.schedule.convolution.depthwise.walk import (
    AT0,
    AT1,
    C0,
    C1,
    CHANNELS,
    IMAGE,
    LINE,
    LINE0,
    LINE1,
    PLACE0,
    PLACE1,
    WALK_SIZES,
    C,
    item_of,
    next_line,
    read_next,
)
from croton.schedule.product import tile
from croton.schedule.product.pack import below

#: How the filters lie that are read: ``direct`` if where they were given, else where they were
#: packed to.
OWN = ("direct", "start", "step0", "step1", "step2", "inner")
#: ``far`` (0 or 1) is for arrays that are larger than the caches: results are stored past them,
#: and what a line reads is fetched while the one before is computed.
SIZES = (*WALK_SIZES, *OWN, "tile_lines", "far")

TILE_LINES = Var("tile_lines")
#: Whether results go past the caches.
PAST = Var("past_caches", "bool")
#: What is fetched next, and how many places of it with each block.
FETCH, FETCHES = Var("fetch"), Var("fetches")
#: Where the line begins in the source, the filters and the result, before the last dimension.
SOURCE, FILTER, RESULT = Var("source_line"), Var("filter_line"), Var("result_line")
#: Of the class of places along the last dimension: how many taps, the first one, and what it
#: reads for the first place.
TAPS2, TAP2, ORIGIN2 = Var("taps2"), Var("first_tap2"), Var("origin2")

#: Where a block begins: given its place, what that reads, its first tap and its taps.
Starts = Callable[[Expr, Expr, Expr, Taps | Window], Start]


def kernel(t: Tiling, forward: bool, epilogue: bool) -> Function:
    """The kernel that stores its result, or hands it to an epilogue."""
    return _Lines(t, forward, epilogue).function()


class _Lines:
    def __init__(self, t: Tiling, forward: bool, epilogue: bool) -> None:
        self.t, self.forward, self.epilogue = t, forward, epilogue
        self.source = Buffer("source", t.dtype)
        self.given, self.packed = Buffer("given", t.dtype), Buffer("packed", t.dtype)
        self.filters = Buffer("rows_of_filters", t.dtype)
        self.result = Buffer("tile" if epilogue else "result", t.dtype)
        self.callee, self.below = Buffer("epilogue", "int64"), Buffer("below", "int64")
        self.table = Buffer("classes", "int64")
        #: From place to place of the result as it is stored.
        self.pitch: Expr = index(t.leading) if epilogue else CHANNELS
        self.fill, self.dimensions = dimensions(forward, self.table)

    def function(self) -> Function:
        """All items of ``[lo, hi)``."""
        kind = "forward" if self.forward else "inputs"
        name = f"{family(self.t)}_{kind}_{self.t.dtype}" + ("_epilogue" if self.epilogue else "")
        last = self.callee if self.epilogue else self.result
        parts: list[Stmt] = []
        start = 64
        if self.epilogue:
            # The callee's scratch is a part of ours, behind our own first bytes.
            parts = [
                Allocate(self.below, index(64)),
                Allocate(self.result, index(64 + tile.TILE)),
            ]
            start += tile.FREE
        body = (
            *parts,
            *self.past(),
            Allocate(self.table, index(start)),
            Choose(self.filters, op("ne", Var("direct"), ZERO), self.given, self.packed),
            *self.fill,
            *self.moves(),
            For(Var("item"), Var("lo"), Var("hi"), self.item()),
        )
        buffers = (self.source, self.given, self.packed, last)
        # Products and sums become one instruction where the machine has it.
        return Function(name, buffers, tuple(Var(n) for n in SIZES), body, contract=True)

    @property
    def can_pass(self) -> bool:
        """Whether vectors may go past the caches: those that are whole lines of them."""
        return not self.epilogue and self.t.lanes * self.t.itemsize == LINE_BYTES

    def past(self) -> Body:
        """Whether results go past the caches."""
        if not self.can_pass:
            return ()
        whole = op("eq", op("mod", CHANNELS, index(self.t.lanes)), ZERO)
        far, start = op("ne", Var("far"), ZERO), Var("aligned", "bool")
        return (
            Aligned(start, self.result, LINE_BYTES),
            Let(PAST, op("and", op("and", far, whole), start)),
        )

    def moves(self) -> Body:
        """What is added to go on."""
        d0, d1, d2 = self.dimensions
        plane, row = Var("source_plane"), Var("source_row")
        names = [Var(f"move{d}") for d in range(3)]
        own = [Var(f"filter_move{d}") for d in range(3)]
        place, result = Var("place_move"), Var("result_move")
        triples = Var("place_triple"), Var("filter_triple")
        self.step = Moves(
            (names[0], names[1], names[2]),
            (own[0], own[1], own[2]),
            place,
            result,
            triples,
            Var("inner"),
        )
        return (
            Let(row, mul(d2.source, CHANNELS)),
            Let(plane, mul(d1.source, row)),
            Let(names[0], mul(d0.reach, plane)),
            Let(names[1], mul(d1.reach, row)),
            Let(names[2], mul(d2.reach, CHANNELS)),
            *(
                Let(v, mul(d.tap, Var(f"step{d.number}")))
                for v, d in zip(own, self.dimensions, strict=True)
            ),
            Let(place, mul(d2.stride, CHANNELS)),
            Let(triples[0], mul(place, index(3))),
            Let(triples[1], mul(own[2], index(3))),
            Let(result, mul(d2.apart, self.pitch)),
        )

    def item(self) -> Body:
        """One part of the result."""
        d2 = self.dimensions[2]
        first = Var("first_line")
        decode = item_of(self.dimensions)
        line: Body = (*self.line(first), *next_line(self.dimensions))
        if not self.epilogue:
            return (*decode, For(LINE, LINE0, LINE1, line))
        last = Var("last_line")
        lo = add(mul(first, d2.result), PLACE0)
        hi = add(mul(sub(last, ONE), d2.result), PLACE1)
        header = tile.HEADER // 8
        tiles: Body = (
            Let(last, op("minimum", add(first, TILE_LINES), LINE1)),
            For(LINE, first, last, line),
            *(
                Store(self.below, index(header + at), value)
                for at, value in ((tile.N0, C0), (tile.N1, C1), (tile.BATCH, ZERO))
            ),
            Call(self.callee, lo, hi, self.below),
        )
        return (*decode, For(first, LINE0, LINE1, tiles, step=TILE_LINES))

    def line(self, first: Expr) -> Body:
        """The places of the item in one line."""
        d0, d1, d2 = self.dimensions
        body: list[Stmt] = []
        reached: list[Reach] = []
        for d, at in ((d0, AT0), (d1, AT1)):
            which, place = self.class_of(d, at, body)
            found, reaches = reach(d, self.table, which, place, "line")
            body += found
            reached.append(reaches)
        plane = add(mul(IMAGE, d0.source), reached[0].source)
        row = add(mul(plane, d1.source), reached[1].source)
        taps = add(
            add(Var("start"), mul(reached[0].tap, Var("step0"))),
            mul(reached[1].tap, Var("step1")),
        )
        result = mul(LINE, d2.result)
        if self.epilogue:
            result = sub(result, add(mul(first, d2.result), PLACE0))
            result = sub(mul(result, self.pitch), C0)
        else:
            result = mul(result, self.pitch)
        which = Var("class2")
        body += [
            Let(SOURCE, mul(mul(row, d2.source), CHANNELS)),
            Let(FILTER, taps),
            Let(RESULT, result),
            *self.fetch(),
            For(which, ZERO, d2.apart, self.places(which, (reached[0].many, reached[1].many))),
        ]
        return tuple(body)

    def fetch(self) -> Body:
        """What is fetched along with the line: its share of what the next one adds to it."""
        d0, d1, d2 = self.dimensions
        plane, first, places = Var("fetch_plane"), Var("fetch_first"), Var("fetch_places")
        if self.forward:
            plane_at, start, number = read_next(self.dimensions)
        else:
            # As many lines as there are classes share a row.
            plane_at = floor(add(AT0, Var("before0")), d0.apart)
            start = floor(mul(add(add(AT1, Var("before1")), d1.apart), d2.source), d1.apart)
            number = ceil(d2.source, d1.apart)
        planes = add(mul(IMAGE, d0.source), plane)
        # Of the line, the part that the item has.
        span = op("maximum", d2.result, ONE)
        begin = add(first, floor(mul(places, PLACE0), span))
        return (
            Let(plane, plane_at),
            Let(first, add(mul(mul(planes, d1.source), d2.source), start)),
            Let(places, select(op("ne", Var("far"), ZERO), number, ZERO)),
            Let(Var("fetch_own"), ceil(mul(places, sub(PLACE1, PLACE0)), span)),
            Local(FETCH, mul(begin, CHANNELS)),
        )

    def class_of(self, d: Dimension, at: Expr, body: list[Stmt]) -> tuple[Expr, Expr]:
        """The class of a place, and its number in there."""
        if self.forward:
            return ZERO, at
        number, which = Var(f"number{d.number}"), Var(f"class{d.number}")
        body += [Let(number, floor(at, d.apart)), Let(which, sub(at, mul(number, d.apart)))]
        return which, number

    def places(self, which: Expr, taps: tuple[Expr, Expr]) -> Body:
        """The places of one class.

        Those that see all taps go in blocks, and the others one by one.  Where the former are too
        few for a block, all places go in blocks that have windows, if taps move as places do.
        Blocks may overlap: what is computed twice gets the same bits.
        """
        d, (big, small) = self.dimensions[2], self.t.places
        begin, end, low, high = (Var(n) for n in ("begin", "end", "inner_low", "inner_high"))
        runs, single, slides = Var("runs"), Var("single_taps"), Var("slides", "bool")
        inside, several, few = Var("inside"), Var("several"), Var("few", "bool")
        bigs, smalls, done = Var("big_blocks"), Var("small_blocks"), Var("in_big")
        block, blocks, edges = Var("block"), Var("blocks"), sub(end, several)
        taken = Taps(runs, single)

        def start(at: Expr, read: Expr, tap: Expr, last: Taps | Window) -> Start:
            return Start(
                add(SOURCE, mul(read, CHANNELS)),
                add(FILTER, mul(tap, Var("step2"))),
                add(RESULT, mul(add(which, mul(at, d.apart)), self.pitch)),
                *taps,
                last,
            )

        def whole(size: int, number: Expr, at: Expr) -> For:
            now = Var("block_place")
            read = add(ORIGIN2, mul(now, d.stride))
            body: Body = (
                Let(now, op("minimum", at, sub(high, index(size)))),
                *self.channels(
                    Shape(size, 1, self.t.lanes, self.t.group),
                    start(now, read, TAP2, taken),
                    fetch=True,
                ),
                Assign(FETCH, add(FETCH, mul(FETCHES, CHANNELS))),
            )
            return For(block, ZERO, number, body)

        windows = op("and", slides, op("ge", TAPS2, index(small - 1)))
        windows = op("and", windows, op("and", few, op("ge", sub(end, begin), index(small))))
        full = floor(add(several, index(big - 1 - small)), index(big))
        return (
            Let(begin, self.number_of(sub(PLACE0, which))),
            Let(end, self.number_of(sub(PLACE1, which))),
            Let(low, clip(word(d, self.table, which, LOW), begin, end)),
            Let(inside, sub(clip(word(d, self.table, which, HIGH), low, end), low)),
            Let(TAPS2, word(d, self.table, which, NUMBER)),
            Let(ORIGIN2, word(d, self.table, which, ORIGIN)),
            Let(TAP2, word(d, self.table, which, FIRST)),
            Let(slides, op("eq", d.reach, d.stride)),
            Let(runs, select(slides, floor(TAPS2, index(RUN)), ZERO)),
            Let(single, sub(TAPS2, mul(runs, index(RUN)))),
            Let(few, op("lt", inside, index(small))),
            Let(several, select(few, ZERO, inside)),
            Let(high, add(low, several)),
            If(
                windows,
                self.windows(begin, end, start),
                self.singles(which, begin, edges, low, several, start),
            ),
            Let(bigs, select(op("ge", several, index(big)), full, ZERO)),
            Let(done, mul(bigs, index(big))),
            Let(smalls, ceil(op("maximum", sub(several, done), ZERO), index(small))),
            Let(blocks, op("maximum", add(bigs, smalls), ONE)),
            Let(FETCHES, ceil(Var("fetch_own"), mul(blocks, d.apart))),
            whole(big, bigs, add(low, mul(block, index(big)))),
            whole(small, smalls, add(add(low, done), mul(block, index(small)))),
        )

    def windows(self, begin: Expr, end: Expr, start: Starts) -> Body:
        """All places in small blocks, of which none sees all taps."""
        d, size = self.dimensions[2], self.t.places[1]
        at, now, read = Var("window"), Var("window_place"), Var("window_source")
        low, high = Var("window_low"), Var("window_high")
        past = add(floor(sub(sub(d.source, ONE), read), d.reach), ONE)
        window = Window(low, high, TAPS2)
        body: Body = (
            Let(now, op("minimum", at, sub(end, index(size)))),
            Let(read, add(ORIGIN2, mul(now, d.stride))),
            Let(low, op("maximum", ZERO, sub(ZERO, floor(read, d.reach)))),
            Let(high, op("minimum", add(TAPS2, index(size - 1)), past)),
            *self.channels(
                Shape(size, 1, self.t.lanes, self.t.group), start(now, read, TAP2, window)
            ),
        )
        return (For(at, begin, end, body, step=index(size)),)

    def singles(
        self, which: Expr, begin: Expr, end: Expr, low: Expr, skip: Expr, start: Starts
    ) -> Body:
        """Places one by one: those before ``low`` and, ``skip`` further, those behind."""
        d, edge, place = self.dimensions[2], Var("edge"), Var("edge_place")
        known, found = reach(d, self.table, which, place, "edge")
        taps = Taps(None, found.many)
        body: Body = (
            Let(place, add(edge, select(op("lt", edge, low), ZERO, skip))),
            *known,
            *self.channels(
                Shape(1, self.t.edge, self.t.lanes, self.t.group),
                start(place, found.source, found.tap, taps),
            ),
        )
        return (For(edge, begin, end, body),)

    def number_of(self, places: Expr) -> Expr:
        """How many places of a class are among the first ``places`` from its first one on."""
        return places if self.forward else ceil(places, self.dimensions[2].apart)

    def channels(self, shape: Shape, start: Start, fetch: bool = False) -> Body:
        """A block of places, for all channels of the item; some of the source may be fetched."""
        buffers = Buffers(self.source, self.filters, self.result)
        starts = Var("from"), Var("filters_from"), Var("to")
        moved = start._replace(
            source=add(starts[0], C), filters=add(starts[1], C), result=add(starts[2], C)
        )
        # What seldom runs need not be fast.
        tail, found = moved, start.last
        if isinstance(found, Taps) and found.runs is not None:
            tail = moved._replace(last=Taps(None, TAPS2))
        vectors, lanes = shape.vectors, shape.lanes
        masks = tuple(Var(f"lanes{v}", "bool", lanes) for v in range(vectors))
        none = (None,) * vectors
        # An epilogue's tile has room for whole vectors.
        stored = none if self.epilogue else masks
        step = index(vectors * lanes)
        rest = sub(C1, C)
        past = PAST if self.can_pass else None
        body: Body = (
            *(self.fetches() if fetch else ()),
            If(
                op("ge", rest, step),
                block(shape, buffers, moved, self.step, none, none, past),
                (
                    *(Let(m, below(rest, index(v * lanes), lanes)) for v, m in enumerate(masks)),
                    *block(shape, buffers, tail, self.step, masks, stored),
                ),
            ),
        )
        return (
            *(Let(s, v) for s, v in zip(starts, start[:3], strict=True)),
            For(C, C0, C1, body, step=step),
        )

    def fetches(self) -> Body:
        """Fetch a vector of some places of the source that are read later."""
        place, line = Var("fetched_place"), LINE_BYTES // self.t.itemsize
        at = add(add(FETCH, mul(place, CHANNELS)), C)
        # What is needed a line later would only be in the way in the first cache.
        loop = For(place, ZERO, FETCHES, (Prefetch(self.source, at, level=2),))
        if self.t.lanes >= line:
            return (loop,)
        return (If(op("eq", op("mod", sub(C, C0), index(line)), ZERO), (loop,)),)
