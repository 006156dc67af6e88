"""Softmax, its logarithm, and the logarithm of a sum of exponentials."""

from __future__ import annotations

from typing import Any

from croton.graph import Constant
from croton.rewrite.pattern import AnyOf, exp, log, op, reduction, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.normalised import is_shifted, without_maximum
from croton.tensor.elementwise import exp as exponential
from croton.tensor.elementwise import log as logarithm
from croton.tensor.indexing import AdvancedSubtensor, Subtensor
from croton.tensor.nnet import LogSoftmax, Softmax
from croton.tensor.reduction import Argmax, Reduce
from croton.tensor.shapes import DimShuffle, Reshape

x = var("x")

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


def _log_sum_exp(m: Match) -> Any:
    v, inner = m.x, m.r
    if inner.dtype != v.type.dtype or not inner.axis or isinstance(v, Constant):
        return None
    if is_shifted(v, m):
        return None
    top, shifted = without_maximum(v, inner.axis)
    return logarithm(Reduce("sum", inner.axis, inner.dtype)(exponential(shifted))) + top


def _argmax_of_softmax(m: Match) -> Any:
    """The largest probability is where the largest number is."""
    if m.s.axis not in m.op.axis or len(m.op.axis) != 1:
        return None
    return m.op(m.x)


RULES = (
    Rule(
        "argmax_of_increasing",
        AnyOf(*(op(Argmax, op(name, x)) for name in ("exp", "sigmoid", "tanh"))),
        lambda m: m.op(m.x), "stabilise",
        note="the largest number is found among those for which the function rounds to the same",
    ),
    Rule(
        "argmax_of_softmax",
        AnyOf(*(op(Argmax, op(kind, x, bind="s")) for kind in (Softmax, LogSoftmax))),
        _argmax_of_softmax, "stabilise",
        note="the largest number is found among those whose probabilities round to the same",
    ),
    Rule(
        "log_softmax", log(x), _log_softmax, "stabilise",
        note="where the softmax rounds to 0 the result is its true logarithm, not -infinity",
    ),
    Rule(
        "exp_log_softmax", exp(op(LogSoftmax, x, bind="s")), lambda m: Softmax(m.s.axis)(m.x),
        "stabilise", note="may change rounding",
    ),
    Rule(
        "log_sum_exp", log(reduction("sum", exp(x), bind="r")), _log_sum_exp, "stabilise",
        note="where exp overflows or underflows the result is right, not infinite",
    ),
)  # fmt: skip
