"""Transforming filters into U, in panels: by a kernel, or once and for all in NumPy.

Element (f, point, c) of U is ``U[((f // panel * points + point) * (channels + 1) + c) * panel
+ f % panel]``.  Columns beyond the last filter are there and mean nothing; so does the line
behind the channels, without which the points of a filter would share places of the first cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import (
    Allocate,
    Body,
    Buffer,
    Expr,
    For,
    Function,
    If,
    Let,
    Load,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.winograd.geometry import offsets
from croton.schedule.convolution.winograd.matrices import TAPS, matrices, numbers_of_taps
from croton.schedule.convolution.winograd.transforms import transform
from croton.schedule.counts import Count, count
from croton.schedule.product.pack import Copy, Source, pack
from croton.schedule.product.strips import ONE, ZERO, ceildiv, total
from croton.schedule.product.tiling import Tiling

#: Sizes of the kernel: extents, and how filters lie, in elements.
FILTER_SIZES = ("channels", "filters", "taps", "start", "filter", "channel", "step1", "step2")

#: Channels of an item.
PIECE = 64

Array = np.ndarray[Any, np.dtype[Any]]


def prepare(w: Array, reach: int, panel: int) -> Array:
    """U of filters ``w`` of shape (taps, taps, channels, filters), as one line of w's dtype.

    ``reach`` are the points in a dimension, and ``panel`` is the machine's
    (:attr:`croton.schedule.product.tiling.Tiling.panel`).  It is computed in float64.
    ValueError if there are no tiles for filters of that size.

    >>> prepare(np.ones((3, 3, 2, 5), np.float32), 6, 32).size == 36 * (2 + 1) * 32
    True
    """
    taps = w.shape[0]
    if w.shape[1] != taps or taps not in TAPS[reach]:
        some = " or ".join(f"{n} x {n}" for n in TAPS[reach])
        raise ValueError(f"filters of {some} are needed, not of shape {w.shape}")
    g = np.array(matrices(reach, taps).filters, np.float64)
    u = np.einsum("ar,bs,rscf->abcf", g, g, w.astype(np.float64), optimize=True)
    points, channels, filters = u.shape[0] ** 2, w.shape[2], w.shape[3]
    panels = -(-filters // panel)
    whole = np.zeros((points, channels + 1, panels * panel))
    whole[:, :channels, :filters] = u.reshape(points, channels, filters)
    whole = whole.reshape(points, channels + 1, panels, panel).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(whole, w.dtype).ravel()


def scratch_bytes(t: Tiling, taps: Count) -> Count:
    """Bytes of scratch for a piece of a panel of filters."""
    each = count("minimum", taps, max(TAPS[6]))
    return count("mul", count("mul", each, each), (PIECE + t.lanes) * t.panel * t.itemsize)


def filter_kernel(t: Tiling, reach: int, known: int | None = None) -> Function:
    """The kernel that computes U; an item is a piece of the channels of a panel."""
    w, u, copied = Buffer("w", t.dtype), Buffer("u", t.dtype), Buffer("copied", t.dtype)
    names = {n: Var(n) for n in FILTER_SIZES}
    channels, filters, channel = names["channels"], names["filters"], names["channel"]
    item, panel, piece, pieces = (Var(n) for n in ("item", "panel", "piece", "pieces"))
    c0, depth, f0, part, present, flat = (
        Var(n) for n in ("c0", "depth", "f0", "part", "present", "flat")
    )
    start, side, taps = Var("w_from"), names["taps"], Var("all_taps")
    line = index(t.panel)
    row = op("floordiv", part, side)
    column = sub(part, mul(row, side))
    # Channels and their taps may lie in one line: then a panel is copied as one matrix.
    whole = op("eq", names["step2"], ONE)
    for a, b in ((names["step1"], side), (channel, taps)):
        whole = op("and", whole, op("eq", a, b))
    is_flat = op("ne", flat, ZERO)
    source = Source(
        w,
        add(start, total((row, names["step1"]), (column, names["step2"]))),
        names["filter"],
        select(is_flat, ONE, channel),
        present,
        select(is_flat, mul(depth, taps), depth),
    )
    lanes = mul(ceildiv(present, index(t.lanes)), index(t.lanes))
    pitch = select(is_flat, line, mul(line, taps))
    copy = Copy(copied, mul(part, line), pitch, lanes)
    first, *others = numbers_of_taps(reach, known)
    points = _points(t, reach, first, copied, u, lanes)
    for number in others:
        here = op("eq", side, index(number))
        points = (If(here, _points(t, reach, number, copied, u, lanes), points),)
    body: Body = (
        Let(panel, op("floordiv", item, pieces)),
        Let(piece, sub(item, mul(panel, pieces))),
        Let(c0, mul(piece, index(PIECE))),
        Let(depth, op("minimum", index(PIECE), sub(channels, c0))),
        Let(f0, mul(panel, line)),
        Let(present, op("minimum", line, sub(filters, f0))),
        Let(start, total((f0, names["filter"]), (c0, channel), (names["start"], ONE))),
        For(part, ZERO, select(is_flat, ONE, taps), pack(t, source, copy)),
        *points,
    )
    return Function(
        f"winograd{reach}_{t.dtype}_filters" + ("" if known is None else f"_{known}"),
        (w, u),
        tuple(names.values()),
        (
            Allocate(copied, index(64)),
            Let(taps, mul(side, side)),
            Let(flat, select(whole, ONE, ZERO)),
            Let(pieces, ceildiv(channels, index(PIECE))),
            For(item, Var("lo"), Var("hi"), body),
        ),
        contract=True,
    )


def _points(t: Tiling, reach: int, taps: int, copied: Buffer, u: Buffer, wide: Expr) -> Body:
    """Transform the copy."""
    matrix = matrices(reach, taps).filters
    c, vector, at, to, down = (Var(n) for n in ("c", "vector", "at", "to", "down"))
    area = Var("area")
    point, point_off = offsets("u_off", area, reach)
    steps: list[Stmt] = [Let(at, add(mul(c, index(taps * taps * t.panel)), vector))]
    columns: list[list[Expr]] = []
    for q in range(taps):
        values = [Var(f"w{q}_{r}", t.dtype, t.lanes) for r in range(taps)]
        steps += [
            Let(value, Load(copied, add(at, index((r * taps + q) * t.panel)), t.lanes))
            for r, value in enumerate(values)
        ]
        lines, results = transform(matrix, values, f"c{q}")
        steps += lines
        columns.append(results)
    bases = [Var(f"u_at{r}") for r in range(reach)]
    for r in range(reach):
        steps.append(Let(bases[r], add(bases[r - 1], down) if r else add(to, vector)))
        lines, results = transform(matrix, [found[r] for found in columns], f"r{r}")
        steps += lines
        steps += [
            Store(u, add(bases[r], offset), value)
            for offset, value in zip(point_off, results, strict=True)
        ]
    first = total((mul(Var("panel"), index(reach * reach)), area), (Var("c0"), index(t.panel)))
    return (
        Let(area, mul(add(Var("channels"), ONE), index(t.panel))),
        *point,
        Let(down, mul(area, index(reach))),
        Let(Var("u_first"), first),
        For(
            c,
            ZERO,
            Var("depth"),
            (
                Let(to, add(Var("u_first"), mul(c, index(t.panel)))),
                For(vector, ZERO, wide, tuple(steps), step=index(t.lanes)),
            ),
        ),
    )
