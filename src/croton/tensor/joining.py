"""Putting arrays together: concatenate, stack, tile, repeat; and taking them apart: split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.graph.variable import Constant, Variable
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.axes import shape_padaxis
from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.shapes import (
    MakeVector,
    as_size,
    dimshuffle,
    known_size,
    reshape,
    shape_i,
    shape_tuple,
)
from croton.tensor.type import TensorType


class Join(Op):
    """Tensors one behind the other along ``axis``."""

    __props__ = ("axis",)
    loop = "map"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def make_node(self, *tensors: Any) -> Apply:
        """Tensors of the same rank; dtypes are upcast."""
        given = [as_tensor_variable(t) for t in tensors]
        if not given:
            raise ValueError("nothing to join")
        ndim = given[0].type.ndim
        if ndim == 0:
            raise TypeError("scalars cannot be joined; stack them")
        if any(v.type.ndim != ndim for v in given):
            raise TypeError(
                f"tensors to join must have the same rank, got {[v.type.ndim for v in given]}"
            )
        if not 0 <= self.axis < ndim:
            raise IndexError(f"axis {self.axis} is out of range for rank {ndim}")
        dtype = dtypes.upcast(*(v.type.dtype for v in given))
        given = [v if v.type.dtype == dtype else v.astype(dtype) for v in given]
        shape: list[int | None] = []
        for d in range(ndim):
            sizes = [v.type.shape[d] for v in given]
            if d == self.axis:
                shape.append(None if None in sizes else sum(sizes))
                continue
            known = {n for n in sizes if n is not None}
            if len(known) > 1:
                raise ValueError(
                    f"shapes do not fit to join along axis {self.axis}: "
                    + ", ".join(v.type.shape_text() for v in given)
                )
            shape.append(known.pop() if known else None)
        return Apply(self, given, [TensorType(dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's concatenate."""
        outputs[0][0] = np.concatenate(inputs, axis=self.axis)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Sizes add up along the axis."""
        total = shapes[0][self.axis]
        for s in shapes[1:]:
            total = total + s[self.axis]
        if all(known_size(s[self.axis]) is not None for s in shapes):
            total = constant(np.int64(sum(int(known_size(s[self.axis]) or 0) for s in shapes)))
        return [tuple(total if d == self.axis else n for d, n in enumerate(shapes[0]))]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The other sizes agree."""
        return [
            ("eq", shapes[0][d], s[d], f"join along axis {self.axis}")
            for s in shapes[1:]
            for d in range(len(s))
            if d != self.axis
        ]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], ctx: Any) -> Expr:
        """A choice by the position along the axis."""
        ends, offset = [], None
        for k in range(len(inputs)):
            size = ctx.size(k, self.axis)
            start = build.index(0) if offset is None else offset
            offset = size if offset is None else build.add(offset, size)
            ends.append((start, offset))
        position = index[self.axis]
        result: Expr | None = None
        for k in range(len(inputs) - 1, -1, -1):
            start, end = ends[k]
            inside = build.op("lt", position, end)
            if k:
                inside = build.op("and", inside, build.op("ge", position, start))
            place = list(index)
            place[self.axis] = build.sub(position, start)
            element = ctx.guard(inside, lambda k=k, place=place: inputs[k](*place))
            result = element if result is None else build.select(inside, element, result)
        return result  # type: ignore[return-value]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The parts of the gradient."""
        (g,) = gradients
        if outputs[0].type.dtype not in dtypes.FLOATS:
            return [v.zeros_like(dtype="floatX") for v in inputs]
        results, start = [], None
        for v in inputs:
            size = shape_i(v, self.axis)
            end = size if start is None else start + size
            where = [slice(None)] * v.type.ndim
            where[self.axis] = slice(start, end)
            part = g[tuple(where)]
            if v.type.shape != part.type.shape:
                part = _with_static_shape(part, v.type.shape)
            results.append(part if v.type.dtype in dtypes.FLOATS else v.zeros_like(dtype="floatX"))
            start = end
        return results

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The directions joined; a missing one is zero."""
        if all(d is None for d in directions):
            return [None]
        parts = [
            v.zeros_like() if d is None else d for v, d in zip(inputs, directions, strict=True)
        ]
        return [self(*parts)]


def _with_static_shape(x: Any, shape: tuple[int | None, ...]) -> Any:
    known = [n if have is None else None for have, n in zip(x.type.shape, shape, strict=True)]
    return x if all(n is None for n in known) else x.specify_shape(known)


def join(axis: Any, *tensors: Any) -> Any:
    """``tensors`` one behind the other along ``axis`` (a known int).

    The ranks must be the same (else TypeError) and the other sizes too (ValueError); dtypes
    are upcast.

    >>> import croton.tensor as T
    >>> T.join(1, [[1], [2]], [[3], [4]]).eval()
    array([[1, 3],
           [2, 4]])
    """
    if isinstance(axis, Constant):
        axis = int(axis.data)
    if isinstance(axis, Variable):
        raise TypeError(f"the axis of join must be known when building, got the variable {axis}")
    given = [as_tensor_variable(t) for t in tensors]
    if not given:
        raise ValueError("nothing to join")
    ndim = given[0].type.ndim
    if not -ndim <= axis < max(ndim, 1):
        raise IndexError(f"axis {axis} is out of range for rank {ndim}")
    if len(given) == 1:
        return given[0]
    return Join(int(axis) % max(ndim, 1))(*given)


def concatenate(tensor_list: Any, axis: int = 0) -> Any:
    """The tensors of a list one behind the other along ``axis``.

    What :func:`join` says of ranks, sizes and dtypes holds here.

    >>> import croton.tensor as T
    >>> T.concatenate([[[1, 2]], [[3.5, 4.5]]], axis=0).eval()
    array([[1. , 2. ],
           [3.5, 4.5]])
    """
    if not isinstance(tensor_list, list | tuple):
        raise TypeError(f"concatenate takes a list or tuple of tensors, got {tensor_list!r}")
    return join(axis, *tensor_list)


def stack(*tensors: Any, axis: int = 0, **kwargs: Any) -> Any:
    """Tensors of the same shape side by side along a new ``axis``.

    ``stack([a, b], axis=0)``; Theano's old form ``stack(a, b)`` works too.

    >>> import croton.tensor as T
    >>> T.stack([[1, 2], [3, 4]], axis=1).eval()
    array([[1, 3],
           [2, 4]])
    """
    parts: list[Any] = list(tensors)
    if len(parts) == 2 and isinstance(parts[0], list | tuple) and isinstance(parts[1], int):
        axis = parts.pop()
    if len(parts) == 1 and isinstance(parts[0], list | tuple):
        parts = list(parts[0])
    if not parts:
        raise ValueError("nothing to stack")
    given = [as_tensor_variable(p) for p in parts]
    if all(v.type.ndim == 0 for v in given) and axis in (0, -1):
        return MakeVector(dtypes.upcast(*(v.type.dtype for v in given)))(*given)
    ndim = given[0].type.ndim + 1
    if not -ndim <= axis < ndim:
        raise IndexError(f"axis {axis} is out of range for rank {ndim}")
    return join(axis % ndim, *(shape_padaxis(v, axis) for v in given))


def split(x: Any, splits_size: Any, n_splits: int | None = None, axis: int = 0) -> list[Any]:
    """``x`` cut along ``axis`` into parts of the sizes ``splits_size``.

    The number of parts must be known when building: ``n_splits`` if the sizes are a variable.

    >>> import croton.tensor as T
    >>> first, second = T.split([1, 2, 3], [1, 2])
    >>> second.eval()
    array([2, 3])
    """
    x = as_tensor_variable(x)
    if isinstance(splits_size, Variable):
        if n_splits is None:
            raise ValueError("the number of parts must be known: pass n_splits")
        sizes = [splits_size[k] for k in range(n_splits)]  # type: ignore[index]
    else:
        sizes = [as_size(s) for s in splits_size]
    if n_splits is not None and len(sizes) != n_splits:
        raise ValueError(f"{len(sizes)} sizes for {n_splits} parts")
    axis = axis % x.type.ndim
    parts, start = [], None
    for size in sizes:
        end = size if start is None else start + size
        where = [slice(None)] * x.type.ndim
        where[axis] = slice(start, end)
        parts.append(x[tuple(where)])
        start = end
    return parts


def tile(x: Any, reps: Any, ndim: int | None = None) -> Any:
    """``x`` repeated ``reps`` times along each dimension, as NumPy's tile.

    >>> import croton.tensor as T
    >>> T.tile([1, 2], (2, 2)).eval()
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    x = as_tensor_variable(x)
    counts = [as_size(r) for r in (reps if isinstance(reps, list | tuple) else [reps])]
    rank = max(x.type.ndim, len(counts), ndim or 0)
    x = as_tensor_variable(x, ndim=rank)
    counts = [constant(np.int64(1))] * (rank - len(counts)) + counts
    sizes = shape_tuple(x)
    order: list[int | str] = []
    for d in range(rank):
        order += ["x", d]
    spread = dimshuffle(x, order)
    both = [s for pair in zip(counts, sizes, strict=True) for s in pair]
    wide = spread.broadcast_to(both)
    return reshape(wide, [c * s for c, s in zip(counts, sizes, strict=True)])


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element of ``x`` ``repeats`` times (one number) along ``axis`` (None: flattened).

    A count for each element raises NotImplementedError.

    >>> import croton.tensor as T
    >>> T.repeat([1, 2], 2).eval()
    array([1, 1, 2, 2])
    """
    x = as_tensor_variable(x)
    count = as_tensor_variable(repeats)
    if count.type.ndim != 0:
        raise NotImplementedError(
            "repeat with a count for each element is not there; pass a number"
        )
    if axis is None:
        x, axis = x.flatten(), 0
    axis = axis % x.type.ndim
    count = as_size(count)
    sizes = list(shape_tuple(x))
    order: list[int | str] = list(range(x.type.ndim))
    order.insert(axis + 1, "x")
    wide = dimshuffle(x, order).broadcast_to([*sizes[: axis + 1], count, *sizes[axis + 1 :]])
    sizes[axis] = sizes[axis] * count
    return reshape(wide, sizes)
