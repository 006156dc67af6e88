"""Indexing: what ``x[...]``, ``set_subtensor`` and ``inc_subtensor`` mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.graph.variable import Constant, Variable
from croton.tensor.convert import as_tensor_variable
from croton.tensor.indexing.advanced import AdvancedIncSubtensor, AdvancedSubtensor
from croton.tensor.indexing.basic import IncSubtensor, Subtensor, as_entries
from croton.tensor.shapes import (
    DimShuffle,
    MakeVector,
    SpecifyShape,
    dimshuffle,
    reshape,
    shape_tuple,
)

__all__ = [
    "AdvancedIncSubtensor",
    "AdvancedSubtensor",
    "IncSubtensor",
    "Subtensor",
    "inc_subtensor",
    "index",
    "set_subtensor",
    "take",
]


def _is_array(item: Any) -> bool:
    if isinstance(item, Variable):
        return item.type.ndim > 0  # type: ignore[attr-defined, no-any-return]
    return isinstance(item, list | tuple) or (isinstance(item, np.ndarray) and item.ndim > 0)


#: What an empty list selects: it has no type of its own.
_no_rows = np.zeros(0, np.int64)


def _is_mask(item: Any) -> bool:
    if isinstance(item, Variable):
        return item.type.dtype == "bool"  # type: ignore[attr-defined, no-any-return]
    return isinstance(item, bool | np.bool_) or np.asarray(item).dtype == bool


def index(x: Any, key: Any) -> Any:
    """``x[key]`` as NumPy means it: integers, slices, ``...``, ``None``, integer arrays.

    Raises IndexError for more indices than dimensions and for known positions
    out of bounds; unknown positions are checked in the call.
    """
    x = as_tensor_variable(x)
    result = _index(x, list(key) if isinstance(key, tuple) else [key])
    if result is x:
        # set_subtensor(x[:], y) must find what was indexed.
        return Subtensor(())(x)
    if result.owner is not None and result.owner.inputs[:1] != [x]:
        result.tag.indexed = x
    return result


def _index(x: Any, items: list[Any]) -> Any:
    for item in items:
        if (
            not isinstance(item, slice)
            and item is not None
            and item is not Ellipsis
            and _is_mask(item)
        ):
            raise NotImplementedError(
                "indexing with a boolean mask is not there; T.switch(mask, x, y) keeps the shape"
            )
    # Ellipsis and new dimensions become plain slices.
    taken = sum(1 for i in items if i is not None and i is not Ellipsis)
    if sum(1 for i in items if i is Ellipsis) > 1:
        raise IndexError("an index can only have a single ellipsis")
    if taken > x.type.ndim:
        raise IndexError(f"too many indices: {x} has rank {x.type.ndim}, got {taken}")
    if any(i is Ellipsis for i in items):
        at = next(k for k, i in enumerate(items) if i is Ellipsis)
        items[at : at + 1] = [slice(None)] * (x.type.ndim - taken)
    if any(i is None for i in items):
        order: list[int | str] = []
        old = 0
        for k, item in enumerate(items):
            if item is None:
                order.append("x")
                items[k] = slice(None)
            else:
                order.append(old)
                old += 1
        x = dimshuffle(x, order + list(range(old, x.type.ndim)))
    if any(_is_array(i) for i in items):
        return _advanced(x, items)
    if isinstance(x.owner and x.owner.op, MakeVector) and len(items) == 1:
        direct = _element_of(x, items[0])
        if direct is not None:
            return direct
    entries, scalars = as_entries(items)
    return x if not entries else Subtensor(entries)(x, *scalars)


def _element_of(x: Any, item: Any) -> Any:
    elements = x.owner.inputs
    if isinstance(item, slice):
        parts = (item.start, item.stop, item.step)
        if all(p is None or isinstance(p, int) for p in parts):
            chosen = elements[item]
            return x.owner.op(*chosen)
        return None
    if isinstance(item, Constant):
        item = int(item.data)
    if isinstance(item, int | np.integer):
        if not -len(elements) <= item < len(elements):
            raise IndexError(f"index {item} is out of bounds for a vector of {len(elements)}")
        return elements[item]
    return None


def _advanced(x: Any, items: list[Any]) -> Any:
    items = items + [slice(None)] * (x.type.ndim - len(items))
    arrays = [k for k, i in enumerate(items) if not isinstance(i, slice)]
    # Slices first, on their own dimensions.
    items = [_no_rows if isinstance(i, list) and not i else i for i in items]
    entries, scalars = as_entries([i if isinstance(i, slice) else slice(None) for i in items])
    if entries:
        x = Subtensor(entries)(x, *scalars)
    start = arrays[0]
    if arrays != list(range(start, start + len(arrays))):
        # NumPy puts the dimensions of separated index arrays first.
        rest = [k for k in range(x.type.ndim) if k not in arrays]
        x, start = dimshuffle(x, [*arrays, *rest]), 0
    return AdvancedSubtensor(start)(x, *(items[k] for k in arrays))


def _assign(x: Any, y: Any, setting: bool) -> Any:
    """Put ``y`` into what was indexed to give ``x``; the whole, with the shape before indexing."""
    if not isinstance(x, Variable) or x.owner is None:
        raise TypeError(
            "the first argument must be the result of indexing, as in "
            f"set_subtensor(x[3:], y); got {x!r}"
        )
    base = getattr(x.tag, "indexed", x.owner.inputs[0])
    return _put(x, as_tensor_variable(y), setting, base)


def _put(part: Any, y: Any, setting: bool, base: Any) -> Any:
    # One index may have become several ops; each step puts the changed inner
    # value into the one before, until the array that the user indexed.
    owner, op = part.owner, part.owner.op
    inner = owner.inputs[0]
    if isinstance(op, Subtensor):
        whole = IncSubtensor(op.entries, setting)(inner, y, *owner.inputs[1:])
    elif isinstance(op, AdvancedSubtensor):
        whole = AdvancedIncSubtensor(op.start, setting)(inner, y, *owner.inputs[1:])
    elif isinstance(op, DimShuffle):
        back: list[int | str] = [
            op.new_order.index(d) if d in op.new_order else "x" for d in range(inner.type.ndim)
        ]
        y = as_tensor_variable(y, ndim=part.type.ndim)
        shaped = dimshuffle(y.broadcast_to(shape_tuple(part)), back)
        if getattr(inner, "owner", None) is not None and inner is not base:
            return _assign(inner, shaped, setting)
        return shaped if setting else inner + shaped
    elif isinstance(op, SpecifyShape):
        return _assign(inner, y, setting)
    else:
        raise TypeError(
            f"set_subtensor and inc_subtensor take the result of indexing, got that of {op}"
        )
    return whole if inner is base else _put(inner, whole, True, base)


def set_subtensor(
    x: Any, y: Any, inplace: bool = False, tolerate_inplace_aliasing: bool = False
) -> Any:
    """The whole array with ``y`` in the place of the part ``x``: ``set_subtensor(a[1:3], 0)``.

    ``a`` itself is not changed.  Raises TypeError if ``x`` is not the result of
    indexing, or if ``y`` is of a kind that ``a`` does not hold; ValueError if the
    shapes do not fit (``y`` broadcasts).

    >>> import croton.tensor as T
    >>> a = T.constant([1, 2, 3, 4])
    >>> T.set_subtensor(a[1:3], 0).eval()
    array([1, 0, 0, 4])
    """
    return _assign(x, y, True)


def inc_subtensor(
    x: Any,
    y: Any,
    inplace: bool = False,
    set_instead_of_inc: bool = False,
    tolerate_inplace_aliasing: bool = False,
    ignore_duplicates: bool = False,
) -> Any:
    """The whole array with ``y`` added to the part ``x``; positions given twice count twice.

    Errors are those of :func:`set_subtensor`; the dtype is that of the whole.

    >>> import croton.tensor as T
    >>> a = T.constant([1, 2, 3])
    >>> T.inc_subtensor(a[[0, 0]], 10).eval()
    array([21,  2,  3])
    """
    return _assign(x, y, set_instead_of_inc)


def take(x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """The elements (axis None: of the flattened array) at ``indices``; only mode ``"raise"``.

    The dimension ``axis`` is replaced by those of ``indices``; out of bounds: IndexError.

    >>> import croton.tensor as T
    >>> T.take([[1, 2, 3], [4, 5, 6]], [2, 0], axis=1).eval()
    array([[3, 1],
           [6, 4]])
    """
    if mode != "raise":
        raise NotImplementedError(f"take with mode={mode!r} is not there; only 'raise'")
    x = as_tensor_variable(x)
    if axis is None:
        return index(reshape(x, (-1,)), indices)
    where: list[Any] = [slice(None)] * x.type.ndim
    where[axis % x.type.ndim] = indices
    return index(x, tuple(where))
