"""Which taps of a filter meet which places, one dimension at a time.

A kernel computes a *result* from a *source*: ``y`` from ``x`` (forward), or ``x`` from ``y``
(inputs).  Along each dimension the places of the result fall into *classes*, within which all
is regular: place ``i`` of class ``r`` is ``r + i * apart``, and its tap ``j`` is::

    filter   first[r] + j * tap          for j in [0, number[r])
    source   origin[r] + i * stride + j * reach

Forward there is one class, with ``apart`` 1.  For the inputs there are as many as the stride of
the convolution, and taps go backwards, so that places in the source go forwards.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op, select, sub
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)
from croton.schedule.counts import Count, count

ZERO, ONE = index(0), index(1)

#: Words of an entry of the table of classes: first, number, origin; and of the last
#: dimension how many places there are, and which of them see all taps inside of the source.
FIRST, NUMBER, ORIGIN, PLACES, LOW, HIGH = range(6)
WORDS = 6


class Dimension(NamedTuple):
    """One dimension: its extents, and what is the same for all classes.

    ``table`` is where its classes begin in the table, in words.
    """

    number: int
    source: Expr
    result: Expr
    apart: Expr
    stride: Expr
    tap: Expr
    reach: Expr
    table: Expr


class Reach(NamedTuple):
    """What of a filter a place meets: the first tap inside, how many, and where it reads."""

    tap: Expr
    many: Expr
    source: Expr


def floor(a: Expr, b: Expr) -> Expr:
    """``a / b``, rounded down."""
    return op("floordiv", a, b)


def ceil(a: Expr, b: Expr) -> Expr:
    """``a / b``, rounded up, for ``b`` above 0."""
    return floor(add(a, sub(b, ONE)), b)


def clip(value: Expr, low: Expr, high: Expr) -> Expr:
    """``value``, at most ``high``, at least ``low``."""
    return op("maximum", op("minimum", value, high), low)


def dimensions(forward: bool, table: Buffer) -> tuple[Body, list[Dimension]]:
    """Fill the table of classes, and say what the dimensions are."""
    body: list[Stmt] = []
    found: list[Dimension] = []
    begin: Expr = ZERO
    for d in range(3):
        source, result = (Var(f"{name}{d}") for name in ("xy" if forward else "yx"))
        stride, dilation = Var(f"stride{d}"), Var(f"dilation{d}")
        if forward:
            line = Dimension(d, source, result, ONE, stride, ONE, dilation, begin)
            body += _one_class(line, table)
        else:
            period = Var(f"period{d}")
            reach = floor(mul(period, dilation), stride)
            names = Var(f"tap{d}"), Var(f"reach{d}")
            body += _period(d, period)
            body += [Let(names[0], sub(ZERO, period)), Let(names[1], reach)]
            line = Dimension(d, source, result, stride, ONE, *names, begin)
            body += _classes(line, table)
        if d == 2:
            body.append(_inside(line, table))
        found.append(line)
        after = Var(f"table{d + 1}")
        body.append(Let(after, add(begin, mul(line.apart, index(WORDS)))))
        begin = after
    return tuple(body), found


def table_bytes(forward: bool) -> Count:
    """Bytes of the table."""
    classes: Count = 3
    if not forward:
        classes = count("add", count("add", "stride0", "stride1"), "stride2")
    return count("mul", classes, 8 * WORDS)


def word(d: Dimension, table: Buffer, which: Expr, name: int) -> Expr:
    """A word of the entry of class ``which``."""
    return Load(table, add(add(d.table, mul(which, index(WORDS))), index(name)))


def reach(d: Dimension, table: Buffer, which: Expr, place: Expr, prefix: str) -> tuple[Body, Reach]:
    """What of the filter place ``place`` of class ``which`` meets."""
    origin, low, many = (Var(f"{prefix}_{n}{d.number}") for n in ("origin", "low", "many"))
    first, source = Var(f"{prefix}_first{d.number}"), Var(f"{prefix}_source{d.number}")
    high = add(floor(sub(sub(d.source, ONE), origin), d.reach), ONE)
    high = op("minimum", word(d, table, which, NUMBER), high)
    body: Body = (
        Let(origin, add(word(d, table, which, ORIGIN), mul(place, d.stride))),
        Let(low, op("maximum", ZERO, sub(ZERO, floor(origin, d.reach)))),
        Let(many, sub(high, low)),
        Let(first, add(word(d, table, which, FIRST), mul(low, d.tap))),
        Let(source, add(origin, mul(low, d.reach))),
    )
    return body, Reach(first, many, source)


def _put(d: Dimension, table: Buffer, which: Expr, name: int, value: Expr) -> Store:
    return Store(table, add(add(d.table, mul(which, index(WORDS))), index(name)), value)


def _one_class(d: Dimension, table: Buffer) -> Body:
    values = (ZERO, Var(f"k{d.number}"), sub(ZERO, Var(f"before{d.number}")))
    return tuple(
        _put(d, table, ZERO, name, value)
        for name, value in zip((FIRST, NUMBER, ORIGIN), values, strict=True)
    )


def _period(d: int, period: Var) -> Body:
    """After how many taps the same class is met again."""
    stride, step = Var(f"stride{d}"), Var("period_step")
    taken = sub(stride, step)
    whole = op("eq", op("mod", mul(taken, Var(f"dilation{d}")), stride), ZERO)
    # From the largest to the smallest, which stays.
    body: Body = (If(whole, (Assign(period, taken),)),)
    return (Local(period, stride), For(step, ZERO, stride, body))


def _classes(d: Dimension, table: Buffer) -> Body:
    """The classes of the inputs."""
    n = d.number
    stride, dilation, extent = Var(f"stride{n}"), Var(f"dilation{n}"), Var(f"k{n}")
    which, back, last, hit = Var("which"), Var("back"), Var("last_tap"), Var("hit", "bool")
    period = sub(ZERO, d.tap)
    start = add(which, Var(f"before{n}"))
    tap, none = sub(sub(extent, ONE), back), Var("none", "bool")
    meets = op("eq", op("mod", sub(start, mul(tap, dilation)), stride), ZERO)
    search: Body = (
        Let(hit, op("and", op("lt", last, ZERO), meets)),
        If(hit, (Assign(last, tap),)),
    )
    number = add(floor(last, period), ONE)
    origin = floor(sub(start, mul(last, dilation)), stride)
    entry: Body = (
        Local(last, const(-1, "int64")),
        For(back, ZERO, op("minimum", period, extent), search),
        Let(none, op("lt", last, ZERO)),
        _put(d, table, which, FIRST, op("maximum", last, ZERO)),
        _put(d, table, which, NUMBER, select(none, ZERO, number)),
        _put(d, table, which, ORIGIN, select(none, ZERO, origin)),
    )
    return (For(which, ZERO, stride, entry),)


def _inside(d: Dimension, table: Buffer) -> For:
    """Of each class of the last dimension, its places and those that see all taps inside."""
    which, places, low, high = (Var(n) for n in ("inside_class", "places", "low", "high"))
    number, origin = Var("taps"), Var("first_source")
    past = sub(sub(d.source, ONE), add(origin, mul(sub(number, ONE), d.reach)))
    none = op("eq", number, ZERO)
    body: Body = (
        Let(places, op("maximum", ceil(sub(d.result, which), d.apart), ZERO)),
        Let(number, word(d, table, which, NUMBER)),
        Let(origin, word(d, table, which, ORIGIN)),
        Let(low, select(none, ZERO, clip(sub(ZERO, floor(origin, d.stride)), ZERO, places))),
        Let(high, select(none, places, clip(add(floor(past, d.stride), ONE), low, places))),
        _put(d, table, which, PLACES, places),
        _put(d, table, which, LOW, low),
        _put(d, table, which, HIGH, high),
    )
    return For(which, ZERO, d.apart, body)
