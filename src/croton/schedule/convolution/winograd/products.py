"""Multiplying V with U: for each point, channels of tiles with channels of filters."""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Body, Buffer, Expr, For, If, Let, Var
from croton.schedule.convolution.winograd.geometry import GROUP, SIZE
from croton.schedule.product.left import Apart
from croton.schedule.product.micro import Asked, Given, Right, Shape, Target, block
from croton.schedule.product.strips import ONE, ZERO, ceildiv
from croton.schedule.product.tiling import Tiling

#: The columns of the products that are computed together, and how many there are.
N0, N1, WIDE = Var("n0"), Var("n1"), Var("wide_chunk")

#: Of the tiles of a block, how many are multiplied in steps of the largest height, how many
#: in steps of that or the next one, and how many there are.
BIG, TALL, ALL = Var("big_tiles"), Var("tall_tiles"), Var("all_tiles")

POINT, PANEL, K0, DEPTH = Var("point"), Var("panel"), Var("k0"), Var("depth")
#: Where the next panel of U begins, and what comes next: a further piece of this one or that.
NEXT, LATER = Var("next_panel"), Var("later")


def heights(t: Tiling, tiles: Expr) -> Body:
    """Cut the tiles of a block into steps of three heights, of which the last may lack tiles.

    The largest height is for tiles that leave fewer missing so: 14, where lines of 7 and 14
    tiles are common.
    """
    big, (tall, low) = t.strips[0], t.blocks
    many, rest = Var("many_big"), Var("rest_tiles")

    def up(value: Expr) -> Expr:
        return mul(ceildiv(value, index(low)), index(low))

    fewer = op("le", add(many, up(rest)), up(tiles))
    largest: Body = (
        Let(many, mul(op("floordiv", tiles, index(big)), index(big))),
        Let(rest, sub(tiles, many)),
        Let(BIG, select(fewer, many, ZERO)),
    )
    return (
        Let(ALL, tiles),
        *(largest if big > tall else (Let(BIG, ZERO),)),
        Let(TALL, add(BIG, mul(op("floordiv", sub(tiles, BIG), index(tall)), index(tall)))),
    )


def multiply(
    t: Tiling, points: int, u: Buffer, v: Buffer, target: Target, width: int, narrow: bool
) -> Body:
    """The products of all points, for columns ``[N0, N1)``; see :func:`heights`.

    Their element (point, tile, column) goes to ``target``, ``m_point`` apart from point to point
    and ``m_slice`` from ``width`` columns to the next ones.  If ``narrow``, panels that have
    columns for one vector only are multiplied so.
    """
    start, deep, number = Var("u_start"), Var("deep"), Var("u_panel")
    channels = SIZE["channels"]
    area = mul(add(channels, ONE), index(t.panel))
    panels = ceildiv(SIZE["filters"], index(t.panel))
    pieces = op("maximum", ceildiv(channels, index(t.longest)), ONE)

    def pieces_of(vectors: int) -> Body:
        piece = _piece(t, vectors, start, u, v, target, width)
        # Without channels, one empty piece still stores zeros.
        return (For(K0, ZERO, op("maximum", channels, ONE), piece, step=deep),)

    every = pieces_of(t.vectors)
    if narrow:
        few = op("le", sub(WIDE, PANEL), index(t.lanes))
        every = (If(few, pieces_of(1), every),)
    # The next panel at this point, or the first one at the next point.
    beside = op("lt", add(PANEL, index(t.panel)), WIDE)
    again = sub(area, mul(op("floordiv", PANEL, index(t.panel)), mul(area, index(points))))
    panel: Body = (
        Let(number, add(mul(GROUP, panels), op("floordiv", add(N0, PANEL), index(t.panel)))),
        Let(start, mul(add(mul(number, index(points)), POINT), area)),
        Let(NEXT, add(start, select(beside, mul(area, index(points)), again))),
        *every,
    )
    # V at a point is read for all panels.
    body: Body = (For(PANEL, ZERO, WIDE, panel, step=index(t.panel)),)
    return (
        Let(deep, op("maximum", ceildiv(channels, pieces), ONE)),
        For(POINT, ZERO, index(points), body),
    )


def _piece(
    t: Tiling, vectors: int, start: Expr, u: Buffer, v: Buffer, target: Target, width: int
) -> Body:
    """The first ``vectors`` of one panel at one point, for some channels."""
    right, left, to, row = Var("right_at"), Var("left_at"), Var("to"), Var("row")
    steps = [(t.strips[0], ZERO, BIG), (t.blocks[0], BIG, TALL), (t.blocks[1], TALL, ALL)]
    if t.strips[0] <= t.blocks[0]:
        del steps[0]
    rows = Right(u, right, index(t.panel), ())
    behind = add(K0, DEPTH)
    before = op("floordiv", PANEL, index(width))
    slices = mul(before, sub(Var("m_slice"), index(width)))
    return (
        Let(DEPTH, op("minimum", Var("deep"), sub(SIZE["channels"], K0))),
        Let(right, add(start, mul(K0, index(t.panel)))),
        Let(
            LATER,
            select(
                op("lt", behind, SIZE["channels"]), add(start, mul(behind, index(t.panel))), NEXT
            ),
        ),
        Let(left, add(mul(POINT, SIZE["v_point"]), K0)),
        Let(to, add(add(mul(POINT, Var("m_point")), slices), PANEL)),
        # Tiles behind the last have room, and mean nothing.
        *(
            For(
                row,
                first,
                end,
                _block(t, (vectors, height), v, row, rows, target),
                step=index(height),
            )
            for height, first, end in steps
        ),
    )


def _block(
    t: Tiling, size: tuple[int, int], v: Buffer, row: Expr, right: Right, target: Target
) -> Body:
    """Some tiles of a piece: so many vectors of so many."""
    vectors, height = size
    pitch, triple = SIZE["v_row"], Var("triple")
    # Few registers for many rows: multiples of the pitch are a part of an access.
    reach = (ZERO, pitch, mul(pitch, index(2)), triple)
    origin = add(Var("left_at"), mul(row, pitch))
    numbers = range(0, height, len(reach))
    starts = [Var(f"origin{g}") for g in numbers]
    groups = tuple((start, reach[: height - g]) for g, start in zip(numbers, starts, strict=True))
    start = add(Var("to"), mul(row, target.pitch))
    before = Given(op("gt", K0, ZERO), target.buffer, start, target.pitch)
    to = target._replace(start=start, add=before)
    # The first blocks ask for what comes next of U, each for one line of each row.
    asks = op("lt", row, index(2 * t.strips[0]))
    line = select(op("eq", row, ZERO), ZERO, index(t.lanes))
    ahead, ahead_pitch = Var("ahead"), Var("ahead_pitch")
    fetch = Asked(Buffer("line_ahead", t.dtype), right.buffer, ahead, ahead_pitch, 2)
    return (
        Let(triple, mul(pitch, index(3))),
        Let(ahead, add(LATER, line)),
        Let(ahead_pitch, select(asks, right.pitch, ZERO)),
        *(
            Let(start, add(origin, mul(pitch, index(g))))
            for g, start in zip(numbers, starts, strict=True)
        ),
        *block(Shape(vectors, t.lanes), DEPTH, Apart(v, groups, ONE), right, to, asked=fetch),
    )
