"""Channels last: convolutions take images so, and what is around them keeps that order.

A tensor whose channels come first is then a view of one whose channels come last.  Such a view
moves outwards through functions, poolings and reductions until it meets the next convolution,
whose own view undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.rewrite.pattern import AnyOf, op
from croton.rewrite.rule import Match, Rule
from croton.tensor.deviations import SquaredDeviations
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing import Subtensor
from croton.tensor.indexing.basic import Slice
from croton.tensor.joining import Join
from croton.tensor.nnet.conv.ops import Convolution, ConvolutionFilters, ConvolutionInputs
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, SpecifyShape, dimshuffle
from croton.tensor.signal.ops import PoolingOp

_WHOLE = Slice(None, None, None)


def first(rank: int) -> list[int]:
    """The order that brings the last of ``rank`` dimensions behind the first."""
    return [0, rank - 1, *range(1, rank - 1)]


def last(rank: int) -> list[int]:
    """The order that brings the second of ``rank`` dimensions to the end."""
    return [0, *range(2, rank), 1]


def _is_view(v: Any) -> bool:
    """Whether ``v`` has its channels first, and is a view of what has them last."""
    node = v.owner
    return (
        node is not None
        and isinstance(node.op, DimShuffle)
        and v.type.ndim >= 3
        and list(node.op.new_order) == first(v.type.ndim)
    )


def _below(v: Any) -> Any:
    return v.owner.inputs[0]


def _turned(v: Any) -> Any:
    return dimshuffle(v, last(v.type.ndim))


def _convolution(m: Match) -> Any:
    """Images and filters with their channels last."""
    old = m.op
    if old.channels_last:
        return None
    new = type(old)(old.strides, old.padding, old.dilation, old.groups, True)
    rank = len(old.strides) + 2
    filters = [*range(2, rank), 1, 0]
    inputs = [
        dimshuffle(v, filters if part == "w" else last(rank))
        for part, v in zip(old.parts, m.inputs[:2], strict=False)
    ]
    result = new(*inputs, *m.inputs[2:])
    back = [rank - 1, rank - 2, *range(rank - 2)] if old.parts[2] == "w" else first(rank)
    return dimshuffle(result, back)


def _function(m: Match) -> Any:
    """Of views with their channels first, the view of the function."""
    if m.out.type.ndim < 3 or not any(map(_is_view, m.inputs)):
        return None
    return dimshuffle(m.op(*(_turned(v) for v in m.inputs)), first(m.out.type.ndim))


def _view_of_function(m: Match) -> Any:
    """What only a function with its channels last reads is computed so."""
    inner = m.inputs[0]
    rank = m.out.type.ndim
    # Of three dimensions the two orders are one and the same: views move outwards only.
    if rank < 4 or list(m.op.new_order) != last(rank):
        return None
    if m.context.uses(inner) > 1 or any(map(_is_view, inner.owner.inputs)):
        return None
    return inner.owner.op(*map(_turned, inner.owner.inputs))


def _pooling(m: Match) -> Any:
    """A window over spatial dimensions is one of size 1 along the channels too."""
    old = m.op
    tensors = [v for v in m.inputs if v.type.ndim]
    rank = m.out.type.ndim
    spatial = len(old.window)
    if rank != spatial + 2 or not any(map(_is_view, tensors)):
        return None
    new = type(old)((*old.window, 1), (*old.strides, 1), (*old.pad, 0), old.ignore_border)
    sizes = [v for v in m.inputs if not v.type.ndim]
    if sizes:
        sizes.append(m.sizes(tensors[0])[1])
    return dimshuffle(new(*map(_turned, tensors), *sizes), first(rank))


def _reduction(m: Match) -> Any:
    """Over the same dimensions, where they lie."""
    x = m.inputs[0]
    if not _is_view(x):
        return None
    order = first(x.type.ndim)
    axes = tuple(sorted(order[a] for a in m.op.axis))
    inner = _below(x)
    if isinstance(m.op, SquaredDeviations):
        result: Any = SquaredDeviations(axes)(inner)
    else:
        result = Reduce(m.op.kind, axes, m.op.dtype)(inner)
    left = [d for d in range(x.type.ndim) if d not in axes]
    kept = [order[d] for d in range(x.type.ndim) if d not in m.op.axis]
    return dimshuffle(result, [left.index(d) for d in kept])


def _join(m: Match) -> Any:
    """Side by side where their channels are last."""
    rank = m.out.type.ndim
    if not all(map(_is_view, m.inputs)):
        return None
    return dimshuffle(Join(first(rank)[m.op.axis])(*map(_below, m.inputs)), first(rank))


def _part(m: Match) -> Any:
    """A part of a view is the view of a part."""
    x = m.inputs[0]
    entries = [*m.op.entries, *[_WHOLE] * (x.type.ndim - len(m.op.entries))]
    if not _is_view(x) or not all(isinstance(e, Slice) for e in entries):
        return None
    if any(not _is_plain(e) for e in entries):
        return None
    moved = [entries[d] for d in last(x.type.ndim)]
    return dimshuffle(Subtensor(moved)(_below(x)), first(x.type.ndim))


def _is_plain(e: Any) -> bool:
    return all(p is None or isinstance(p, int) for p in e)


def _promise(m: Match) -> Any:
    x = m.inputs[0]
    if not _is_view(x):
        return None
    sizes: Sequence[Any] = m.op.sizes
    moved = tuple(sizes[d] for d in last(x.type.ndim))
    return dimshuffle(SpecifyShape(moved)(_below(x)), first(x.type.ndim))


def _rule(name: str, pattern: Any, replacement: Any, group: str = "layout") -> Rule:
    return Rule(name, pattern, replacement, group)


_view = op(DimShuffle)

RULES = (
    _rule(
        "convolution_with_channels_last",
        AnyOf(op(Convolution), op(ConvolutionInputs), op(ConvolutionFilters)),
        _convolution,
        "convolution",
    ),
    _rule("function_with_channels_last", op(Elemwise), _function),
    _rule("view_of_function", op(DimShuffle, op(Elemwise)), _view_of_function),
    _rule("pooling_with_channels_last", op(PoolingOp), _pooling),
    _rule("reduction_with_channels_last", AnyOf(op(Reduce, _view), op(SquaredDeviations, _view)),
          _reduction),
    _rule("join_with_channels_last", op(Join, _view, rest=True), _join),
    _rule("part_with_channels_last", op(Subtensor, _view, rest=True), _part),
    _rule("promise_with_channels_last", op(SpecifyShape, _view), _promise),
)  # fmt: skip
