"""How rows are cut into what registers hold, and the kernel that copies the left factor so.

A strip is as many rows as the innermost loop takes at a time.  Element (i, k) of
the strip that starts at row r and has h rows lies at ``r * pitch + k * h + i``.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Body, Buffer, Expr, For, Function, If, Let, Var
from croton.schedule.product.pack import Copy, Source, pack
from croton.schedule.product.tiling import Tiling

ZERO, ONE = index(0), index(1)

#: Sizes of the kernel: ``slots`` is how many strips an item's rows have at most.
PACK_SIZES = ("m", "k", "a_row", "a_inner", "a_batch", "rows", "slots")

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

    Strips have the two larger heights, rows that are read where they lie the two smaller.
    """
    big, middle, small = t.heights
    whole, left, after = Var("whole"), Var("left"), Var("after")
    # Two blocks of the middle height are better than a big one and a rest of one or two.
    even = op("and", op("gt", left, ZERO), op("le", left, index(2 * middle - big)))
    even = op("and", even, op("gt", whole, ZERO))
    least = select(strips, index(middle - 1), index(middle - 1 - small))
    return (
        Let(whole, select(strips, op("floordiv", COUNT, index(big)), ZERO)),
        Let(left, sub(COUNT, mul(whole, index(big)))),
        Let(MANY, select(even, sub(whole, ONE), whole)),
        Let(after, sub(COUNT, mul(MANY, index(big)))),
        Let(SOME, op("floordiv", add(after, least), index(middle))),
        Let(FEW, select(op("lt", mul(SOME, index(middle)), after), ONE, ZERO)),
    )


def strip_pitch(t: Tiling, k: Expr) -> Expr:
    """Elements per row of a strip: more than ``k``, for what a copy writes behind its end."""
    return add(k, index(t.lanes))


def strip_start(t: Tiling, row: Expr) -> Expr:
    """Where the strip that starts at ``row`` lies."""
    height = index(t.heights[0])
    return mul(add(mul(BATCH, add(Var("m"), height)), row), strip_pitch(t, Var("k")))


def pack_kernel(t: Tiling) -> Function:
    """The kernel that copies the left factor; an item is a strip."""
    size = {name: Var(name) for name in PACK_SIZES}
    a, p = Buffer("a", t.dtype), Buffer("p", t.dtype)
    item, slot, rest, down = Var("item"), Var("slot"), Var("rest"), Var("down")
    first, height, present = Var("first"), Var("height"), Var("present")
    big, middle, _ = t.heights
    early = op("lt", slot, MANY)
    # Behind the strips of the big height come those of the middle one.
    later = mul(op("maximum", sub(slot, MANY), ZERO), index(big - middle))
    source = Source(
        a,
        total((BATCH, size["a_batch"]), (first, size["a_row"])),
        size["a_row"],
        size["a_inner"],
        present,
        size["k"],
    )
    strip: Body = (
        Let(height, select(early, index(big), index(middle))),
        Let(first, add(M0, sub(mul(slot, index(big)), later))),
        Let(present, op("minimum", height, sub(size["m"], first))),
        *pack(t, source, Copy(p, strip_start(t, first), height, height)),
    )
    body: Body = (
        Let(rest, op("floordiv", item, size["slots"])),
        Let(slot, sub(item, mul(rest, size["slots"]))),
        Let(down, ceildiv(size["m"], size["rows"])),
        Let(BATCH, op("floordiv", rest, down)),
        Let(M0, mul(sub(rest, mul(BATCH, down)), size["rows"])),
        Let(COUNT, op("minimum", size["rows"], sub(size["m"], M0))),
        *split(t, op("eq", ZERO, ZERO)),
        If(op("lt", slot, add(MANY, SOME)), strip),
    )
    items = For(item, Var("lo"), Var("hi"), body)
    return Function(f"product_{t.dtype}_pack", (a, p), tuple(size.values()), (items,))
