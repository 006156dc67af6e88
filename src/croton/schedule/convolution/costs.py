"""What each algorithm of a convolution costs: one model, by which they are compared.

A cost is a time, in hundredths of what a direct convolution takes for the product of an element
and a vector, where blocks of its result have several vectors.  It is what such products take in
the algorithm at hand, with all lanes of vectors that are not full, and what it does besides:
transforms, places, copies of filters, and bytes that come from beyond the caches of a core.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.schedule.convolution import planes as with_planes
from croton.schedule.convolution.direct_filters.cut import cut as direct_cut
from croton.schedule.convolution.direct_filters.handed import Way
from croton.schedule.convolution.direct_filters.shape import shape
from croton.schedule.convolution.winograd import choice as tiles
from croton.schedule.convolution.winograd.matrices import TAPS
from croton.schedule.convolution.winograd_filters.cut import cut
from croton.schedule.convolution.winograd_filters.kernel import points
from croton.schedule.counts import Count, add, count, mul
from croton.schedule.product.choice import IN_PLACE
from croton.schedule.product.tiling import Tiling
from croton.schedule.product.ways import FEW_ROWS


class Rates(NamedTuple):
    """What parts of algorithms take, in hundredths of a product of a direct convolution.

    Which they are hangs on how many registers there are, in which blocks of the result and tiles
    that are transformed stay as a whole or do not.
    """

    #: A direct convolution: a product in blocks of one vector, and a place of the result besides.
    single: int
    place: int
    #: A product in products of matrices, of columns, of planes, and of sums over places.
    matrix: int
    columns: int
    planes: int
    sums: int
    #: What a place of columns takes, for each vector of them and for each tap that adds it up; and
    #: what one of planes does, of the result and for each channel of the image.
    column: int
    gathered: int
    brought: int
    laid: int
    #: Winograd's algorithms, by the points of a tile in a dimension: a product; the transform of
    #: a vector of a tile, forth and back (by the taps too); and what vectors take besides of which
    #: some lanes are empty; and a byte of the image and of the result.
    products: Mapping[int, int]
    forth: Mapping[int, int]
    back: Mapping[tuple[int, int], int]
    some_forth: Mapping[int, int]
    some_back: Mapping[int, int]
    moved: int
    #: Their gradient by the filters: a product, the transform of a vector of a tile, and of a
    #: vector of the sums back.
    tile_sums: int
    tile: int
    returned: int
    #: A number of the filters that is copied; one that is transformed, and one for which there is
    #: no room in a cache; a byte that is read from beyond the second cache; a launch.
    copied: int
    transformed: tuple[int, int]
    far: int
    launch: int


#: With 32 registers, from measurements where they have 64 bytes, and with 16 of 32 bytes.
_MANY = Rates(
    single=118, place=4000, matrix=100, columns=90, planes=105, sums=103,
    column=350, gathered=500, brought=900, laid=200,
    products={4: 94, 6: 94}, forth={4: 6800, 6: 33800},
    back={(4, 3): 9000, (6, 3): 21200, (6, 5): 14900},
    some_forth={4: 8000, 6: 20000}, some_back={4: 8000, 6: 20000}, moved=0,
    tile_sums=90, tile=43200, returned=32000,
    copied=132, transformed=(85, 170), far=18, launch=1000000,
)  # fmt: skip
_FEW = Rates(
    single=160, place=8000, matrix=102, columns=113, planes=130, sums=124,
    column=500, gathered=650, brought=1500, laid=600,
    products={4: 120, 6: 134}, forth={4: 14500, 6: 54000},
    back={(4, 3): 5000, (6, 3): 18000, (6, 5): 3000},
    some_forth={4: 30000, 6: 74000}, some_back={4: 12000, 6: 17500}, moved=22,
    tile_sums=139, tile=37000, returned=40000,
    copied=100, transformed=(60, 183), far=36, launch=1000000,
)  # fmt: skip


def rates(machine: Machine) -> Rates:
    """The rates of ``machine``."""
    found = _MANY if machine.registers >= 32 else _FEW
    if machine.adders:
        return found
    # Transforms are sums, for the most part, and the one back has the more of them.
    return found._replace(
        forth={reach: rate * 3 // 2 for reach, rate in found.forth.items()},
        back={of: rate * 2 for of, rate in found.back.items()},
        tile=found.tile * 3 // 2,
    )


class _Sizes(NamedTuple):
    """What is summed up in each group, and what the result has.

    ``places`` are those of ``y``, ``made`` those of the result, ``around`` those at which its
    taps meet about as many places of the other one as there are.
    """

    inner: Count
    outer: Count
    places: Count
    made: Count
    around: Count
    taps: Count


def _sizes(kind: str) -> _Sizes:
    result, inner, outer = (
        ("x", "filters", "channels") if kind == "inputs" else ("y", "channels", "filters")
    )
    places, made = (mul("batch", *(f"{name}{d}" for d in range(3))) for name in ("y", result))
    around = places
    if kind == "inputs":
        strides = mul(*(f"stride{d}" for d in range(3)))
        around = count("floordiv", add(places, count("ceildiv", made, strides)), 2)
    return _Sizes(inner, outer, places, made, around, mul("k0", "k1", "k2"))


def direct(kind: str, t: Tiling, r: Rates, constant: bool) -> Count:
    """A direct convolution; ``constant`` filters have been copied before."""
    of = _sizes(kind)
    weights = mul(of.taps, of.inner)
    products = mul(of.around, weights, _vectors(of.outer, t.lanes, 100, r))
    cost = add(products, mul(r.place, of.made))
    if not constant:
        cost = add(cost, mul(r.copied, weights, _up(of.outer, t.panel)), r.launch)
    return mul("groups", cost)


def pointwise(kind: str, t: Tiling, r: Rates) -> Count:
    """A product of matrices: each of its items copies the filters, unless it has few places."""
    of = _sizes(kind)
    items = count("ceildiv", of.places, IN_PLACE)
    copies = mul(r.copied, items, of.inner, _up(of.outer, t.panel))
    copies = count("select", count("le", of.places, FEW_ROWS), 0, copies)
    products = mul(r.matrix, of.inner, count("ceildiv", of.outer, t.lanes))
    return add(copies, mul(of.places, add(products, r.place)))


def columns(t: Tiling, r: Rates) -> Count:
    """The gradient by images of few channels, with columns for taps and channels."""
    of = _sizes("inputs")
    wide = mul(t.vectors, count("ceildiv", mul(of.taps, "channels"), t.panel))
    each = add(mul(wide, add(mul(r.columns, "filters"), r.column)), mul(r.gathered, of.taps))
    return mul(of.places, each)


def planes(kind: str, t: Tiling, r: Rates) -> Count:
    """A convolution with few channels of the result, with places in lanes."""
    of = tiles.role(kind)
    places = mul(of.images, of.rows, of.columns)
    products = mul(places, "k1", "k2", of.channels, _up(of.filters, with_planes.FILTERS))
    products = count("floordiv", mul(r.planes, products), t.lanes)
    laid = mul(r.laid, of.images, of.high, of.wide, of.channels)
    return add(products, mul(r.brought, places), laid)


def winograd(kind: str, t: Tiling, r: Rates, reach: int, constant: bool, narrow: bool) -> Count:
    """Winograd's, with ``reach`` points of a tile in each dimension.

    Products take no less time than reading the transformed filters does, which ``constant`` ones
    have been before.  ``narrow`` kernels compute no second vector of a panel that is empty.
    """
    of = tiles.role(kind)
    way = tiles.choose(t, of, reach, False)
    into = mul(r.forth[reach], count("ceildiv", of.channels, t.lanes))
    out = mul(_by_taps(of, reach, r), count("ceildiv", of.filters, t.lanes))
    into = add(into, mul(r.some_forth[reach], _some(of.channels, t.lanes)))
    out = add(out, mul(r.some_back[reach], _some(of.filters, t.lanes)))
    return _tiles(t, r, of, way, reach, constant, narrow, into, out)


def adjoint(t: Tiling, r: Rates, constant: bool, narrow: bool) -> Count:
    """Winograd's gradient by images with tiles of what it is computed from.

    The transforms change places: what was one of the result is one of what is read.
    """
    of, reach = tiles.adjoint_role(), 6
    way = tiles.choose(t, of, reach, False, True)
    into = mul(_by_taps(of, reach, r), count("ceildiv", of.channels, t.lanes))
    out = mul(r.forth[reach] + r.some_back[reach], count("ceildiv", of.filters, t.lanes))
    cost = _tiles(t, r, of, way, reach, constant, narrow, into, out)
    # With as many tiles it takes longer, as some places are stored several times.
    return count("floordiv", mul(21, cost), 20)


def _by_taps(of: tiles.Role, reach: int, r: Rates) -> Count:
    """What the transform of a vector of a tile takes that has the places of the result."""
    first, *others = TAPS[reach]
    back: Count = r.back[reach, first]
    for taps in others:
        back = count("select", count("eq", of.taps, taps), r.back[reach, taps], back)
    return back


def _tiles(
    t: Tiling,
    r: Rates,
    of: tiles.Role,
    way: tiles.Choice,
    reach: int,
    constant: bool,
    narrow: bool,
    into: Count,
    out: Count,
) -> Count:
    """All of it, where to transform a tile takes ``into``, and ``out`` to transform it back."""
    squares = reach**2
    width = t.lanes if narrow else t.panel
    vectors = mul(width // t.lanes, count("ceildiv", of.filters, width))
    each = count("maximum", mul(r.products[reach], way.tiles), r.far * t.lanes * t.itemsize)
    if not constant:
        numbers = mul(squares, of.channels, vectors, t.lanes)
        large = count("lt", t.large // t.itemsize, mul(of.groups, numbers))
        near, far = r.transformed
        each = add(each, mul(t.lanes, count("select", large, far, near)))
    parts = count("ceildiv", of.filters, count("maximum", way.take, 1))
    turning = mul(way.tiles, add(mul(parts, into), out))
    pixels = add(mul(of.high, of.wide, of.channels), mul(of.rows, of.columns, of.filters))
    turning = add(turning, mul(r.moved * t.itemsize, of.images, pixels))
    return mul(of.groups, add(mul(squares, of.channels, vectors, each), turning))


def sums(t: Tiling, r: Rates) -> Count:
    """The gradient by the filters, summed up directly."""
    of = _sizes("filters")
    each = _vectors(of.outer, t.lanes, r.sums, r)
    return mul("groups", of.places, of.taps, of.inner, each)


def handed(t: Tiling, r: Rates, way: Way) -> Count:
    """The gradient by the filters, block by block: each item reads all places."""
    numbers = add(mul("channels", way.cut.panel_groups), mul("filters", way.blocks))
    read = mul(r.far * t.itemsize, _sizes("filters").places, numbers)
    return add(sums(t, r), read)


def returned(machine: Machine, t: Tiling, r: Rates, algorithm: str) -> Count:
    """What it takes to write sums, all pieces of them, and to read them again."""
    s = shape(t.dtype, machine)
    pieces = direct_cut(s).pieces
    if algorithm != "direct":
        pieces = cut(s, 6, points(6), machine.l2).pieces
    return mul(2 * r.far * t.itemsize, _sizes("filters").taps, "channels", "filters", pieces)


def tile_sums(machine: Machine, t: Tiling, r: Rates, reach: int) -> Count:
    """The gradient by the filters, by Winograd's products."""
    c = cut(shape(t.dtype, machine), reach, points(reach), machine.l2)
    channels, filters = (count("ceildiv", n, t.lanes) for n in ("channels", "filters"))
    each = r.tile * reach**2 // 36
    products = mul(r.tile_sums * reach**2, c.tiles, "channels", filters)
    turning = mul(each, c.tiles, add(mul(channels, c.panels), mul(filters, c.blocks)))
    back = mul(r.returned * reach**2 // 36, "channels", filters, c.pieces)
    return mul("groups", add(products, turning, back))


def _vectors(extent: Count, lanes: int, rate: int, r: Rates) -> Count:
    """What the products of an element and all vectors take, of which one may be left alone."""
    number = count("ceildiv", extent, lanes)
    odd = count("mod", number, 2)
    pairs = mul(rate, count("sub", number, odd))
    return add(pairs, mul(rate * r.single // 100, odd))


def _some(extent: Count, lanes: int) -> Count:
    """Whether the last vector has empty lanes."""
    return count("lt", 0, count("mod", extent, lanes))


def _up(value: Count, to: int) -> Count:
    return mul(to, count("ceildiv", value, to))
