"""Copying matrices into the other order: ``out[b, q, p] = in[b, p, q]``, elements of any kind.

Elements are moved as unsigned integers of their size (1, 2, 4 or 8 bytes).  Extents are
arguments, so one set of kernels per size serves every shape.  :func:`plan` gives the kernels and
the steps, of which the shape lets one have items:

- squares with a register's elements (at most ``SIDE``) a side, transposed in registers;
- smaller squares (at least ``SMALL`` a side) where a matrix has fewer rows or columns than that;
- where there are fewer rows or columns still, whole vectors of these lines, interleaved or parted.

Where an extent is no multiple of a square's side, the last squares lie over those before them, so
that nothing is masked: some elements are stored twice, be it by two threads, and are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from croton.kernel.build import add, index, mul, op, shuffle, sub
from croton.kernel.machine import Machine
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Expr,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Store,
    Var,
)
from croton.kernel.parameters import from_parameters
from croton.schedule.counts import Count, count
from croton.schedule.product.pack import transpose
from croton.schedule.steps import Plan, Step

#: What the sizes of a plan are called.
EXTENTS = ("batch", "rows", "columns")
#: Those of the plan :func:`reversal`.
REVERSED = ("first", "second", "third")

#: The dtype as which elements of a size in bytes are moved.
MOVED = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}

#: The largest side of a square, and the smallest one if there are several.
SIDE, SMALL = 16, 4

#: Rows and columns that an item transposes square by square: lines of a cache that squares
#: share are still near when the next square needs them.
BLOCK = 64

#: Elements of a line that an item interleaves or parts, and that are worth a thread.
CHUNK, WORTH = 4096, 16384

IN, OUT = "in", "out"

ZERO, ONE = index(0), index(1)


def plan(itemsize: int, machine: Machine) -> Plan:
    """How to compute ``out[b, q, p] = in[b, p, q]`` for elements of ``itemsize`` bytes.

    ``in`` has ``batch`` matrices of ``rows`` and ``columns`` (see ``EXTENTS``), in order; ``out``
    is other memory.  Raises KeyError for a size that is not in ``MOVED``.

    >>> from croton.kernel.machine import Machine
    >>> machine = Machine("wide", 64, 32, 48 << 10, 2 << 20, 32 << 20)
    >>> [step.kernel for step in plan(8, machine).steps]
    ['transpose_uint64_8', 'transpose_uint64_4', 'interleave_uint64', 'part_uint64']
    """
    dtype = MOVED[itemsize]
    lanes = machine.lanes(itemsize)
    sides = _sides(lanes)
    few = sides[-1]
    fitting = [_both(count("le", side, "rows"), count("le", side, "columns")) for side in sides]
    blocks = _mul("batch", count("ceildiv", "rows", BLOCK), count("ceildiv", "columns", BLOCK))
    block = _mul(count("minimum", "rows", BLOCK), count("minimum", "columns", BLOCK))
    # Whole vectors of as many lines as a small square has are faster than squares.
    long = lanes > SMALL
    rowwise, columnwise = (
        _both(count("eq", few, a), count("le", lanes, b)) if long else 0
        for a, b in (("rows", "columns"), ("columns", "rows"))
    )
    taken = [0] * (len(sides) - 1) + [count("add", rowwise, columnwise)]
    functions, steps = [], []
    larger: Count = 0
    for side, fits, others in zip(sides, fitting, taken, strict=True):
        functions.append(_squares(dtype, side))
        here = count("sub", count("sub", fits, larger), others)
        steps.append(_step(functions[-1], EXTENTS[1:], here, blocks, block))
        larger = fits
    # A single row or column is in the other order as it is.
    flat = _either(count("le", "rows", 1), count("le", "columns", 1))
    lines, length, batch = (
        count("select", flat, a, b)
        for a, b in ((1, "rows"), (_mul(*EXTENTS), "columns"), (1, "batch"))
    )
    interleaves = _either(count("lt", "rows", few), count("le", "columns", 1))
    most = few if long else few - 1
    functions.append(_lines(dtype, lanes, most, False))
    fits = count("add", interleaves, rowwise)
    steps.append(_lines_step(functions[-1], lines, length, fits, batch))
    if most > 1:
        functions.append(_lines(dtype, lanes, most, True))
        fits = count("add", count("sub", count("sub", 1, larger), interleaves), columnwise)
        steps.append(_lines_step(functions[-1], "columns", "rows", fits, "batch"))
    return Plan(dtype, tuple(functions), (), tuple(steps))


def reversal(itemsize: int, machine: Machine) -> Plan:
    """How to compute ``out[r, q, p] = in[p, q, r]``, in two steps through other memory.

    >>> from croton.kernel.machine import Machine
    >>> machine = Machine("wide", 64, 32, 48 << 10, 2 << 20, 32 << 20)
    >>> reversal(4, machine).temporaries[0][0]
    'between'
    """
    one = plan(itemsize, machine)
    p, q, r = REVERSED
    first = one.renamed({"batch": 1, "rows": _mul(p, q), "columns": r}, {OUT: "between"})
    second = one.renamed({"batch": r, "rows": p, "columns": q}, {IN: "between"})
    return first._replace(
        temporaries=(("between", _mul(*REVERSED)),), steps=first.steps + second.steps
    )


def _lines_step(function: Function, lines: Count, length: Count, fits: Count, batch: Count) -> Step:
    items = _mul(batch, count("ceildiv", length, CHUNK))
    extent = _mul(count("minimum", length, CHUNK), lines)
    return _step(function, (lines, length), fits, items, extent)


# Conditions are numbers that are worked out where only some of the extents are known.


def _both(a: Count, b: Count) -> Count:
    return count("mul", a, b)


def _either(a: Count, b: Count) -> Count:
    return count("sub", count("add", a, b), count("mul", a, b))


def _sides(lanes: int) -> tuple[int, ...]:
    """The sides of squares, the largest first, each half of the one before."""
    sides = [max(2, min(lanes, SIDE))]
    while sides[-1] > SMALL:
        sides.append(sides[-1] // 2)
    return tuple(sides)


def _step(
    function: Function, sizes: Sequence[Count], fits: Count, items: Count, extent: Count
) -> Step:
    """``extent``: the elements of an item, about."""
    grain = count("add", 1, count("floordiv", WORTH, count("maximum", extent, 1)))
    items = count("select", fits, items, 0)
    return Step(function.name, (IN, OUT), tuple(sizes), items, grain, 64)


def _mul(*factors: Count) -> Count:
    total: Count = 1
    for factor in factors:
        total = factor if total == 1 else count("mul", total, factor)
    return total


# Squares.


@from_parameters
def _squares(dtype: str, side: int) -> Function:
    """The kernel that transposes squares of ``side`` elements; an item is a block of them.

    No extent may be below ``side``.
    """
    source, target = Buffer(IN, dtype), Buffer(OUT, dtype)
    rows, columns = Var("rows"), Var("columns")
    p, q, p0, q0, p1, q1 = (Var(n) for n in ("p", "q", "p0", "q0", "p1", "q1"))
    start, at, to, row, column = (Var(n) for n in ("start", "at", "to", "row", "column"))
    side_, block = index(side), index(BLOCK)
    values = [Var(f"value{i}", dtype, side) for i in range(side)]
    turned = [Var(f"turned{i}", dtype, side) for i in range(side)]
    reads = [Var(f"read{i}") for i in range(side)]
    writes = [Var(f"write{i}") for i in range(side)]
    square: Body = (
        Let(row, op("minimum", p, sub(rows, side_))),
        Let(at, add(start, add(mul(row, columns), column))),
        Let(to, add(start, add(mul(column, rows), row))),
        *_places(reads, at, columns),
        *(Let(v, Load(source, r, side)) for v, r in zip(values, reads, strict=True)),
        *(Let(t, e) for t, e in zip(turned, transpose(list(values), side), strict=True)),
        *_places(writes, to, rows),
        *(Store(target, w, t) for w, t in zip(writes, turned, strict=True)),
    )
    body: Body = (
        Let(p1, op("minimum", add(p0, block), rows)),
        Let(q1, op("minimum", add(q0, block), columns)),
        For(
            q,
            q0,
            q1,
            (
                Let(column, op("minimum", q, sub(columns, side_))),
                For(p, p0, p1, square, step=side_),
            ),
            step=side_,
        ),
        Assign(p0, add(p0, block)),
        If(
            op("ge", p0, rows),
            (
                Assign(p0, ZERO),
                Assign(q0, add(q0, block)),
                If(
                    op("ge", q0, columns),
                    (Assign(q0, ZERO), Assign(start, add(start, mul(rows, columns)))),
                ),
            ),
        ),
    )
    down, across, rest, batch = Var("down"), Var("across"), Var("rest"), Var("batch")
    whole: Body = (
        Let(down, _ceildiv(rows, block)),
        Let(across, _ceildiv(columns, block)),
        Let(rest, op("floordiv", Var("lo"), down)),
        Let(batch, op("floordiv", rest, across)),
        Local(p0, mul(sub(Var("lo"), mul(rest, down)), block)),
        Local(q0, mul(sub(rest, mul(batch, across)), block)),
        Local(start, mul(batch, mul(rows, columns))),
        For(Var("item"), Var("lo"), Var("hi"), body),
    )
    return Function(f"transpose_{dtype}_{side}", (source, target), (rows, columns), whole)


def _places(places: Sequence[Var], first: Expr, step: Expr) -> Body:
    return tuple(
        Let(place, add(places[i - 1], step) if i else first) for i, place in enumerate(places)
    )


def _ceildiv(a: Expr, b: Expr) -> Expr:
    return op("floordiv", add(a, sub(b, ONE)), b)


# Few lines.


@from_parameters
def _lines(dtype: str, lanes: int, most: int, parts: bool) -> Function:
    """The kernel that interleaves up to ``most`` lines, or parts them; an item is a chunk.

    A matrix has ``lines`` lines of ``length`` elements; parted, they are its columns.
    """
    source, target = Buffer(IN, dtype), Buffer(OUT, dtype)
    lines, length = Var("lines"), Var("length")
    rest, chunks, batch = Var("rest"), Var("chunks"), Var("batch")
    first, last, start = Var("first"), Var("last"), Var("start")
    chunk = index(CHUNK)
    body: Body = ()
    for n in range(most, 0, -1):
        if n == 1 and parts:
            break
        body = (
            If(
                op("eq", lines, index(n)),
                _some_lines(source, target, lanes, n, parts, first, last, start, length),
                body,
            ),
        )
    item: Body = (
        Let(last, op("minimum", add(first, chunk), length)),
        *body,
        Assign(first, add(first, chunk)),
        If(
            op("ge", first, length),
            (Assign(first, ZERO), Assign(start, add(start, mul(lines, length)))),
        ),
    )
    whole: Body = (
        Let(chunks, _ceildiv(length, chunk)),
        Let(batch, op("floordiv", Var("lo"), chunks)),
        Let(rest, sub(Var("lo"), mul(batch, chunks))),
        Local(first, mul(rest, chunk)),
        Local(start, mul(batch, mul(lines, length))),
        For(Var("item"), Var("lo"), Var("hi"), item),
    )
    name = "part" if parts else "interleave"
    return Function(f"{name}_{dtype}", (source, target), (lines, length), whole)


def _some_lines(
    source: Buffer,
    target: Buffer,
    lanes: int,
    n: int,
    parts: bool,
    first: Expr,
    last: Expr,
    start: Expr,
    length: Expr,
) -> Body:
    """Interleave ``n`` lines from ``first`` to ``last``, or part them."""
    k, one = Var(f"k{n}"), Var(f"one{n}")
    at = Var(f"at{n}")
    together = [add(add(start, mul(at, index(n))), index(j * lanes)) for j in range(n)]
    apart = [add(add(start, at), mul(index(j), length)) for j in range(n)]
    reads, writes = (together, apart) if parts else (apart, together)
    values = [Var(f"value{n}_{j}", source.dtype, lanes) for j in range(n)]
    vectors: Body = (
        # What is left at the end lies over what is done; the lines are long enough.
        Let(at, op("minimum", k, sub(length, index(lanes)))),
        *(Let(v, Load(source, r, lanes)) for v, r in zip(values, reads, strict=True)),
        *(
            Store(target, w, e)
            for w, e in zip(writes, _reordered(values, n, lanes, parts), strict=True)
        ),
    )
    ones: list[Store] = []
    for j in range(n):
        together_ = add(start, add(mul(one, index(n)), index(j)))
        apart_ = add(start, add(one, mul(index(j), length)))
        read, write = (together_, apart_) if parts else (apart_, together_)
        ones.append(Store(target, write, Load(source, read)))
    return (
        If(
            op("ge", length, index(lanes)),
            (For(k, first, last, vectors, step=index(lanes)),),
            (For(one, first, last, tuple(ones)),),
        ),
    )


def _reordered(values: Sequence[Expr], n: int, lanes: int, parts: bool) -> list[Expr]:
    """The ``n`` vectors of lines interleaved (or of their parts)."""
    if parts:
        wanted = [[divmod(n * i + j, lanes) for i in range(lanes)] for j in range(n)]
    else:
        wanted = [
            [((j * lanes + i) % n, (j * lanes + i) // n) for i in range(lanes)] for j in range(n)
        ]
    return [_picked(values, places) for places in wanted]


def _picked(values: Sequence[Expr], places: Sequence[tuple[int, int]]) -> Expr:
    """For each lane the value and the lane of it that ``places`` says."""
    lanes = len(places)
    found = values[0]
    if len(values) == 1:
        return found
    for k in range(1, len(values)):
        pattern = tuple(
            lanes + lane if v == k else lane if k == 1 and v == 0 else i
            for i, (v, lane) in enumerate(places)
        )
        found = shuffle(found, values[k], pattern)
    return found
