"""Copying a part of the source with its border of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from croton.kernel.build import add, const, index, mul, op, select, sub
from croton.kernel.nodes import Body, Buffer, Expr, For, Let, Load, Store, Var
from croton.schedule.convolution.direct.classes import ONE, ZERO
from croton.schedule.product.pack import below


class Region(NamedTuple):
    """Images ``[image, image + images)``, and ``extents`` places of each dimension from ``starts``.

    Places outside of the ``sizes`` of an image are zero.  Of every place the ``channels`` from
    ``channel`` are taken, of ``pitch`` that there are.
    """

    image: Expr
    images: Expr
    starts: Sequence[Expr]
    extents: Sequence[Expr]
    sizes: Sequence[Expr]
    channel: Expr
    channels: Expr
    pitch: Expr


def copy_region(source: Buffer, target: Buffer, region: Region, lanes: int) -> Body:
    """Copy ``region`` to ``target``, contiguous."""
    r = region
    name, k = "copied_", Var("copied")
    image, plane, line, cell = (Var(name + n) for n in ("image", "plane", "line", "cell"))
    left, right, where, to, at = (Var(name + n) for n in ("left", "right", "where", "to", "at"))
    cells, length, wide, inside = (Var(name + n) for n in ("cells", "length", "wide", "inside"))
    p0, p1 = add(r.starts[0], plane), add(r.starts[1], line)
    there = op("and", _within(p0, r.sizes[0]), _within(p1, r.sizes[1]))
    # Neighbouring places lie side by side where all channels are taken.
    whole = op("eq", r.channels, r.pitch)
    number = add(mul(add(mul(image, r.extents[0]), plane), r.extents[1]), line)
    row = add(mul(add(mul(add(r.image, image), r.sizes[0]), p0), r.sizes[1]), p1)
    zero = const(0.0, target.dtype, lanes)

    def clear(start: Expr, count: Expr) -> Body:
        mask = below(count, k, lanes)
        return (
            For(k, ZERO, count, (Store(target, add(start, k), zero, mask),), step=index(lanes)),
        )

    mask = Var(name + "mask", "bool", lanes)
    step: Body = (
        Let(mask, below(length, k, lanes)),
        Store(target, add(to, k), Load(source, add(at, k), lanes, mask), mask),
    )
    taken: Body = (
        Let(at, add(mul(add(mul(row, r.sizes[2]), add(add(r.starts[2], left), cell)), r.pitch),
                    r.channel)),
        Let(to, add(where, mul(add(left, cell), r.channels))),
        For(k, ZERO, length, step, step=index(lanes)),
    )  # fmt: skip
    body: Body = (
        Let(where, mul(number, mul(r.extents[2], r.channels))),
        Let(inside, select(there, right, left)),
        *clear(where, mul(left, r.channels)),
        Let(wide, sub(inside, left)),
        Let(cells, select(whole, op("minimum", wide, ONE), wide)),
        Let(length, select(whole, mul(wide, r.channels), r.channels)),
        For(cell, ZERO, cells, taken),
        *clear(add(where, mul(inside, r.channels)), mul(sub(r.extents[2], inside), r.channels)),
    )
    none = op("minimum", op("maximum", sub(ZERO, r.starts[2]), ZERO), r.extents[2])
    last = op("minimum", op("maximum", sub(r.sizes[2], r.starts[2]), none), r.extents[2])
    lines = For(line, ZERO, r.extents[1], body)
    planes = For(plane, ZERO, r.extents[0], (lines,))
    return (Let(left, none), Let(right, last), For(image, ZERO, r.images, (planes,)))


def is_inside(region: Region) -> Expr:
    """Whether the region has no border, and all channels of each place are taken."""
    found = op("eq", region.channels, region.pitch)
    for start, extent, size in zip(region.starts, region.extents, region.sizes, strict=True):
        within = op("and", op("ge", start, ZERO), op("le", add(start, extent), size))
        found = op("and", found, within)
    return found


def _within(place: Expr, size: Expr) -> Expr:
    return op("and", op("ge", place, ZERO), op("lt", place, size))
