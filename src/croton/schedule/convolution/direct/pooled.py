"""Direct convolutions that hand their boxes to a pooling: a box is some pooled places.

An item computes what their windows hold, as far as the result has that, in a tile of its own.
Where windows overlap, neighbouring boxes compute what both need.
"""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, sub
from croton.kernel.nodes import Body, Call, Expr, Function, Let, Stmt, Var
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution import region
from croton.schedule.convolution.direct.classes import ONE, ZERO
from croton.schedule.convolution.direct.filters import pack_kernel
from croton.schedule.convolution.direct.kernel import (
    BOX,
    DIMENSIONS,
    GROUP,
    HAS,
    N0,
    N1,
    SIZES,
    Direct,
    scratch_bytes,
)
from croton.schedule.convolution.direct.plan import div, launches
from croton.schedule.counts import Count, count
from croton.schedule.counts import mul as mul_all
from croton.schedule.product.tiling import Tiling
from croton.schedule.steps import Plan

#: Places that a box has along a dimension, about: the first for which half of the second cache
#: has room for what they are computed from.
SIDES = (32, 16, 8)
#: Places of a box, at most.
PLACES = SIDES[0] ** 2

_POOL = {name: Var(name) for name in region.SIZES}
_FIRST = [Var(f"item_first{d}") for d in range(3)]
_END = [Var(f"item_end{d}") for d in range(3)]


class _Pooled(Direct):
    ending, sizes, places_held = "_pooled", (*SIZES, *region.SIZES), PLACES
    tile_start, copies = region.TILE, False

    def __init__(self, t: Tiling) -> None:
        super().__init__(t, True)
        self.begin = _FIRST

    def numbers(self) -> list[Expr]:
        return [DIMENSIONS[0].result, _POOL["pools1"], _POOL["pools2"]]

    def extents(self) -> Body:
        found: list[Stmt] = []
        for k, x in enumerate(DIMENSIONS):
            first, end, place = _FIRST[k], _END[k], BOX[k + 1]
            found.append(Let(end, op("minimum", add(first, x.box), self.numbers()[k])))
            if k == 0:
                found += [Let(place, first), Let(HAS[1], sub(end, first))]
                continue
            step, window, pad = (_POOL[f"{name}{k}"] for name in ("step", "window", "pad"))
            last = add(sub(mul(sub(end, ONE), step), pad), window)
            inside = sub(op("minimum", last, x.result), place)
            found += [
                Let(place, op("maximum", sub(mul(first, step), pad), ZERO)),
                Let(HAS[k + 1], op("maximum", inside, ZERO)),
            ]
        return tuple(found)

    def hand_over(self) -> Body:
        base = mul(GROUP, Var("outer"))
        row = mul(HAS[3], index(self.t.leading))
        numbers = (
            add(base, N0), add(base, N1), _FIRST[1], _END[1], _FIRST[2], _END[2],
            BOX[2], BOX[3], row, mul(HAS[2], row),
        )  # fmt: skip
        first = add(mul(BOX[0], DIMENSIONS[0].result), BOX[1])
        return (
            *region.header(self.below, numbers),
            Call(self.callee, first, add(first, mul(HAS[0], HAS[1])), self.below),
        )


def steps(t: Tiling, when: Count = 1) -> Plan:
    """The steps of the kind "forward", which run ``when`` that is 1.

    A pooling takes the boxes (see :mod:`croton.schedule.convolution.region`, whose ``SIZES`` are
    amounts of the plan); the first spatial dimension has size 1.
    """
    return launches("forward", t, _functions(t), _box(t), when, region.SIZES)


def _box(t: Tiling) -> dict[str, Count]:
    """How many images, pooled places along each dimension, and channels an item has.

    Boxes are about square, as neighbours share what overlaps, and there are about eight items.
    """
    chunks = count("ceildiv", "filters", t.leading)
    places = mul_all("batch", "y1", "y2")
    side: Count = SIDES[-1]
    for n in reversed(SIDES[:-1]):
        needs = mul_all("channels", _source(1, n), _source(2, n), 2 * t.itemsize)
        side = count("select", count("le", needs, t.second), n, side)
    wanted = count("floordiv", mul_all(places, "groups", chunks), 8)
    most = count("minimum", mul_all(side, side), count("maximum", wanted, 2 * t.blocks[0]))

    def fitting(d: int, room: Count) -> Count:
        """Pooled places along dimension ``d`` whose windows have ``room``, in equal boxes."""
        more = div(count("sub", room, f"window{d}"), f"step{d}")
        limit = count("maximum", count("add", more, 1), 1)
        number = count("maximum", count("ceildiv", f"pools{d}", limit), 1)
        return count("maximum", count("ceildiv", f"pools{d}", number), 1)

    def windows(d: int, pooled: Count) -> Count:
        """Places along dimension ``d`` that the windows of so many pooled places hold."""
        between = mul_all(count("sub", pooled, 1), f"step{d}")
        return count("minimum", count("add", between, f"window{d}"), count("maximum", f"y{d}", 1))

    box2 = fitting(2, count("minimum", most, side))
    wide = windows(2, box2)
    box1 = fitting(1, div(most, wide))
    tall = windows(1, box1)
    held = mul_all(tall, wide)
    # Images of which a box holds all places.
    whole = count("and", count("le", "pools2", box2), count("le", "pools1", box1))
    several = count("maximum", div(most, held), 1)
    number = count("maximum", count("ceildiv", "batch", several), 1)
    images = count("select", whole, count("maximum", count("ceildiv", "batch", number), 1), 1)
    cuts = [count("ceildiv", f"pools{d}", box) for d, box in ((1, box1), (2, box2))]
    items = mul_all(*cuts, count("ceildiv", "batch", images), chunks, "groups", "y0")
    source = mul_all(images, "channels", _source(1, tall), _source(2, wide), t.itemsize)
    tables = mul_all("k0", "k1", "k2", 16)
    own = scratch_bytes(t, PLACES) + region.size(PLACES) + 512
    return {
        "box0": 1, "box1": box1, "box2": box2, "images": images, "columns": t.leading,
        "items": items, "scratch": count("add", count("add", source, tables), own),
        "places": mul_all(images, held),
    }  # fmt: skip


def _source(d: int, places: Count) -> Count:
    """Places of the image along dimension ``d`` that so many of the result are computed from."""
    reach = mul_all(count("sub", f"k{d}", 1), f"dilation{d}")
    between = mul_all(count("sub", places, 1), f"stride{d}")
    return count("add", count("add", between, reach), 1)


@from_parameters
def _functions(t: Tiling) -> tuple[Function, Function]:
    return pack_kernel(t), _Pooled(t).function()
