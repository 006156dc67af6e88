"""Softmax and its logarithm, however they are written."""

from __future__ import annotations

from typing import Any

from croton.graph import Constant
from croton.rewrite.pattern import exp, log, op, reduction, var
from croton.rewrite.rule import Match, Rule
from croton.tensor import dtypes
from croton.tensor.indexing import AdvancedSubtensor, Subtensor
from croton.tensor.nnet import LogSoftmax, Softmax
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, Reshape, dimshuffle

x, y = var("x y")

_NOTE = "where the softmax rounds to 0 the result is its true logarithm, not -infinity"

# What only moves elements: a function of the elements may be taken before it.
_MOVES = (DimShuffle, Subtensor, AdvancedSubtensor, Reshape)


def _log_softmax(m: Match) -> Any:
    """``log`` of a softmax, or of elements picked from one."""
    path = []
    v = m.x
    while v.owner is not None and isinstance(v.owner.op, _MOVES):
        path.append(v.owner)
        v = v.owner.inputs[0]
    if v.owner is None or not isinstance(v.owner.op, Softmax):
        return None
    result = LogSoftmax(v.owner.op.axis)(v.owner.inputs[0])
    for node in reversed(path):
        result = node.op(result, *node.inputs[1:])
    return result


def _along(v: Any, reduce: str, m: Match) -> tuple[Any, int] | None:
    """``(u, axis)`` if ``v`` is the reduction of u over one axis, kept with size 1."""
    node = v.owner
    if node is None or not isinstance(node.op, DimShuffle):
        return None
    below = node.inputs[0].owner
    if below is None or not isinstance(below.op, Reduce) or below.op.kind != reduce:
        return None
    u: Any
    u, axes, order = below.inputs[0], below.op.axis, node.op.new_order
    if len(axes) != 1 or len(order) != u.type.ndim or below.op.dtype != u.type.dtype:
        return None
    rest = iter(range(u.type.ndim))
    kept = tuple("x" if d in axes else next(rest) for d in range(u.type.ndim))
    return (u, axes[0]) if order == kept else None


def _softmax(m: Match) -> Any:
    """``exp(x) / sum(exp(x))``."""
    found = _along(m.y, "sum", m)
    if found is None or m.out.type.dtype not in dtypes.FLOATS:
        return None
    above = m.inputs[0]
    total, axis = found
    if total is not above:
        return None
    return Softmax(axis)(_unshifted(m.x, axis, m))


def _unshifted(v: Any, axis: int, m: Match) -> Any:
    """``v`` without the maximum that a careful user has taken off: softmax does so itself."""
    args = m.arguments(v, "sub")
    if args is not None:
        found = _along(args[1], "max", m)
        if found is not None and found == (args[0], axis):
            return args[0]
    return v


def _log_sum_exp(m: Match) -> Any:
    """``log(sum(exp(x)))`` with the maximum taken off."""
    inner = m.r
    v = m.x
    if inner.dtype != v.type.dtype or not inner.axis or isinstance(v, Constant):
        return None
    # exp(x - max) and what overflows: an infinite maximum is itself the result.
    ndim, axes = v.type.ndim, inner.axis
    rest = iter(range(ndim))
    kept = ["x" if d in axes else next(rest) for d in range(ndim)]
    top = Reduce("max", axes, v.type.dtype)(v)
    if _is_shifted(v, axes, m):
        return None
    finite = top.isinf().where(0, top)
    total = Reduce("sum", axes, inner.dtype)((v - dimshuffle(finite, kept)).exp())
    return total.log() + finite


def _is_shifted(v: Any, axes: tuple[int, ...], m: Match) -> bool:
    for name in ("sub", "add"):
        args = m.arguments(v, name)
        for a in args or ():
            negated = m.arguments(a, "neg")
            found = a if negated is None else negated[0]
            if _holds_max(found, m):
                return True
    return False


def _holds_max(v: Any, m: Match) -> bool:
    """Whether ``v`` is made of a maximum: then somebody has taken care already."""
    for _ in range(4):
        node = v.owner
        if node is None:
            return False
        if isinstance(node.op, Reduce):
            return bool(node.op.kind == "max")
        choice = m.arguments(v, "switch")
        v = choice[2] if choice is not None else node.inputs[0]
    return False


RULES = (
    Rule("log_softmax", log(x), _log_softmax, "stabilise", note=_NOTE),
    Rule(
        "softmax", exp(x) / y, _softmax, "stabilise",
        note="where exp overflows the result is right, not NaN",
    ),
    Rule("exp_log_softmax", exp(op(LogSoftmax, x, bind="s")),
         lambda m: Softmax(m.s.axis)(m.x), "stabilise", note="may change rounding"),
    Rule("log_sum_exp", log(reduction("sum", exp(x))), _log_sum_exp, "stabilise",
         note="where exp overflows or underflows the result is right, not infinite"),
)  # fmt: skip
