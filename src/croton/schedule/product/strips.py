"""How factors are cut into what registers hold, and the kernel that copies them so.

A strip is as many rows of the left factor, or columns of the right one (then it is
called a panel), as the innermost loop takes at a time.  Element (i, k) of the strip
that starts at row r and has h rows lies at ``r * pitch + k * h + i``.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Body, Buffer, Expr, For, Function, If, Let, Var
from croton.schedule.product.pack import Copy, Source, pack
from croton.schedule.product.tiling import Tiling

ZERO, ONE = index(0), index(1)

#: Sizes of the kernel: its source has ``m`` rows, which items take ``rows`` at a time;
#: they have at most ``slots`` strips.  Strips have ``height`` rows, or the two larger
#: heights of strips if that is 0.
PACK_SIZES = ("m", "k", "row", "inner", "batch_pitch", "rows", "slots", "height")

#: The first row of an item, and how many rows it has; how many blocks of each height
#: cover them; the matrix.
M0, COUNT = Var("m0"), Var("count")
MANY, SOME, FEW = Var("many"), Var("some"), Var("few")
BATCH = Var("batch")


def total(*products: tuple[Expr, Expr]) -> Expr:
    """The sum of ``a * b``."""
    result: Expr = ZERO
    for a, b in products:
        result = add(result, mul(a, b))
    return result


def ceildiv(a: Expr, b: Expr) -> Expr:
    """``a / b``, rounded up."""
    return op("floordiv", add(a, sub(b, ONE)), b)


def split(t: Tiling, strips: Expr) -> Body:
    """How many blocks of each height cover ``COUNT`` rows.

    Strips have two heights, of which the last strip may lack rows.  Rows that are read
    where they lie are cut into blocks of two heights, of which the smaller may lack rows.
    """
    (big, middle), (tall, low) = t.strips, t.blocks
    whole, left, after = Var("whole"), Var("left"), Var("after")
    # Two strips of the middle height are better than a big one and a rest of one or two.
    even = op("and", op("gt", left, ZERO), op("le", left, index(2 * middle - big)))
    even = op("and", even, op("gt", whole, ZERO))
    rest = op("maximum", sub(after, mul(SOME, index(tall))), ZERO)
    return (
        Let(whole, select(strips, op("floordiv", COUNT, index(big)), ZERO)),
        Let(left, sub(COUNT, mul(whole, index(big)))),
        Let(MANY, select(even, sub(whole, ONE), whole)),
        Let(after, sub(COUNT, mul(MANY, index(big)))),
        Let(
            SOME, select(strips, ceildiv(after, index(middle)), op("floordiv", after, index(tall)))
        ),
        Let(FEW, select(strips, ZERO, ceildiv(rest, index(low)))),
    )


def strip_pitch(t: Tiling, k: Expr) -> Expr:
    """Elements per row of a strip: more than ``k``, for what a copy writes behind its end."""
    return add(k, index(t.lanes))


def room(t: Tiling) -> int:
    """Rows behind the last one of a matrix that its strips may take."""
    return max(t.panel, *t.strips)


def strip_start(t: Tiling, batch: Expr, rows: Expr, row: Expr) -> Expr:
    """Where the strip that starts at ``row`` of a matrix of ``rows`` lies.

    ``batch`` is what its batch index is multiplied with in the source: a matrix that
    is the same for the whole batch is copied once.
    """
    matrix = select(op("eq", batch, ZERO), ZERO, BATCH)
    return mul(add(mul(matrix, add(rows, index(room(t)))), row), strip_pitch(t, Var("k")))


def pack_kernel(t: Tiling) -> Function:
    """The kernel that copies a factor; an item is a strip."""
    size = {name: Var(name) for name in PACK_SIZES}
    a, p = Buffer("a", t.dtype), Buffer("p", t.dtype)
    item, slot, rest, down = Var("item"), Var("slot"), Var("rest"), Var("down")
    first, wide, present = Var("first"), Var("wide"), Var("present")
    big, middle = t.strips
    equal = op("ne", size["height"], ZERO)
    early = op("lt", slot, MANY)
    # Behind the strips of the big height come those of the middle one.
    later = mul(op("maximum", sub(slot, MANY), ZERO), index(big - middle))
    uneven = sub(mul(slot, index(big)), later)
    source = Source(
        a,
        total((BATCH, size["batch_pitch"]), (first, size["row"])),
        size["row"],
        size["inner"],
        present,
        size["k"],
    )
    start = strip_start(t, size["batch_pitch"], size["m"], first)
    strip: Body = (
        Let(wide, select(equal, size["height"], select(early, index(big), index(middle)))),
        Let(first, add(M0, select(equal, mul(slot, size["height"]), uneven))),
        Let(present, op("minimum", wide, sub(size["m"], first))),
        *pack(t, source, Copy(p, start, wide, wide)),
    )
    body: Body = (
        Let(rest, op("floordiv", item, size["slots"])),
        Let(slot, sub(item, mul(rest, size["slots"]))),
        Let(down, ceildiv(size["m"], size["rows"])),
        Let(BATCH, op("floordiv", rest, down)),
        Let(M0, mul(sub(rest, mul(BATCH, down)), size["rows"])),
        Let(COUNT, op("minimum", size["rows"], sub(size["m"], M0))),
        *split(t, op("eq", ZERO, ZERO)),
        If(op("or", equal, op("lt", slot, add(MANY, SOME))), strip),
    )
    items = For(item, Var("lo"), Var("hi"), body)
    return Function(f"product_{t.dtype}_pack", (a, p), tuple(size.values()), (items,))
