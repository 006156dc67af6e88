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
    Let,
    Load,
    Stmt,
    Store,
    Var,
)
from croton.schedule.convolution.winograd.geometry import offsets
from croton.schedule.convolution.winograd.matrices import TAPS, matrices
from croton.schedule.convolution.winograd.transforms import transform
from croton.schedule.product.pack import Copy, Source, pack
from croton.schedule.product.strips import ONE, ZERO, ceildiv, total
from croton.schedule.product.tiling import Tiling

#: Sizes of the kernel: extents, and how filters lie, in elements.
FILTER_SIZES = ("channels", "filters", "start", "filter", "channel", "step1", "step2")

#: Channels of an item.
PIECE = 64

Array = np.ndarray[Any, np.dtype[Any]]


def prepare(w: Array, size: int, panel: int) -> Array:
    """U of filters ``w`` of shape (3, 3, channels, filters), as one line of w's dtype.

    ``panel`` is the machine's (:attr:`croton.schedule.product.tiling.Tiling.panel`).  It is
    computed in float64.  ValueError if the filters have another size.

    >>> prepare(np.ones((3, 3, 2, 5), np.float32), 4, 32).size == 36 * (2 + 1) * 32
    True
    """
    if w.shape[:2] != (TAPS, TAPS):
        raise ValueError(f"filters of {TAPS} x {TAPS} are needed, not of shape {w.shape}")
    g = np.array(matrices(size).filters, np.float64)
    u = np.einsum("ar,bs,rscf->abcf", g, g, w.astype(np.float64), optimize=True)
    points, channels, filters = u.shape[0] ** 2, w.shape[2], w.shape[3]
    panels = -(-filters // panel)
    whole = np.zeros((points, channels + 1, panels * panel))
    whole[:, :channels, :filters] = u.reshape(points, channels, filters)
    whole = whole.reshape(points, channels + 1, panels, panel).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(whole, w.dtype).ravel()


def scratch_bytes(t: Tiling) -> int:
    """Bytes of scratch for a piece of a panel of filters."""
    return TAPS * TAPS * (PIECE + t.lanes) * t.panel * t.itemsize


def filter_kernel(t: Tiling, size: int) -> Function:
    """The kernel that computes U; an item is a piece of the channels of a panel."""
    w, u, copied = Buffer("w", t.dtype), Buffer("u", t.dtype), Buffer("copied", t.dtype)
    names = {n: Var(n) for n in FILTER_SIZES}
    channels, filters, channel = names["channels"], names["filters"], names["channel"]
    item, panel, piece, pieces = (Var(n) for n in ("item", "panel", "piece", "pieces"))
    c0, depth, f0, part, present, flat = (
        Var(n) for n in ("c0", "depth", "f0", "part", "present", "flat")
    )
    start, taps = Var("w_from"), TAPS * TAPS
    line = index(t.panel)
    row = op("floordiv", part, index(TAPS))
    column = sub(part, mul(row, index(TAPS)))
    # Channels and their taps may lie in one line: then a panel is copied as one matrix.
    whole = op("eq", names["step2"], ONE)
    for a, b in ((names["step1"], TAPS), (channel, taps)):
        whole = op("and", whole, op("eq", a, index(b)))
    is_flat = op("ne", flat, ZERO)
    source = Source(
        w,
        add(start, total((row, names["step1"]), (column, names["step2"]))),
        names["filter"],
        select(is_flat, ONE, channel),
        present,
        select(is_flat, mul(depth, index(taps)), depth),
    )
    lanes = mul(ceildiv(present, index(t.lanes)), index(t.lanes))
    pitch = select(is_flat, line, mul(line, index(taps)))
    copy = Copy(copied, mul(part, line), pitch, lanes)
    body: Body = (
        Let(panel, op("floordiv", item, pieces)),
        Let(piece, sub(item, mul(panel, pieces))),
        Let(c0, mul(piece, index(PIECE))),
        Let(depth, op("minimum", index(PIECE), sub(channels, c0))),
        Let(f0, mul(panel, line)),
        Let(present, op("minimum", line, sub(filters, f0))),
        Let(start, total((f0, names["filter"]), (c0, channel), (names["start"], ONE))),
        For(part, ZERO, select(is_flat, ONE, index(taps)), pack(t, source, copy)),
        *_points(t, size, copied, u, lanes),
    )
    return Function(
        f"winograd{size}_{t.dtype}_filters",
        (w, u),
        tuple(names.values()),
        (
            Allocate(copied, index(64)),
            Let(flat, select(whole, ONE, ZERO)),
            Let(pieces, ceildiv(channels, index(PIECE))),
            For(item, Var("lo"), Var("hi"), body),
        ),
        contract=True,
    )


def _points(t: Tiling, size: int, copied: Buffer, u: Buffer, wide: Expr) -> Body:
    """Transform the copy."""
    reach, matrix = size + TAPS - 1, matrices(size).filters
    c, vector, at, to, down = (Var(n) for n in ("c", "vector", "at", "to", "down"))
    area = Var("area")
    point, point_off = offsets("u_off", area, reach)
    steps: list[Stmt] = [Let(at, add(mul(c, index(TAPS * TAPS * t.panel)), vector))]
    columns: list[list[Expr]] = []
    for q in range(TAPS):
        values = [Var(f"w{q}_{r}", t.dtype, t.lanes) for r in range(TAPS)]
        steps += [
            Let(value, Load(copied, add(at, index((r * TAPS + q) * t.panel)), t.lanes))
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
