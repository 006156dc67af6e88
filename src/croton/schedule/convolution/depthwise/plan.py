"""The steps of a convolution with one or a few channels in each group."""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution.depthwise.choice import (
    LEAST,
    Tiling,
    all_channels,
    cut,
    cut_sums,
    far,
    tiling,
)
from croton.schedule.convolution.depthwise.dimensions import table_bytes
from croton.schedule.convolution.depthwise.filters import PACK_SIZES, pack_kernel
from croton.schedule.convolution.depthwise.gradient import (
    CHUNK,
    LISTED,
    gradient_kernel,
    sum_kernel,
)
from croton.schedule.convolution.depthwise.gradient import (
    SIZES as SUM_OF_SIZES,
)
from croton.schedule.convolution.depthwise.kernel import SIZES, kernel
from croton.schedule.convolution.filters_end import SUMS, Sums
from croton.schedule.convolution.names import KINDS
from croton.schedule.counts import Count, count, mul
from croton.schedule.product import tile
from croton.schedule.steps import Plan, Step

#: The temporaries.
PACKED, PARTS = "depthwise_packed", "depthwise_parts"


def steps(
    kind: str,
    machine: Machine,
    dtype: str,
    epilogue: bool = False,
    when: Count = 1,
    *,
    spare: int = 0,
    group: int = 1,
) -> Plan:
    """How to compute a convolution of ``kind`` with ``group`` channels and filters in each group.

    ``group`` divides the lanes of a vector: ValueError is raised if it does not, as it is for
    filters with an epilogue.

    The steps have items where ``when`` is 1.  With ``epilogue`` (not for the filters) blocks of
    the result go to a kernel (:mod:`croton.schedule.product.tile`), which may use ``spare``
    bytes of scratch.

    >>> machine = Machine("any", 32, 16, 32 << 10, 512 << 10, 8 << 20)
    >>> [step.kernel for step in steps("forward", machine, "float32").steps]
    ['depthwise_filters_float32_pack', 'depthwise_forward_float32']
    """
    t = tiling(dtype, machine, group)
    if kind == "filters":
        if epilogue:
            raise ValueError("the filters have no epilogue")
        return _filters(t, when)
    return _lines(t, kind == "forward", epilogue, when, spare)


def _lines(t: Tiling, forward: bool, epilogue: bool, when: Count, spare: int) -> Plan:
    functions = _functions(t, forward, epilogue)
    source, _, result = KINDS["forward" if forward else "inputs"]
    c = cut(t, source, result, epilogue)
    channels = all_channels(t)
    neighbours: Count = 0
    if forward or t.group == 1:
        neighbours = count("eq", "w_filter", 1)
    tap = mul(channels, t.group)
    row = mul("k2", tap)
    values: dict[str, Count] = {"direct": neighbours, "all_channels": channels}
    for name, given, size in (
        ("start", "w_start", 0),
        ("step0", "w_step0", mul("k1", row)),
        ("step1", "w_step1", row),
        ("step2", "w_step2", tap),
        ("inner", "w_channel", channels),
    ):
        values[name] = count("select", neighbours, given, size)
    names = ("lines", "span", "width", "down", "pieces", "across", "tile_lines")
    values |= dict(zip(names, c, strict=False))
    values["far"] = far(t)
    table = count("add", 64, table_bytes(forward))
    main = Step(
        functions[1].name,
        (source, "w", PACKED, "epilogue" if epilogue else result),
        tuple(values.get(name, name) for name in SIZES),
        count("select", when, mul(c.down, c.pieces, c.across), 0),
        count("add", 1, count("floordiv", LEAST, count("add", 1, c.work))),
        count("add", tile.FREE + spare, table) if epilogue else table,
    )
    packs = count("and", when, count("eq", neighbours, 0))
    rows = mul("k0", "k1", "k2", t.group)
    copy = Step(
        functions[0].name,
        ("w", PACKED),
        tuple(values.get(name, name) for name in PACK_SIZES),
        count("select", packs, rows, 0),
        count("add", 1, count("floordiv", 1 << 14, count("add", channels, 1))),
        64,
    )
    size = count("select", packs, mul(rows, channels), 0)
    return Plan(t.dtype, functions, ((PACKED, size),), (copy, main))


def _filters(t: Tiling, when: Count) -> Plan:
    functions = _gradient_functions(t)
    sums, parts = _sums(t, when, PARTS)
    elements = mul("k0", "k1", "k2", t.group, all_channels(t))
    total = Step(
        functions[1].name,
        (PARTS, "w"),
        (elements, parts),
        count("select", when, count("ceildiv", elements, CHUNK), 0),
        count("add", 1, count("floordiv", 4, count("add", 1, parts))),
        64,
    )
    size = count("select", when, mul(parts, elements), 0)
    return Plan(t.dtype, functions, ((PARTS, size),), (sums, total))


def sums_of(machine: Machine, dtype: str, when: Count, *, group: int = 1) -> Sums:
    """The first step of the kind "filters", where ``when`` holds, for an epilogue."""
    t = tiling(dtype, machine, group)
    step, parts = _sums(t, when, SUMS)
    return Sums(when, _gradient_functions(t)[0], step, parts)


def _sums(t: Tiling, when: Count, to: str) -> tuple[Step, Count]:
    """The step that sums up parts of the filters' gradient, and how many these are."""
    c = cut_sums(t)
    names = ("lines", "span", "width", "down", "pieces", "across")
    values: dict[str, Count] = dict(zip(names, c, strict=False))
    values |= {"all_channels": all_channels(t), "far": far(t)}
    parts = mul(c.down, c.pieces)
    step = Step(
        _gradient_functions(t)[0].name,
        ("x", "y", to),
        tuple(values.get(name, name) for name in SUM_OF_SIZES),
        count("select", when, mul(parts, c.across), 0),
        count("add", 1, count("floordiv", LEAST, count("add", 1, c.work))),
        count("add", count("add", 64, table_bytes(True)), mul("k2", LISTED)),
    )
    return step, parts


@from_parameters
def _gradient_functions(t: Tiling) -> tuple[Function, Function]:
    return gradient_kernel(t), sum_kernel(t)


@from_parameters
def _functions(t: Tiling, forward: bool, epilogue: bool) -> tuple[Function, Function]:
    return pack_kernel(t, forward), kernel(t, forward, epilogue)
