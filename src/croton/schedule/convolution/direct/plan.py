"""The steps of a direct convolution, and how its places are cut into items."""

from __future__ import annotations

from croton.kernel.nodes import Function
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution.direct import kernel as direct
from croton.schedule.convolution.direct.filters import (
    LIES,
    SIZES,
    in_lines,
    pack_kernel,
    packed_size,
    panel_count,
    scratch_bytes,
)
from croton.schedule.counts import Count, all_of, count, mul
from croton.schedule.product import tile
from croton.schedule.product.tiling import Tiling
from croton.schedule.steps import Plan, Step

#: A panel of an item's own has at most this part of the second cache.
OWN = 16


def steps(
    kind: str, t: Tiling, *, epilogue: bool = False, when: Count = 1, constant: bool = False
) -> Plan:
    """The steps of ``kind`` (``"forward"`` or ``"inputs"``), which run ``when`` that is 1.

    ``constant`` filters are copied once, for all calls.  With ``epilogue`` blocks of the result
    go to a kernel (see :mod:`croton.schedule.product.tile`);
    the gradient by the inputs may then have no strides.
    """
    forward = kind == "forward"
    source, result = ("x", "y") if forward else ("y", "x")
    inner, outer = ("channels", "filters") if forward else ("filters", "channels")
    box = _box(t, forward, source, result, inner, outer, epilogue, constant)
    return launches(kind, t, _functions(t, epilogue), box, when, (), epilogue)


def launches(
    kind: str,
    t: Tiling,
    functions: tuple[Function, Function],
    box: dict[str, Count],
    when: Count,
    more: tuple[str, ...],
    epilogue: bool = True,
) -> Plan:
    """The steps with ``functions`` and items of ``box``; the second takes ``more`` sizes."""
    forward = kind == "forward"
    source, result = ("x", "y") if forward else ("y", "x")
    inner, outer = ("channels", "filters") if forward else ("filters", "channels")
    values: dict[str, Count] = {"own": 0} | box
    values |= {"inner": inner, "outer": outer}
    packing: dict[str, Count] = {
        "inner": inner, "outer": outer, "panels": count("ceildiv", outer, t.panel),
        "turned": int(not forward), "start": "w_start",
        "group": count("mul", "filters", "w_filter"),
        "across": "w_filter" if forward else "w_channel",
        "along": "w_channel" if forward else "w_filter",
    }  # fmt: skip
    for d in range(3):
        stride, before, dilation = f"stride{d}", f"before{d}", f"dilation{d}"
        turned = count("sub", count("mul", count("sub", f"k{d}", 1), dilation), before)
        values |= {
            f"source{d}": f"{source}{d}",
            f"result{d}": f"{result}{d}",
            f"taps{d}": f"k{d}",
            f"stride{d}": stride if forward else 1,
            f"apart{d}": 1 if forward else stride,
            f"before{d}": before
            if forward
            else count("select", count("eq", stride, 1), turned, before),
        }
        packing[f"step{d}"] = f"w_step{d}"
    values |= {f"filter_{name}": packing[name] for name in LIES}
    pack, main = functions
    once = count("and", when, count("eq", values["own"], 0))
    packed = packed_size(t, "groups", inner, outer)
    work = mul(inner, t.panel, "k0", "k1", "k2")
    first = Step(
        pack.name,
        ("w", "packed"),
        tuple(packing.get(name, name) for name in SIZES),
        count("select", once, mul("groups", packing["panels"]), 0),
        count("add", 1, count("floordiv", 1 << 14, count("add", work, 1))),
        scratch_bytes(t, inner),
    )
    grain_work = mul(box["places"], box["columns"], inner, "k0", "k1", "k2")
    second = Step(
        main.name,
        (source, "packed", "epilogue" if epilogue else result, "w"),
        tuple(values.get(name, name) for name in (*direct.SIZES, *more)),
        count("select", when, box["items"], 0),
        count("add", 1, count("floordiv", 1 << 17, count("add", grain_work, 1))),
        box["scratch"],
    )
    temporaries = (("packed", count("select", once, packed, 0)),)
    return Plan(t.dtype, functions, temporaries, (first, second))


