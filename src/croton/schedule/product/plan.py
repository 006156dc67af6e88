"""Which kernels compute a product, on what, and in how many items: plain data for a scheduler."""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.kernel.parameters import from_parameters
from croton.schedule.counts import Count, count, mul
from croton.schedule.product import tile
from croton.schedule.product.choice import choose
from croton.schedule.product.kernel import SIZES, STORE_SIZES, kernel, scratch_bytes
from croton.schedule.product.strips import SPARE, pack_kernel, width
from croton.schedule.product.tiling import Tiling, tiling
from croton.schedule.steps import NOTHING, Plan, Step

#: What the sizes of a product are called: its batch and extents, and the strides of
#: its factors and of its result, in elements.
EXTENTS = ("batch", "m", "n", "k")
STRIDES = ("a_batch", "a_row", "a_inner", "b_batch", "b_inner", "b_column", "c_batch", "c_row")


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
    functions = _functions(t)
    way = choose(t, epilogue)
    big, own = t.strips[0], scratch_bytes(t)
    values: dict[str, Count] = way._asdict()
    values |= {"accumulate": int(accumulate), "hands": int(epilogue)}
    product = Step(
        functions[1].name,
        ("a", "b", "strips", *(("epilogue", NOTHING) if epilogue else (NOTHING, "c"))),
        tuple(values.get(name, name) for name in SIZES + STORE_SIZES),
        mul("batch", way.down, way.across),
        count("add", 1, count("floordiv", 1 << 17, mul(way.rows, way.columns, "k"))),
        64 + tile.FREE + max(own, spare),
    )
    slots = count("add", count("ceildiv", way.rows, big), SPARE)
    copy = Step(
        functions[0].name,
        ("a", "strips"),
        ("m", "k", "a_row", "a_inner", "a_batch", way.rows, slots),
        count("select", way.strips, mul(_copies("a_batch"), way.down, slots), 0),
        count("add", 1, count("floordiv", 1 << 14, mul(big, "k"))),
        64,
    )
    strips = count("add", count("ceildiv", "m", big), SPARE)
    size = mul(_copies("a_batch"), strips, width(t, big), count("add", "k", t.lanes))
    return Plan(
        dtype,
        functions,
        (("strips", count("select", way.strips, size, 0)),),
        (copy, product),
    )


def _copies(batch: str) -> Count:
    """How many matrices of a factor are different."""
    return count("select", count("eq", batch, 0), 1, "batch")


@from_parameters
def _functions(t: Tiling) -> tuple[Function, Function]:
    return pack_kernel(t), kernel(t)
