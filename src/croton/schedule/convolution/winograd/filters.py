"""Transforming filters into U, in panels.

Element (f, point, c) of U is ``U[((f // panel * points + point) * (channels + 1) + c) * panel
+ f % panel]``; the panels of one group come behind those of another.  Columns beyond the last
filter are zeros, but a vector of nothing else is only written where the kernel reads it.  The line
behind the channels means nothing: without it the points of a filter would share places of the
first cache.
"""

from __future__ import annotations

from croton.kernel.build import add, const, index, mul, op, select, sub
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

#: Sizes of the kernel: extents, how filters lie, in elements, and whether vectors are written of
#: which there is no filter.
FILTER_SIZES = (
    "channels", "filters", "taps", "start", "apart", "filter", "channel", "step1", "step2", "whole",
)  # fmt: skip

#: Channels of an item.
PIECE = 64


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
    panels, group, first = Var("panels"), Var("group_number"), Var("group_start")
    c0, depth, f0, part, present, flat = (
        Var(n) for n in ("c0", "depth", "f0", "part", "present", "flat")
    )
    start, side, taps = Var("w_from"), names["taps"], Var("all_taps")
    line = index(t.panel)
    row = op("floordiv", part, side)
    column = sub(part, mul(row, side))
    # Channels and their taps may lie in one line: then a panel is copied as one matrix.
    in_line = op("eq", names["step2"], ONE)
    for a, b in ((names["step1"], side), (channel, taps)):
        in_line = op("and", in_line, op("eq", a, b))
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
    least, *others = numbers_of_taps(reach, known)
    points = _points(t, reach, least, copied, u, lanes)
    for number in others:
        here = op("eq", side, index(number))
        points = (If(here, _points(t, reach, number, copied, u, lanes), points),)
    body: Body = (
        Let(panel, op("floordiv", item, pieces)),
        Let(piece, sub(item, mul(panel, pieces))),
        Let(c0, mul(piece, index(PIECE))),
        Let(depth, op("minimum", index(PIECE), sub(channels, c0))),
        Let(group, op("floordiv", panel, panels)),
        Let(f0, mul(sub(panel, mul(group, panels)), line)),
        Let(present, op("minimum", line, sub(filters, f0))),
        Let(first, total((names["start"], ONE), (group, names["apart"]))),
        Let(start, total((f0, names["filter"]), (c0, channel), (first, ONE))),
        For(part, ZERO, select(is_flat, ONE, taps), pack(t, source, copy)),
        *points,
        If(op("ne", names["whole"], ZERO), _rest(t, reach, u, lanes)),
    )
    return Function(
        f"winograd{reach}_{t.dtype}_filters" + ("" if known is None else f"_{known}"),
        (w, u),
        tuple(names.values()),
        (
            Allocate(copied, index(64)),
            Let(taps, mul(side, side)),
            Let(flat, select(in_line, ONE, ZERO)),
            Let(pieces, ceildiv(channels, index(PIECE))),
            Let(panels, op("maximum", ceildiv(filters, line), ONE)),
            For(item, Var("lo"), Var("hi"), body),
        ),
        contract=True,
    )


def _rest(t: Tiling, reach: int, u: Buffer, wide: Expr) -> Body:
    """Zeros behind the last vector of a panel: what memory holds may be slow to compute with."""
    point, c, vector = Var("rest_point"), Var("rest_c"), Var("rest_vector")
    panel, width = Var("panel"), index(t.panel)
    number = add(mul(panel, index(reach * reach)), point)
    row = add(add(mul(number, add(Var("channels"), ONE)), Var("c0")), c)
    zero = Store(u, add(mul(row, width), vector), const(0.0, t.dtype, t.lanes))
    body: Body = (For(vector, wide, width, (zero,), step=index(t.lanes)),)
    for var, stop in ((c, Var("depth")), (point, index(reach * reach))):
        body = (For(var, ZERO, stop, body),)
    return (If(op("lt", wide, width), body),)


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
