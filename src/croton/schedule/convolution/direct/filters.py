"""Filters as a convolution reads them: panels of result channels, by tap and source channel.

Panel p of a group holds result channels ``[p * width, (p + 1) * width)``, zeros where there are no
more: row ``tap * channels + c`` of it has their weights for that tap and source channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.kernel.build import add, index, mul, op, select, sub
from croton.kernel.nodes import Buffer, For, Function, Let, Var
from croton.schedule.counts import Count, count
from croton.schedule.product.pack import Copy, Source, pack
from croton.schedule.product.tiling import Tiling

Array = np.ndarray[Any, np.dtype[Any]]

#: Sizes of the kernel: ``turned`` (0 or 1) exchanges the first and the last tap, and so on.
SIZES = (
    "inner", "outer", "panels", "k0", "k1", "k2", "turned",
    "start", "group", "across", "along", "step0", "step1", "step2",
)  # fmt: skip


def pack_kernel(t: Tiling) -> Function:
    """The kernel that copies them; an item is a panel of a group.

    ``inner`` source channels are ``along`` apart, ``outer`` result channels ``across``, and groups
    ``group``.
    """
    size = {name: Var(name) for name in SIZES}
    w, p = Buffer("w", t.dtype), Buffer("packed", t.dtype)
    item, group, panel = Var("item"), Var("item_group"), Var("panel")
    first, wide, start, to = Var("first"), Var("wide"), Var("from"), Var("to")
    taps = [Var(f"t{d}") for d in range(3)]
    there = [Var(f"at{d}") for d in range(3)]
    width = index(t.panel)
    number = taps[0]
    for d in (1, 2):
        number = add(mul(number, size[f"k{d}"]), taps[d])  # type: ignore[assignment]
    turned = op("ne", size["turned"], index(0))
    place = start
    for d in range(3):
        place = add(place, mul(there[d], size[f"step{d}"]))  # type: ignore[assignment]
    source = Source(w, place, size["across"], size["along"], wide, size["inner"])
    copy = Copy(p, add(to, mul(mul(number, size["inner"]), width)), width, width)
    body = pack(t, source, copy)
    for d in (2, 1, 0):
        last = sub(sub(size[f"k{d}"], index(1)), taps[d])
        body = (
            For(
                taps[d],
                index(0),
                size[f"k{d}"],
                (Let(there[d], select(turned, last, taps[d])), *body),
            ),
        )
    items = For(
        item,
        Var("lo"),
        Var("hi"),
        (
            Let(group, op("floordiv", item, size["panels"])),
            Let(panel, sub(item, mul(group, size["panels"]))),
            Let(first, mul(panel, width)),
            Let(wide, op("minimum", width, sub(size["outer"], first))),
            Let(
                start,
                add(
                    add(size["start"], mul(group, size["group"])),
                    mul(first, size["across"]),
                ),
            ),
            Let(to, mul(item, panel_size(t, size))),
            *body,
        ),
    )
    name = f"convolution_{t.dtype}_pack"
    return Function(name, (w, p), tuple(size.values()), (items,))


def panel_size(t: Tiling, size: Any) -> Any:
    """Elements from panel to panel: a copy may write some rows behind its end."""
    rows = mul(mul(size["k0"], mul(size["k1"], size["k2"])), size["inner"])
    return mul(add(rows, index(t.lanes)), index(t.panel))


def packed_size(t: Tiling, groups: Count, inner: Count, outer: Count) -> Count:
    """Elements of all panels."""
    taps = count("mul", count("mul", "k0", "k1"), "k2")
    rows = count("add", count("mul", taps, inner), t.lanes)
    panels = count("mul", groups, count("ceildiv", outer, t.panel))
    return count("mul", count("mul", panels, rows), t.panel)


def prepare(kind: str, w: Array, groups: int, t: Tiling) -> Array:
    """What the kernel makes of ``w`` (k0, k1, k2, channels, groups * filters) for ``kind``."""
    *taps, channels, both = w.shape
    by_group = w.reshape(*taps, channels, groups, both // groups).transpose(4, 0, 1, 2, 3, 5)
    if kind == "inputs":
        by_group = by_group[:, ::-1, ::-1, ::-1].swapaxes(4, 5)
    inner, outer = by_group.shape[4:]
    panels = -(-outer // t.panel)
    rows = int(np.prod(taps)) * inner
    packed = np.zeros((groups, panels, rows + t.lanes, t.panel), w.dtype)
    lines = by_group.reshape(groups, rows, outer)
    for p in range(panels):
        part = lines[:, :, p * t.panel : (p + 1) * t.panel]
        packed[:, p, :rows, : part.shape[2]] = part
    return packed.reshape(-1)
