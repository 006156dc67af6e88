"""Which kernels compute a product, on what, and in how many items: plain data for a scheduler."""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.kernel.parameters import from_parameters
from croton.schedule.counts import Count, all_of, count, mul
from croton.schedule.product import tile
from croton.schedule.product.choice import FEW_COLUMNS, choose
from croton.schedule.product.kernel import kernel, scratch_bytes
from croton.schedule.product.names import SIZES, STORE_SIZES
from croton.schedule.product.panels import panel_kernel
from croton.schedule.product.strips import COPIED, LYING, SPARE, pack_kernel
from croton.schedule.product.tiling import Tiling, tiling, width
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
    adds: bool = False,
    repeated: bool = False,
    spare: int = 0,
) -> Plan:
    """How to compute ``c[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]``.

    With ``epilogue`` the blocks of the product go to a kernel instead of to ``c``
    (see :mod:`croton.schedule.product.tile`), which may use ``spare`` bytes of scratch.
    With ``accumulate`` the product is added to what ``c`` holds; if it ``adds``, to ``d``, whose
    strides are ``d_batch`` and ``d_row``.  Where the plan is ``repeated`` with the same ``b``, of
    which there is one for the batch, a step of its own copies that, and need not be repeated.
    """
    if epilogue and (accumulate or adds):
        raise ValueError("a product with an epilogue has nothing to add to")
    t = tiling(dtype, machine)
    pack, panel, product = _functions(t)
    way = choose(t, epilogue, repeated)
    big, own = t.strips[0], scratch_bytes(t)
    values: dict[str, Count] = way._asdict()
    values["strips"] = count("select", way.lie, mul(LYING, way.strips), way.strips)
    values |= {"accumulate": int(accumulate or adds), "hands": int(epilogue)}
    # Copied into panels is what several rows read in more than a few columns.
    copied = all_of(
        count("lt", 1, "m"), count("lt", 1, "k"), count("lt", FEW_COLUMNS, "n"), int(repeated)
    )
    values |= {
        "b_panel": count("select", copied, "k", "b_column"),
        "b_inner": count("select", copied, t.panel, "b_inner"),
        "b_column": count("select", copied, 1, "b_column"),
    }
    if not adds:
        values |= {"d_row": "c_row", "d_batch": "c_batch"}
    added = "d" if adds else NOTHING if epilogue else "c"
    grain = count("add", 1, count("floordiv", 1 << 17, mul(way.rows, way.columns, "k")))
    if not epilogue:
        grain = count("select", way.strips, count("neg", grain), grain)
    multiply = Step(
        product.name,
        (
            *("a", "b", "panels" if repeated else "strips"),
            *("epilogue" if epilogue else NOTHING, added, NOTHING if epilogue else "c"),
        ),
        tuple(values.get(name, name) for name in SIZES + STORE_SIZES),
        mul("batch", way.down, way.across),
        grain,
        64 + tile.FREE + max(own, spare),
    )
    if repeated:
        panels = count("select", copied, count("ceildiv", "n", t.panel), 0)
        copy = Step(
            panel.name,
            ("b", "panels"),
            ("n", "k", "b_inner", "b_column"),
            panels,
            count("add", 1, count("floordiv", 1 << 14, mul(t.panel, "k"))),
            64,
        )
        size = mul(panels, t.panel, "k")
        return Plan(dtype, (panel, product), (("panels", size),), (copy, multiply))
    copied = count("eq", values["strips"], COPIED)
    slots = count("add", count("ceildiv", way.rows, big), SPARE)
    copy = Step(
        pack.name,
        ("a", "strips"),
        ("m", "k", "a_row", "a_inner", "a_batch", way.rows, slots),
        count("select", copied, mul(_copies("a_batch"), way.down, slots), 0),
        count("add", 1, count("floordiv", 1 << 14, mul(big, "k"))),
        64,
    )
    size = mul(_copies("a_batch"), way.down, slots, width(t.lanes, big), count("add", "k", t.lanes))
    size = count("select", copied, size, 0)
    return Plan(dtype, (pack, product), (("strips", size),), (copy, multiply))


def _copies(batch: str) -> Count:
    """How many matrices of a factor are different."""
    return count("select", count("eq", batch, 0), 1, "batch")


def main_kernel(dtype: str, machine: Machine) -> Function:
    """The kernel that every plan launches."""
    return _functions(tiling(dtype, machine))[-1]


@from_parameters
def _functions(t: Tiling) -> tuple[Function, Function, Function]:
    return pack_kernel(t), panel_kernel(t), kernel(t)
