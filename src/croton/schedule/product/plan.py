"""Which kernels compute a product, on what, and in how many items: plain data for a scheduler."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.schedule.product import tile
from croton.schedule.product.counts import Count, count
from croton.schedule.product.kernel import SIZES, STORE_SIZES, kernel, scratch_bytes
from croton.schedule.product.strips import PACK_SIZES, pack_kernel
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
    # A tile is as wide as random numbers have neighbours that share their counters.
    columns = t.leading if epilogue else t.panel
    across = count("ceildiv", "n", columns)
    strips = count("and", count("le", 32, "m"), count("le", 4 * t.panel, "n"))
    direct = count("and", count("eq", "b_column", 1), count("lt", "m", 64))
    rows = _rows(across, strips, big)
    down = count("ceildiv", "m", rows)
    depth = t.depth
    values: dict[str, Count] = {
        "rows": rows,
        "columns": columns,
        "depth": depth,
        "strips": strips,
        "direct": direct,
        "slots": count("add", count("ceildiv", rows, big), 1),
        "accumulate": int(accumulate),
    }
    panel = scratch_bytes(t)
    below = tile.FREE + max(panel, spare) if epilogue else panel
    work = count("mul", count("mul", rows, columns), "k")
    product_sizes = SIZES if epilogue else SIZES + STORE_SIZES
    pitch = count("add", "k", t.lanes)
    copied = _mul("batch", count("add", "m", big), pitch)
    packing = Step(
        functions[0].name,
        ("a", "packed"),
        tuple(values.get(name, name) for name in PACK_SIZES),
        count("select", strips, _mul("batch", down, values["slots"]), 0),
        count("add", 1, count("floordiv", 1 << 14, count("mul", big, "k"))),
        64,
    )
    product = Step(
        functions[1].name,
        ("a", "b", "packed", "epilogue" if epilogue else "c"),
        tuple(values.get(name, name) for name in product_sizes),
        _mul("batch", down, across),
        count("add", 1, count("floordiv", 1 << 17, work)),
        64 + below,
    )
    return Plan(
        dtype, functions, (("packed", count("select", strips, copied, 0)),), (packing, product)
    )


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


def _mul(*factors: Count) -> Count:
    total: Count = 1
    for factor in factors:
        total = factor if total == 1 else count("mul", total, factor)
    return total
