"""The filters in the order in which the kernels read them: taps first, channels last."""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op, ramp, sub
from croton.kernel.nodes import Body, Buffer, Expr, For, Function, Let, Load, Store, Var
from croton.schedule.convolution.depthwise.choice import Tiling, family
from croton.schedule.convolution.names import FILTERS
from croton.schedule.product.pack import below

#: Sizes of the kernel.
PACK_SIZES = ("all_channels", "k0", "k1", "k2", *FILTERS)


def pack_kernel(t: Tiling, forward: bool) -> Function:
    """The kernel that packs the filters; an item is a row of a tap."""
    size = {name: Var(name) for name in PACK_SIZES}
    w, packed = Buffer("w", t.dtype), Buffer("packed", t.dtype)
    row, inner, tap, rest = Var("row"), Var("inner"), Var("tap"), Var("rest")
    first, start, c = Var("first"), Var("start"), Var("c")
    there, group = Var("there", "bool", t.lanes), index(t.group)
    plane = op("floordiv", rest, size["k1"])
    place = add(size["w_start"], mul(plane, size["w_step0"]))
    place = add(place, mul(sub(rest, mul(plane, size["k1"])), size["w_step1"]))
    place = add(place, mul(sub(tap, mul(rest, size["k2"])), size["w_step2"]))
    at: Expr = ramp(c, t.lanes)
    if forward or t.group == 1:
        at = op("mul", at, size["w_filter"])
    else:
        own = op("mod", at, group)
        at = op("mul", op("sub", at, own), size["w_filter"])
        at = op("add", at, op("mul", own, size["w_channel"]))
    at = op("add", at, start)
    copy: Body = (
        Let(there, below(size["all_channels"], c, t.lanes)),
        Store(packed, add(first, c), Load(w, at, t.lanes, there), there),
    )
    move = size["w_channel" if forward else "w_filter"]
    body: Body = (
        Let(tap, op("floordiv", row, group)),
        Let(inner, sub(row, mul(tap, group))),
        Let(rest, op("floordiv", tap, size["k2"])),
        Let(start, add(place, mul(inner, move))),
        Let(first, mul(row, size["all_channels"])),
        For(c, index(0), size["all_channels"], copy, step=index(t.lanes)),
    )
    items = For(row, Var("lo"), Var("hi"), body)
    kind = "filters" if t.group == 1 else "forward" if forward else "inputs"
    name = f"{family(t)}_{kind}_{t.dtype}_pack"
    return Function(name, (w, packed), tuple(size.values()), (items,))
