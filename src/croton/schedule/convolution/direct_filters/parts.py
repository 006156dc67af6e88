"""The second step: adding up what the pieces of the places summed up to, in a fixed order."""

from __future__ import annotations

from croton.kernel.build import add, index, mul, op
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    For,
    Function,
    Let,
    Load,
    Local,
    Store,
    Var,
)
from croton.kernel.parameters import from_parameters
from croton.schedule.convolution.direct_filters.shape import Shape
from croton.schedule.product.pack import below

SIZES = ("result", "pieces")

#: Vectors that are added up at a time, and elements of an item.
VECTORS = 4
ITEM = 1024


@from_parameters
def kernel(t: Shape) -> Function:
    """Element i of the result is the sum of ``parts[piece * result + i]`` over all pieces."""
    parts, w = Buffer("parts", t.dtype), Buffer("w", t.dtype)
    result, pieces = (Var(name) for name in SIZES)
    item, at, stop, piece = Var("item"), Var("at"), Var("stop"), Var("piece")
    wide = VECTORS * t.lanes

    def group(vectors: int, masked: bool) -> Body:
        sums = [Var(f"sum{v}", t.dtype, t.lanes) for v in range(vectors)]
        mask = Var("lanes", "bool", t.lanes)
        held = mask if masked else None
        places = [add(at, index(v * t.lanes)) for v in range(vectors)]
        more = tuple(
            Assign(s, op("add", s, Load(parts, add(mul(piece, result), place), t.lanes, held)))
            for s, place in zip(sums, places, strict=True)
        )
        return (
            *((Let(mask, below(stop, at, t.lanes)),) if masked else ()),
            *(
                Local(s, Load(parts, place, t.lanes, held))
                for s, place in zip(sums, places, strict=True)
            ),
            For(piece, index(1), pieces, more),
            *(Store(w, place, s, held) for s, place in zip(sums, places, strict=True)),
        )

    first, whole = mul(item, index(ITEM)), Var("whole")
    body: Body = (
        Let(stop, op("minimum", add(first, index(ITEM)), result)),
        Let(whole, op("sub", stop, index(wide - 1))),
        Local(Var("rest"), first),
        For(
            at,
            first,
            whole,
            (*group(VECTORS, False), Assign(Var("rest"), add(at, index(wide)))),
            step=index(wide),
        ),
        For(at, Var("rest"), stop, group(1, True), step=index(t.lanes)),
    )
    return Function(
        f"convolution_filters_{t.dtype}_parts",
        (parts, w),
        (result, pieces),
        (For(item, Var("lo"), Var("hi"), body),),
    )
