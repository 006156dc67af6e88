"""What follows a matrix product, block by block while it is in the cache.

The kernel made here has the layout of :mod:`croton.schedule.product.tile`: it
is called for a block of rows and columns, finds the product's elements in a
tile, and stores what the group computes from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Expr,
    Fail,
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
from croton.schedule.collapse import Accesses
from croton.schedule.elements import Arguments, Elements, Index
from croton.schedule.group import Group
from croton.schedule.inplace import reading_first
from croton.schedule.product import tile
from croton.schedule.rows import decode
from croton.schedule.sizes import ONE, Size, Sizes

#: Rows of blocks from one that is computed to one whose operands are asked for.
AHEAD = 4


def is_plain(group: Group, stored: Sequence[Variable]) -> bool:
    """Whether the product itself is all that the group stores."""
    return list(stored) == group.members[:1]


def epilogue_kernel(
    group: Group,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    stored: Sequence[Variable],
    error_of: Callable[[Any], int],
    in_place: Collection[Variable],
) -> tuple[Function, tuple[Any, ...], tuple[Size, ...]]:
    """The kernel, the keys of its buffers, and its sizes."""
    arguments = Arguments()
    elements = _elements(group, sizes, arguments, memory)
    p = group.members[0]
    dtype: str = p.type.dtype  # type: ignore[attr-defined]
    row, column = Var("row"), Var("column")
    batch, n0, n1 = Var("batch"), Var("n0"), Var("n1")
    axes: list[Expr] = list((batch, row, column)[3 - group.rank :])
    first: list[Stmt] = []
    following: list[Stmt] = []
    inside: list[Stmt] = []
    if group.kind == "convolution":
        count = group.rank - 1 if group.order is None else group.order.rows
        # Rows are places in the images, or in filters, one after the other.
        places = [Var(f"place{d}") for d in range(count)]
        extents = [arguments.size(s) for s in group.domain[1:count]]
        axes = [*places]
        if places:
            first, following = _decode(places, extents), _next(places, extents)
        across = group.rank - count
        if _is_one_run(group, sizes, memory, stored, count):
            axes += [*(build.index(0) for _ in range(across - 1)), *(column,)[:across]]
        else:
            names = [Var(f"along{d}") for d in range(across)]
            inside = decode(column, names, [arguments.size(s) for s in group.domain[count:]])
            axes += names
    block = Buffer("tile", dtype, 64)
    place = build.add(
        build.mul(build.sub(row, Var("lo")), build.index(tile.LEADING[dtype])),
        build.sub(column, n0),
    )
    elements.bind(_given(group), lambda _: Load(block, place))

    def index_of(v: Variable) -> Index:
        zero = build.index(0)
        return tuple(
            zero if a is None or s == ONE else axes[a]
            for a, s in zip(group.align[v], sizes.shape(v), strict=True)
        )

    before, storing, after = stores(elements, stored, index_of, error_of, in_place)
    header = Buffer("header", "int64", 64)
    start: Expr = Load(header, build.index(tile.N0))
    if group.order is not None or getattr(p.owner.op, "groups", 1) == 1:  # type: ignore[union-attr]
        # Blocks begin at multiples of their width, which random numbers make use of.
        width = build.index(tile.LEADING[dtype])
        start = build.mul(build.op("floordiv", start, width), width)
    asked: Body = ()
    if group.order is not None and places and not inside:
        # Rows of filters are far apart: no hardware follows so many.
        axes[len(places) - 1] = build.add(places[-1], build.index(AHEAD))
        lines = tuple(
            Prefetch(arguments.buffers[memory(v)], elements.flat(v, index_of(v)))
            for v in _read_in_order(group, memory, arguments)
        )
        for v in (v for v in stored if v not in in_place):
            target = arguments.buffer(v, v.type.dtype)  # type: ignore[attr-defined]
            lines += (Prefetch(target, elements.flat(v, index_of(v)), write=True),)
        if lines:
            asked = (For(column, n0, n1, lines, step=build.index(tile.LEADING[dtype] // 4)),)
    loop = For(column, n0, n1, (*inside, *storing), "vector")
    body: list[Stmt] = [
        Allocate(header, build.index(tile.HEADER)),
        Let(n0, start),
        Let(n1, Load(header, build.index(tile.N1))),
        Let(batch, Load(header, build.index(tile.BATCH))),
        Allocate(block, build.index(tile.TILE)),
        *before,
        *first,
        For(row, Var("lo"), Var("hi"), (*asked, loop, *following)),
        *after,
    ]
    function = Function(
        "kernel",
        tuple(arguments.buffers.values()),
        tuple(arguments.sizes.values()),
        tuple(body),
        True,
    )
    return function, tuple(arguments.buffers), tuple(arguments.sizes)


def _given(group: Group) -> Variable:
    """What blocks hold."""
    return group.members[0] if group.order is None else group.order.views[-1]


def _read_in_order(
    group: Group, memory: Callable[[Variable], Any], arguments: Arguments
) -> list[Variable]:
    """What is read along all axes, one of each memory."""
    found: dict[Any, Variable] = {}
    for v, alignment in group.align.items():
        read = v not in group.members and memory(v) in arguments.buffers
        if read and group.is_full(alignment):
            found.setdefault(memory(v), v)
    return list(found.values())


def _elements(
    group: Group, sizes: Sizes, arguments: Arguments, memory: Callable[[Variable], Any]
) -> Elements:
    members = set(group.members)
    return Elements(sizes, arguments, lambda v: None if v in members else memory(v))


def _is_one_run(
    group: Group,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    stored: Sequence[Variable],
    rows: int,
) -> bool:
    """Whether all that is read and stored lies as the columns of blocks do, one after the other.

    The axes of the domain behind the first ``rows`` are what the columns go through.
    """
    if group.rank - rows < 2:
        return True
    arguments = Arguments()
    elements = _elements(group, sizes, arguments, memory)
    given = _given(group)
    element = Var("element", given.type.dtype)  # type: ignore[attr-defined]
    elements.bind(given, lambda _: element)
    axes = [Var(f"a{k}") for k in range(group.rank)]
    accesses = Accesses({v.name: k for k, v in enumerate(axes)}, sizes, arguments)
    for v in stored:
        index = tuple(build.index(0) if a is None else axes[a] for a in group.align[v])
        accesses.take(elements.flat(v, index))
        accesses.read([elements.element(v, index)])
    accesses.read([p.bad for p in elements.positions])
    return all(accesses.join(a, group.domain) for a in range(rows, group.rank - 1))


def stores(
    elements: Elements,
    stored: Sequence[Variable],
    index_of: Callable[[Variable], Index],
    error_of: Callable[[Any], int],
    in_place: Collection[Variable],
) -> tuple[list[Stmt], Body, list[Stmt]]:
    """Statements that store the current element of ``stored``, and those before and after all.

    The latter fail if a position that was not noted before is out of bounds.
    """
    plain: list[Store] = []
    overwriting: list[Store] = []
    for v in stored:
        index = index_of(v)
        value = elements.element(v, index)
        target = elements.arguments.buffer(v, v.type.dtype)  # type: ignore[attr-defined]
        store = Store(target, elements.flat(v, index), value)
        (overwriting if v in in_place else plain).append(store)
    before: list[Stmt] = []
    inside: list[Stmt] = []
    after: list[Stmt] = []
    for k, position in enumerate(elements.positions):
        if position.noted:
            continue
        position.noted = True
        bad, worst = Var(f"bad{k}", "bool"), Var(f"worst{k}", "int64")
        least = build.const(-(2**63), "int64")
        before += [Local(bad, build.const(False, "bool")), Local(worst, least)]
        inside.append(Assign(bad, build.op("or", bad, position.bad)))
        here = build.select(position.bad, position.value, least)
        inside.append(Assign(worst, build.op("maximum", worst, here)))
        fail = Fail(error_of(position.node) + 1, (worst, position.size))
        after.append(If(bad, (fail,)))
    return before, (*inside, *reading_first(plain, overwriting)), after


def _decode(places: Sequence[Var], extents: Sequence[Expr]) -> list[Stmt]:
    """Declare the index of the first row along each dimension but the last.

    ``extents`` are those of all ``places`` but the first.
    """
    found: list[Stmt] = []
    rest: Expr = Var("lo")
    for d in range(len(places) - 1, 0, -1):
        quotient = Var(f"{places[d].name}_rest")
        found.append(Let(quotient, build.op("floordiv", rest, extents[d - 1])))
        found.append(Local(places[d], build.sub(rest, build.mul(quotient, extents[d - 1]))))
        rest = quotient
    return [*found, Local(places[0], rest)]


def _next(places: Sequence[Var], extents: Sequence[Expr]) -> list[Stmt]:
    """Go to the index of the row that follows; ``extents`` as for :func:`_decode`."""
    one, zero = build.index(1), build.index(0)
    step: list[Stmt] = [Assign(places[0], build.add(places[0], one))]
    for place, extent in zip(places[1:], extents, strict=True):
        over: list[Stmt] = [Assign(place, zero), *step]
        step = [
            Assign(place, build.add(place, one)),
            If(build.op("ge", place, extent), tuple(over)),
        ]
    return step
