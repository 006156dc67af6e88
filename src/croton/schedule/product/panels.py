"""A right factor that is needed again and again, copied into panels once and for all.

A panel is as many columns as the innermost loop takes at a time; their elements of one inner
index lie side by side, those of the next one follow, and what columns the last panel lacks is 0.
"""

from __future__ import annotations

from croton.kernel.build import index, mul, op, sub
from croton.kernel.nodes import Buffer, For, Function, Let, Var
from croton.schedule.product.pack import Copy, Source, pack_apart
from croton.schedule.product.tiling import Tiling

#: Sizes of the kernel; an item is a panel.
PANEL_SIZES = ("n", "k", "inner", "column")


def panel_kernel(t: Tiling) -> Function:
    """The kernel that makes the panels."""
    size = {name: Var(name) for name in PANEL_SIZES}
    b, p = Buffer("b", t.dtype), Buffer("p", t.dtype)
    item, first = Var("item"), Var("first")
    panel = index(t.panel)
    present = op("minimum", panel, sub(size["n"], first))
    source = Source(
        b, mul(first, size["column"]), size["column"], size["inner"], present, size["k"]
    )
    copy = Copy(p, mul(first, size["k"]), panel, panel)
    body = (Let(first, mul(item, panel)), *pack_apart(t, source, copy))
    items = For(item, Var("lo"), Var("hi"), body)
    return Function(f"product_{t.dtype}_panels", (b, p), tuple(size.values()), (items,))
