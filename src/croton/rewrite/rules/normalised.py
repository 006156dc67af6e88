"""Recognising an exponential divided by its own sum, and a maximum taken off before it."""

from __future__ import annotations

from typing import Any

from croton.rewrite.rule import Match
from croton.tensor.elementwise import exp, isinf, sub, switch
from croton.tensor.nnet import Softmax
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, dimshuffle

# A sum of more terms is not searched for a maximum.
_MOST_TERMS = 32


def keeping(axes: tuple[int, ...], ndim: int) -> list[int | str]:
    """The dimshuffle that puts the dimensions of a reduction back with size 1."""
    rest = iter(range(ndim))
    return ["x" if d in axes else next(rest) for d in range(ndim)]


def spread_reduction(v: Any, kind: str) -> tuple[Any, tuple[int, ...]] | None:
    """``(u, axes)`` if ``v`` is the reduction of u over axes, which are kept with size 1."""
    node = v.owner
    if node is None or not isinstance(node.op, DimShuffle):
        return None
    below = node.inputs[0].owner
    if below is None or not isinstance(below.op, Reduce) or below.op.kind != kind:
        return None
    u: Any = below.inputs[0]
    if below.op.dtype != u.type.dtype:
        return None
    if list(node.op.new_order) != keeping(below.op.axis, u.type.ndim):
        return None
    return u, below.op.axis


def exponential_over_sum(e: Any, total: Any, m: Match) -> Any:
    """The softmax if ``e`` is ``exp(x)`` and ``total`` its sum over some axes, else None."""
    found = spread_reduction(total, "sum")
    if found is None or found[0] is not e:
        return None
    args = m.arguments(e, "exp")
    if args is None:
        return None
    x, axes = args[0], found[1]
    if len(axes) == 1:
        return Softmax(axes[0])(_unshifted(x, axes, m))
    if is_shifted(x, m):
        return None
    _, shifted = without_maximum(x, axes)
    e = exp(shifted)
    kind = Reduce("sum", axes, e.type.dtype)
    return e / dimshuffle(kind(e), keeping(axes, x.type.ndim))


def without_maximum(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The maximum of ``x`` over ``axes`` (0 where it is infinite), and ``x`` without it."""
    top = Reduce("supremum", axes, x.type.dtype)(x)
    finite = switch(isinf(top), 0, top)
    return finite, sub(x, dimshuffle(finite, keeping(axes, x.type.ndim)))


def _unshifted(x: Any, axes: tuple[int, ...], m: Match) -> Any:
    """``x`` without the maximum that a careful user has taken off: softmax does so itself."""
    args = m.arguments(x, "sub")
    if args is not None and spread_reduction(args[1], "max") == (args[0], axes):
        return args[0]
    return x


def is_shifted(x: Any, m: Match) -> bool:
    """Whether a maximum is taken off (or added to) ``x``: then nothing is left to do."""
    terms = [x]
    for _ in range(_MOST_TERMS):
        if not terms:
            break
        v = terms.pop()
        parts = m.arguments(v, "neg") or m.arguments(v, "sub") or m.arguments(v, "add")
        if parts is not None:
            terms.extend(parts)
        elif v is not x and _is_maximum(v, m):
            return True
    return False


def _is_maximum(v: Any, m: Match) -> bool:
    # Through rearrangement and through a choice that replaces infinite maxima.
    for _ in range(4):
        node = v.owner
        if node is None:
            return False
        if isinstance(node.op, Reduce):
            return bool(node.op.kind in ("max", "supremum"))
        choice = m.arguments(v, "switch")
        if choice is not None:
            v = choice[2]
        elif isinstance(node.op, DimShuffle):
            v = node.inputs[0]
        else:
            return False
    return False