def _box(
    t: Tiling,
    forward: bool,
    source: str,
    result: str,
    inner: str,
    outer: str,
    epilogue: bool,
    constant: bool,
) -> dict[str, Count]:
    """How many images, places along each dimension, and channels an item has.

    As many as a table holds, as long as their part of the source stays in half of the second
    cache, or all of it in the whole one, and as there are some items for each of a few threads.
    What one tap meets may be more: it is read for a few panels only, line by line; filters would
    be read more often.
    """
    half = t.second // (2 * t.itemsize)
    places = [
        f"{result}{d}" if forward else count("ceildiv", f"{result}{d}", f"stride{d}")
        for d in range(3)
    ]
    strides: list[Count] = [f"stride{d}" if forward else 1 for d in range(3)]
    reaches = [
        count("add", count("mul", count("sub", f"k{d}", 1), f"dilation{d}"), 1) for d in range(3)
    ]
    few = count("le", mul("batch", *places), direct.PLACES)
    # Each class of places has taps of its own.
    classes: Count = 1 if forward else mul("stride0", "stride1", "stride2")
    extents = [_extent(p, s, r) for p, s, r in zip(places, strides, reaches, strict=True)]
    near = count("le", mul("batch", inner, *extents), 2 * half)
    # An item that has all places reads its filters once, and nobody copies them to memory.
    near = all_of(few, count("eq", classes, 1), near)
    single = count("eq", mul("k0", "k1", "k2"), 1)
    budget = count("select", single, 4 * half, count("select", near, 2 * half, half))
    columns: Count = t.leading
    if not epilogue:
        # Of few places the channels are shared out, in eight parts at least: then each reads its
        # own filters only.
        # An item copies its part of the source: the narrower panels are, the more use that copy.
        widest = t.panel * (16 if t.few else 4)
        eighth = mul(t.panel, count("floordiv", outer, 8 * t.panel))
        some = count("minimum", count("maximum", eighth, t.panel), widest)
        columns = count("select", few, some, widest)
    chunks = count("ceildiv", outer, columns)
    total = mul("batch", "groups", chunks, *places)
    # So few places that there are about eight items, or sixteen longer ones that are no parts of
    # the channels, but at least two blocks of each class.
    longer = count("and", count("lt", 1, classes), count("lt", chunks, 8))
    several = count("select", longer, 16, 8)
    wanted = count("maximum", div(total, several), 2 * t.blocks[0])
    most = count("minimum", direct.PLACES, wanted)

    def boxes(d: int, room: Count, taken: Count, filled: Count) -> Count:
        """Places along dimension ``d``: within ``most`` and the budget, of equal boxes."""
        fits = count("add", div(count("sub", div(room, filled), reaches[d]), strides[d]), 1)
        limit = count("maximum", count("minimum", div(most, taken), fits), 1)
        number = count("maximum", count("ceildiv", places[d], limit), 1)
        return count("maximum", count("ceildiv", places[d], number), 1)

    # A dimension is cut only if all later ones fit as a whole.
    filled: Count = mul(inner, reaches[0], reaches[1])
    box2 = boxes(2, budget, 1, filled)
    whole2 = count("eq", box2, count("maximum", places[2], 1))
    extent2 = _extent(box2, strides[2], reaches[2])
    box1 = count("select", whole2, boxes(1, budget, box2, mul(inner, reaches[0], extent2)), 1)
    whole1 = count("and", whole2, count("eq", box1, count("maximum", places[1], 1)))
    extent1 = _extent(box1, strides[1], reaches[1])
    plane = mul(inner, extent1, extent2)
    box0 = count("select", whole1, boxes(0, budget, mul(box1, box2), plane), 1)
    whole0 = count("and", whole1, count("eq", box0, count("maximum", places[0], 1)))
    image = mul(plane, _extent(box0, strides[0], reaches[0]))
    each = mul(box0, box1, box2)
    limit = count("maximum", count("minimum", div(most, each), div(budget, image)), 1)
    number = count("maximum", count("ceildiv", "batch", limit), 1)
    images = count("select", whole0, count("maximum", count("ceildiv", "batch", number), 1), 1)
    boxes_of_all = mul(
        *(count("ceildiv", p, b) for p, b in zip(places, (box0, box1, box2), strict=True)),
        count("ceildiv", "batch", images),
    )
    items = mul(boxes_of_all, chunks, "groups")
    region = mul(images, image)
    tables = mul("k0", "k1", "k2", 16)
    fixed = direct.scratch_bytes(t) + (tile.FREE if epilogue else 0)
    scratch = count("add", count("add", mul(region, t.itemsize), tables), fixed + 512)
    own: Count = 0
    if not constant:
        # A panel that one item reads only comes from its own cache then.
        across, along = ("w_filter", "w_channel") if forward else ("w_channel", "w_filter")
        once = all_of(count("eq", mul(boxes_of_all, classes), 1), in_lines(across, along))
        own = count("select", once, _own(t, inner), 0)
        held = count("add", mul(panel_count(t, own), t.itemsize), scratch_bytes(t, own))
        scratch = count("add", scratch, count("select", own, held, 0))
    return {
        "box0": box0, "box1": box1, "box2": box2, "images": images, "columns": columns,
        "items": items, "scratch": scratch, "places": mul(images, each), "own": own,
    }  # fmt: skip


def _own(t: Tiling, inner: Count) -> Count:
    """Source channels of which an item copies the filters of a panel at a time: in equal parts."""
    each = mul("k0", "k1", "k2", t.panel * t.itemsize)
    limit = count("maximum", div(t.second // OWN, each), t.lanes)
    pieces = count("maximum", count("ceildiv", inner, limit), 1)
    return count("maximum", count("ceildiv", inner, pieces), 1)


def _extent(places: Count, stride: Count, reach: Count) -> Count:
    return count("add", count("mul", count("sub", places, 1), stride), reach)


def div(a: Count, b: Count) -> Count:
    """How often ``b`` fits into ``a``; as often as 1 does, if it is 0."""
    return count("floordiv", a, count("maximum", b, 1))


@from_parameters
def _functions(t: Tiling, epilogue: bool) -> tuple[Function, Function]:
    return pack_kernel(t), direct.kernel(t, epilogue)
