"""In which order the kernels of a gradient by filters give it: as what reads it asks for.

Programs write filters with the filters before channels and places; the gradient is computed with
them last, and turned by views, which may go backwards through the places as well.  If nothing
else reads what a view is of, the view can be computed in its place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from croton.graph.apply import Apply
from croton.graph.variable import Variable
from croton.schedule.group import Order
from croton.schedule.sizes import ONE, Size, Sizes
from croton.schedule.views import reversed_axes
from croton.tensor.shapes import DimShuffle, Shape_i


def orders(
    made: Sequence[Apply], order: Sequence[Apply], wanted: Collection[Variable], sizes: Sizes
) -> dict[Variable, Order]:
    """The orders of the gradients by filters that are ``made`` in a graph in this ``order``.

    Those ``wanted`` are read by others as well.
    """
    readers: dict[Variable, list[Apply]] = {}
    for node in order if made else ():
        if not isinstance(node.op, Shape_i):
            for v in node.inputs:
                readers.setdefault(v, []).append(node)
    return {node.outputs[0]: _order(node.outputs[0], readers, wanted, sizes) for node in made}


def makes_filters(node: Apply) -> bool:
    """Whether the node is a gradient by filters."""
    return getattr(node.op, "parts", ("",))[-1] == "w"


def turned(
    order: Sequence[Apply], known: Mapping[Variable, Order], views: Collection[Variable]
) -> set[Variable]:
    """What brings gradients by filters of ``known`` orders into others, but for those ``views``.

    Turning them at once is cheaper than reading them in a far order, element by element.
    """
    return {
        node.outputs[0]
        for node in order
        if isinstance(node.op, DimShuffle)
        and node.inputs[0] in known
        and node.outputs[0] not in views
        and len(node.op.new_order) == node.inputs[0].type.ndim  # type: ignore[attr-defined]
    }


def _order(
    v: Any, readers: Mapping[Variable, list[Apply]], wanted: Collection[Variable], sizes: Sizes
) -> Order:
    shape = sizes.shape(v)
    # Along which dimension of the gradient each one of the view runs (None: of none, size 1).
    axes: list[int | None] = list(range(len(shape)))
    reverse: frozenset[int | None] = frozenset()
    views, dimensions = [v], [axes]
    count, (turned, backwards) = 1, _kind(axes, reverse, shape) or (False, False)
    while v not in wanted and len(readers.get(v, ())) == 1:
        (node,) = readers[v]
        reversed_ = reversed_axes(node.op)
        if reversed_ is not None:
            reverse = reverse ^ {axes[d] for d in reversed_}
        elif isinstance(node.op, DimShuffle):
            axes = [None if d == "x" else axes[d] for d in node.op.new_order]  # type: ignore[index]
        else:
            break
        v = node.outputs[0]
        views.append(v)
        dimensions.append(axes)
        found = _kind(axes, reverse, shape)
        if found is not None:
            count, (turned, backwards) = len(views), found
    domain = [d for d in dimensions[count - 1] if d is not None and shape[d] != ONE]
    place: dict[int | None, int] = {d: k for k, d in enumerate(domain)}
    filters = shape[-1] != ONE
    return Order(
        tuple(views[:count]),
        tuple(shape[d] for d in domain),
        {
            view: tuple(place.get(d) for d in own)
            for view, own in zip(views[:count], dimensions, strict=False)
        },
        int(filters) if turned else len(domain) - filters,
        turned,
        backwards,
    )


def _kind(
    axes: Sequence[int | None], reverse: Collection[int | None], shape: Sequence[Size]
) -> tuple[bool, bool] | None:
    """Whether a view with these dimensions is turned and backwards; None if it is in no order."""
    rank = len(shape)
    real = [d for d in range(rank) if shape[d] != ONE]
    places = [d for d in real if d < rank - 2]
    gone = [d for d in real if d in reverse]
    if gone not in ([], places):
        return None
    kept = [d for d in axes if d in real]
    own = real
    turned = [d for d in reversed(real) if d >= rank - 2] + places
    # A single filter is a row, not a column.
    if kept == turned and (rank - 1 not in real or kept != own):
        return True, bool(gone)
    return (False, bool(gone)) if kept == own else None
