"""The filters in the order in which the kernels read them: taps first, channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.kernel.build import add, index, mul, op, ramp, sub
from croton.kernel.nodes import Body, Buffer, For, Function, Let, Load, Store, Var
from croton.schedule.convolution.depthwise.choice import Tiling
from croton.schedule.convolution.names import FILTERS
from croton.schedule.product.pack import below

#: Sizes of the kernel.
PACK_SIZES = ("groups", "k0", "k1", "k2", *(n for n in FILTERS if n != "w_channel"))

Array = np.ndarray[Any, np.dtype[Any]]


def pack_filters(w: Array) -> Array:
    """The filters as the kernels read them, from an array (spatial..., 1, all filters).

    The result has the same dtype and is contiguous: (spatial..., filters).

    >>> pack_filters(np.ones((3, 5, 1, 8), np.float32)).shape
    (3, 5, 8)
    """
    if w.shape[-2] != 1:
        raise ValueError(f"depthwise filters have one channel each, not {w.shape[-2]}")
    return np.ascontiguousarray(w[..., 0, :])


def pack_kernel(t: Tiling) -> Function:
    """The kernel that packs the filters; an item is a tap."""
    size = {name: Var(name) for name in PACK_SIZES}
    w, packed = Buffer("w", t.dtype), Buffer("packed", t.dtype)
    tap, rest, first, start, c = (Var(n) for n in ("tap", "rest", "first", "start", "c"))
    there = Var("there", "bool", t.lanes)
    plane = op("floordiv", rest, size["k1"])
    place = add(size["w_start"], mul(plane, size["w_step0"]))
    place = add(place, mul(sub(rest, mul(plane, size["k1"])), size["w_step1"]))
    place = add(place, mul(sub(tap, mul(rest, size["k2"])), size["w_step2"]))
    at = op("add", op("mul", ramp(c, t.lanes), size["w_filter"]), start)
    copy: Body = (
        Let(there, below(size["groups"], c, t.lanes)),
        Store(packed, add(first, c), Load(w, at, t.lanes, there), there),
    )
    body: Body = (
        Let(rest, op("floordiv", tap, size["k2"])),
        Let(start, place),
        Let(first, mul(tap, size["groups"])),
        For(c, index(0), size["groups"], copy, step=index(t.lanes)),
    )
    items = For(tap, Var("lo"), Var("hi"), body)
    name = f"depthwise_filters_{t.dtype}_pack"
    return Function(name, (w, packed), tuple(size.values()), (items,))
