"""Which kernels compute a product, on what, and in how many items: plain data for a scheduler."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.schedule.product import tile
from croton.schedule.product.counts import Count, count
from croton.schedule.product.kernel import SIZES, STORE_SIZES, kernel, scratch_bytes
from croton.schedule.product.strips import pack_kernel, room
from croton.schedule.product.tiling import Tiling, tiling

#: What the sizes of a product are called: its batch and extents, and the strides of
#: its factors and of its result, in elements.
EXTENTS = ("batch", "m", "n", "k")
STRIDES = ("a_batch", "a_row", "a_inner", "b_batch", "b_inner", "b_column", "c_batch", "c_row")


class Step(NamedTuple):
    """One Launch.

    ``buffers`` are ``"a"``, ``"b"``, ``"c"`` (the result), names of temporaries of
    the plan, and ``"epilogue"``, through which the step calls.  ``scratch`` is in
    bytes, ``grain`` the least number of items that is worth a thread.
    """

    kernel: str
    buffers: tuple[str, ...]
    sizes: tuple[Count, ...]
    items: Count
    grain: Count
    scratch: Count


class Plan(NamedTuple):
    """A product: ``temporaries`` are memory of the product's dtype, in elements."""

    dtype: str
    functions: tuple[Function, ...]
    temporaries: tuple[tuple[str, Count], ...]
    steps: tuple[Step, ...]


def plan(
    dtype: str,
    machine: Machine,
    *,
    epilogue: bool = False,
    accumulate: bool = False,
    spare: int = 0,
) -> Plan:
    """How to compute ``c[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]``.

    With ``epilogue`` the blocks of the product go to a kernel instead of to ``c``
    (see :mod:`croton.schedule.product.tile`), which may use ``spare`` bytes of scratch.
    With ``accumulate`` the product is added to what ``c`` holds.
    """
    if epilogue and accumulate:
        raise ValueError("a product with an epilogue has nothing to add to")
    t = tiling(dtype, machine)
    functions = _functions(t, epilogue)
    big = t.heights[0]
    columns = t.panel
    across = count("ceildiv", "n", columns)
    strips = _all(
        count("le", 32, "m"),
        count("le", 8 * t.panel, "n"),
        count("le", 1 << 14, count("mul", "m", "k")),
    )
    rows = _rows(across, strips, big)
    down = count("ceildiv", "m", rows)
    panels = _all(strips, count("lt", 1, down))
    direct = _all(
        count("eq", "b_column", 1),
        count("or", count("lt", "m", 96), count("le", "n", t.lanes)),
    )
    depth = _depth(t, count("select", strips, 0, direct))
    values: dict[str, Count] = {
        "rows": rows,
        "columns": columns,
        "depth": depth,
        "strips": strips,
        "panels": panels,
        "direct": direct,
        "accumulate": int(accumulate),
    }
    own = scratch_bytes(t)
    below = tile.FREE + max(own, spare) if epilogue else own
    product = Step(
        functions[1].name,
        ("a", "b", "strips", "panels", "epilogue" if epilogue else "c"),
        tuple(values.get(name, name) for name in (SIZES if epilogue else SIZES + STORE_SIZES)),
        _mul("batch", down, across),
        count("add", 1, count("floordiv", 1 << 17, _mul(rows, columns, "k"))),
        64 + below,
    )
    slots = count("add", count("ceildiv", rows, big), 1)
    left = _copy(t, functions[0], "a", "strips", strips, _mul(down, slots))
    right = _copy(t, functions[0], "b", "panels", panels, across)
    left_sizes = ("m", "k", "a_row", "a_inner", "a_batch", rows, slots, 0)
    right_sizes = ("n", "k", "b_column", "b_inner", "b_batch", "n", across, t.panel)
    return Plan(
        dtype,
        functions,
        (
            ("strips", _copied(t, strips, "a_batch", "m")),
            ("panels", _copied(t, panels, "b_batch", "n")),
        ),
        (left._replace(sizes=left_sizes), right._replace(sizes=right_sizes), product),
    )


def _copies(batch: str) -> Count:
    """How many matrices of a factor are different."""
    return count("select", count("eq", batch, 0), 1, "batch")


def _copied(t: Tiling, wanted: Count, batch: str, rows: str) -> Count:
    """Elements of the copy of a factor."""
    size = _mul(_copies(batch), count("add", rows, room(t)), count("add", "k", t.lanes))
    return count("select", wanted, size, 0)


def _copy(
    t: Tiling, function: Function, factor: str, copy: str, wanted: Count, strips: Count
) -> Step:
    """The launch that copies a factor, if that is wanted."""
    items = count("select", wanted, _mul(_copies(f"{factor}_batch"), strips), 0)
    grain = count("add", 1, count("floordiv", 1 << 14, _mul(t.panel, "k")))
    return Step(function.name, (factor, copy), (), items, grain, 64)


def _depth(t: Tiling, direct: Count) -> Count:
    """How much of the inner index to take at a time: pieces of one size, if any."""
    pieces = count("ceildiv", "k", t.depth)
    even = _mul(count("ceildiv", count("ceildiv", "k", pieces), t.lanes), t.lanes)
    even = count("select", count("le", "k", t.depth), t.depth, even)
    return count("select", direct, count("maximum", "k", 1), even) if t.masks else even


@lru_cache(maxsize=32)
def _functions(t: Tiling, epilogue: bool) -> tuple[Function, Function]:
    return pack_kernel(t), kernel(t, epilogue)


def _rows(across: Count, strips: Count, big: int) -> Count:
    """Rows of an item: few items where there is little work, else enough for several threads."""
    most = tile.ROWS // big * big
    wanted = count("minimum", count("ceildiv", 16, across), count("ceildiv", "m", 3 * big))
    down = count("maximum", count("ceildiv", "m", most), wanted)
    even = count("ceildiv", "m", down)
    return count("select", strips, count("mul", count("ceildiv", even, big), big), even)


def _all(*conditions: Count) -> Count:
    result = conditions[0]
    for condition in conditions[1:]:
        result = count("and", result, condition)
    return result


def _mul(*factors: Count) -> Count:
    total: Count = 1
    for factor in factors:
        total = factor if total == 1 else count("mul", total, factor)
    return total
