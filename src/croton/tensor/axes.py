"""Dimensions put in another order, added and dropped: everything that dimshuffle gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.tensor.convert import as_tensor_variable
from croton.tensor.shapes import dimshuffle


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """``x`` with its dimensions in the order ``axes`` (default: reversed).

    What is no order of the dimensions: ValueError.

    >>> import croton.tensor as T
    >>> T.transpose(T.ones((2, 3, 4)), (0, 2, 1)).type.shape
    (2, 4, 3)
    """
    x = as_tensor_variable(x)
    if axes is None:
        axes = range(x.type.ndim - 1, -1, -1)
    if sorted(a % max(x.type.ndim, 1) for a in axes) != list(range(x.type.ndim)):
        raise ValueError(f"axes {tuple(axes)} are no order of the {x.type.ndim} dimensions of {x}")
    return dimshuffle(x, list(axes))


def shape_padleft(x: Any, n_ones: int = 1) -> Any:
    """``x`` with ``n_ones`` dimensions of size 1 in front.

    >>> import croton.tensor as T
    >>> T.shape_padleft([1, 2], 2).type.shape
    (1, 1, 2)
    """
    x = as_tensor_variable(x)
    return dimshuffle(x, ["x"] * n_ones + list(range(x.type.ndim)))


def shape_padright(x: Any, n_ones: int = 1) -> Any:
    """``x`` with ``n_ones`` dimensions of size 1 behind.

    >>> import croton.tensor as T
    >>> T.shape_padright([1, 2]).type.shape
    (2, 1)
    """
    x = as_tensor_variable(x)
    return dimshuffle(x, list(range(x.type.ndim)) + ["x"] * n_ones)


def shape_padaxis(x: Any, axis: int) -> Any:
    """``x`` with one dimension of size 1 at ``axis``.

    ``axis`` counts in the result; out of range: IndexError.

    >>> import croton.tensor as T
    >>> T.shape_padaxis(T.ones((2, 3)), 1).type.shape
    (2, 1, 3)
    >>> T.shape_padaxis(T.ones((2, 3)), -1).type.shape
    (2, 3, 1)
    """
    x = as_tensor_variable(x)
    ndim = x.type.ndim + 1
    if not -ndim <= axis < ndim:
        raise IndexError(f"axis {axis} is out of range for rank {ndim}")
    order: list[int | str] = list(range(ndim - 1))
    order.insert(axis % ndim, "x")
    return dimshuffle(x, order)


def expand_dims(x: Any, axis: int) -> Any:
    """NumPy's name for :func:`shape_padaxis`.

    >>> import croton.tensor as T
    >>> T.expand_dims([1, 2], 0).type.shape
    (1, 2)
    """
    return shape_padaxis(x, axis)


def squeeze(x: Any, axis: Any = None) -> Any:
    """``x`` without dimensions known to be 1 (all of them, or those of ``axis``).

    A size of ``axis`` that is not known to be 1: ValueError; out of range: IndexError.

    >>> import croton.tensor as T
    >>> T.squeeze(T.ones((1, 2, 1))).type.shape
    (2,)
    >>> T.squeeze(T.ones((1, 2, 1)), axis=0).type.shape
    (2, 1)
    """
    x = as_tensor_variable(x)
    if axis is None:
        drop = {d for d, n in enumerate(x.type.shape) if n == 1}
    else:
        given = axis if isinstance(axis, tuple | list) else (axis,)
        drop = {_position(a, x.type.ndim) for a in given}
    return dimshuffle(x, [d for d in range(x.type.ndim) if d not in drop])


def _position(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise IndexError(f"axis {axis} is out of range for rank {ndim}")
    return axis % ndim


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """``x`` with two dimensions exchanged.

    A dimension out of range: IndexError.

    >>> import croton.tensor as T
    >>> T.swapaxes(T.ones((2, 3, 4)), 0, -1).type.shape
    (4, 3, 2)
    """
    x = as_tensor_variable(x)
    a, b = (_position(axis, x.type.ndim) for axis in (axis1, axis2))
    order = list(range(x.type.ndim))
    order[a], order[b] = b, a
    return dimshuffle(x, order)


def moveaxis(x: Any, source: int, destination: int) -> Any:
    """``x`` with dimension ``source`` moved to ``destination``.

    A dimension out of range: IndexError.

    >>> import croton.tensor as T
    >>> T.moveaxis(T.ones((2, 3, 4)), 0, -1).type.shape
    (3, 4, 2)
    """
    x = as_tensor_variable(x)
    order = list(range(x.type.ndim))
    taken = order.pop(_position(source, x.type.ndim))
    order.insert(_position(destination, x.type.ndim), taken)
    return dimshuffle(x, order)
