"""How the left factor is cut into what registers hold, and the kernel that copies them so.

A strip is as many rows of the left factor as the innermost loop takes at a time; their
elements of one inner index lie side by side.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Body, Buffer, Expr, For, Function, If, Let, Var
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product.pack import Copy, Source, pack_apart
from croton.schedule.product.tiling import Tiling, width

ZERO, ONE = index(0), index(1)

#: Strips that an item may have beyond its rows over the largest height.
SPARE = 2

#: What the size ``strips`` of a product's kernel is where they are copied, and where they are not.
COPIED, LYING = 1, 2

#: Sizes of the kernel: its source has ``m`` rows, which items take ``rows`` at a time;
#: they have at most ``slots`` strips.
PACK_SIZES = ("m", "k", "row", "inner", "batch_pitch", "rows", "slots")

#: The matrix, the first row of an item and how many it has, and how many strips of the
#: big and of the middle height cover them.
BATCH, M0, COUNT = Var("batch"), Var("m0"), Var("count")
BIG, MIDDLE = Var("big_strips"), Var("middle_strips")


def total(*products: tuple[Expr, Expr]) -> Expr:
    """The sum of ``a * b``."""
    result: Expr = ZERO
    for a, b in products:
        result = add(result, mul(a, b))
    return result


def ceildiv(a: Expr, b: Expr) -> Expr:
    """``a / b``, rounded up."""
    return op("floordiv", add(a, sub(b, ONE)), b)


def split(t: Tiling) -> Body:
    """How many strips of each height cover ``COUNT`` rows; the last one may lack rows."""
    big, middle = t.strips
    whole, rest, after, fewer = Var("whole"), Var("rest"), Var("after"), Var("fewer")
    # Some strips of the middle height instead of big ones may leave fewer rows missing:
    # each two rows that a strip is lower fill up two of what is left.
    step = 2 * middle - big
    wanted = op("and", ceildiv(rest, index(step)), index(middle // step - 1))
    lower = op("and", op("le", wanted, index(2)), op("le", wanted, whole))
    return (
        Let(whole, op("floordiv", COUNT, index(big))),
        Let(rest, sub(COUNT, mul(whole, index(big)))),
        Let(fewer, select(lower, wanted, ZERO)),
        Let(BIG, sub(whole, fewer)),
        Let(after, sub(COUNT, mul(BIG, index(big)))),
        Let(MIDDLE, ceildiv(after, index(middle))),
    )


def none_missing(t: Tiling, rows: Count) -> Count:
    """Whether the strips of so many rows have nothing but rows that are there."""
    big, middle = t.strips
    whole = count("floordiv", rows, big)
    rest = count("mod", rows, big)
    step = 2 * middle - big
    fewer = count("mod", count("floordiv", rest, step), middle // step)
    even = count("eq", count("mod", rest, step), 0)
    few = count("and", count("le", fewer, 2), count("le", fewer, whole))
    fewer = count("select", few, fewer, 0)
    after = count("add", rest, count("mul", fewer, big))
    return all_of(even, count("eq", count("mod", after, middle), 0))


def strip_depth(t: Tiling, k: Expr) -> Expr:
    """Rows of a strip: more than ``k``, for what a copy writes behind its end."""
    return add(k, index(t.lanes))


def strip_start(t: Tiling, batch: Expr, m: Expr, rows: Expr, slot: Expr) -> Expr:
    """Where strip ``slot`` begins of the item that starts at row ``M0`` of the left factor.

    ``batch`` is what its batch index is multiplied with in the source: a matrix that
    is the same for the whole batch is copied once.  Of its ``m`` rows an item has ``rows``.
    """
    big = index(t.strips[0])
    slots = add(ceildiv(rows, big), index(SPARE))
    matrix = select(op("eq", batch, ZERO), ZERO, BATCH)
    number = add(mul(matrix, ceildiv(m, rows)), op("floordiv", M0, rows))
    place = add(mul(number, slots), slot)
    return mul(place, mul(strip_depth(t, Var("k")), index(width(t.lanes, t.strips[0]))))


def pack_kernel(t: Tiling) -> Function:
    """The kernel that copies a left factor that does not lie by rows; an item is a strip."""
    size = {name: Var(name) for name in PACK_SIZES}
    a, p = Buffer("a", t.dtype), Buffer("p", t.dtype)
    item, slot, rest, down = Var("item"), Var("slot"), Var("item_rest"), Var("down")
    first, lines, present = Var("first"), Var("lines"), Var("present")
    start, wide = Var("start"), Var("wide")
    big, middle = t.strips
    early = op("lt", slot, BIG)
    # Behind the strips of the big height come those of the middle one.
    later = mul(op("maximum", sub(slot, BIG), ZERO), index(big - middle))
    source = Source(
        a,
        total((BATCH, size["batch_pitch"]), (first, size["row"])),
        size["row"],
        size["inner"],
        present,
        size["k"],
    )
    strip: Body = (
        Let(lines, select(early, index(big), index(middle))),
        Let(wide, select(early, index(width(t.lanes, big)), index(width(t.lanes, middle)))),
        Let(first, add(M0, sub(mul(slot, index(big)), later))),
        Let(present, op("minimum", lines, sub(size["m"], first))),
        Let(start, strip_start(t, size["batch_pitch"], size["m"], size["rows"], slot)),
        *pack_apart(t, source, Copy(p, start, wide, wide)),
    )
    body: Body = (
        Let(rest, op("floordiv", item, size["slots"])),
        Let(slot, sub(item, mul(rest, size["slots"]))),
        Let(down, ceildiv(size["m"], size["rows"])),
        Let(BATCH, op("floordiv", rest, down)),
        Let(M0, mul(sub(rest, mul(BATCH, down)), size["rows"])),
        Let(COUNT, op("minimum", size["rows"], sub(size["m"], M0))),
        *split(t),
        If(op("lt", slot, add(BIG, MIDDLE)), strip),
    )
    items = For(item, Var("lo"), Var("hi"), body)
    return Function(f"product_{t.dtype}_pack", (a, p), tuple(size.values()), (items,))
