"""The way of a kernel through its items: parts of an array with the channels last.

A line is what has one place in all spatial dimensions but the last.  An item has some lines,
a part of each of them, and some channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from croton.kernel.build import add, mul, op, sub
from croton.kernel.nodes import Assign, Body, Expr, If, Let, Local, Var
from croton.schedule.convolution.depthwise.dimensions import ONE, ZERO, Dimension, floor
from croton.schedule.convolution.names import EXTENTS, PLACES

#: Sizes of every kernel: those of the convolution and the cut
#: (:class:`croton.schedule.convolution.depthwise.choice.Cut`).
CUT = ("lines", "span", "width", "pieces", "across")
OTHERS = ("groups", "channels", "filters")
WALK_SIZES = ("all_channels", *(n for n in EXTENTS if n not in OTHERS), *PLACES, *CUT)

CHANNELS = Var("all_channels")
#: The item: its lines, places and channels.
LINE0, LINE1, PLACE0, PLACE1 = Var("line0"), Var("line1"), Var("place0"), Var("place1")
C0, C1, C = Var("c0"), Var("c1"), Var("c")
#: The line: its number, and its place in the batch and the first dimensions.
LINE, IMAGE, AT0, AT1 = Var("line"), Var("image"), Var("at0"), Var("at1")
#: Which part of lines and places the item is, whatever its channels.
PART = Var("part")


def item_of(dimensions: Sequence[Dimension]) -> Body:
    """What item ``item`` is, and the place of its first line."""
    d0, d1, d2 = dimensions
    column, down, piece, planes = Var("column"), Var("down"), Var("piece"), Var("planes")
    all_lines = mul(mul(Var("batch"), d0.result), d1.result)
    return (
        Let(PART, floor(Var("item"), Var("across"))),
        Let(column, sub(Var("item"), mul(PART, Var("across")))),
        Let(down, floor(PART, Var("pieces"))),
        Let(piece, sub(PART, mul(down, Var("pieces")))),
        Let(LINE0, mul(down, Var("lines"))),
        Let(LINE1, op("minimum", add(LINE0, Var("lines")), all_lines)),
        Let(PLACE0, mul(piece, Var("span"))),
        Let(PLACE1, op("minimum", add(PLACE0, Var("span")), d2.result)),
        Let(C0, mul(column, Var("width"))),
        Let(C1, op("minimum", add(C0, Var("width")), CHANNELS)),
        Let(planes, floor(LINE0, d1.result)),
        Local(IMAGE, floor(planes, d0.result)),
        Local(AT0, sub(planes, mul(IMAGE, d0.result))),
        Local(AT1, sub(LINE0, mul(planes, d1.result))),
    )


def next_line(dimensions: Sequence[Dimension]) -> Body:
    """To the place of the next line."""
    d0, d1, _ = dimensions
    next_image: Body = (Assign(AT0, ZERO), Assign(IMAGE, add(IMAGE, ONE)))
    next_plane: Body = (
        Assign(AT1, ZERO),
        Assign(AT0, add(AT0, ONE)),
        If(op("ge", AT0, d0.result), next_image),
    )
    return (Assign(AT1, add(AT1, ONE)), If(op("ge", AT1, d1.result), next_plane))


def read_next(dimensions: Sequence[Dimension]) -> tuple[Expr, Expr, Expr]:
    """What the next line of ``y`` reads of the image besides what this one does.

    That is in one plane of an image: the place where it begins, and how many there are.
    """
    d0, d1, d2 = dimensions
    plane, row = (
        add(mul(at, d.stride), sub(mul(sub(k, ONE), dilation), before))
        for at, d, k, dilation, before in (
            (AT0, d0, Var("k0"), Var("dilation0"), Var("before0")),
            (AT1, d1, Var("k1"), Var("dilation1"), Var("before1")),
        )
    )
    return plane, mul(add(row, ONE), d2.source), mul(d1.stride, d2.source)
