"""Indexing with integer arrays: reading rows or elements, setting and increasing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected
from croton.graph.op import Op
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise.op import broadcast_shape, check_broadcast
from croton.tensor.indexing.basic import as_stored, check_part
from croton.tensor.type import TensorType


def _arrays(indices: Sequence[Any]) -> tuple[list[Any], int]:
    given = [as_tensor_variable(i) for i in indices]
    for i in given:
        if i.type.dtype not in dtypes.INTEGERS:
            raise IndexError(f"an index array holds integers, got {i} of dtype {i.type.dtype}")
    rank = max(i.type.ndim for i in given)
    return [as_tensor_variable(i, ndim=rank) for i in given], rank


def _selected_shape(x: Any, indices: Sequence[Any], start: int) -> tuple[int | None, ...]:
    count = len(indices)
    if start + count > x.type.ndim:
        raise IndexError(
            f"too many indices: {x} has rank {x.type.ndim}, got {start + count}"
            + trace.describe(x.made_at)
        )
    middle = broadcast_shape([i.type.shape for i in indices])
    return x.type.shape[:start] + middle + x.type.shape[start + count :]  # type: ignore[no-any-return]


class AdvancedSubtensor(Op):
    """``x[:, ..., i, j, ...]``: index arrays for the dimensions from ``start`` on.

    The arrays broadcast together; their dimensions take the place of those indexed.
    """

    __props__ = ("start",)
    loop = "map"

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def make_node(self, x: Any, *indices: Any) -> Apply:
        """A tensor of what is selected."""
        x = as_tensor_variable(x)
        given, _ = _arrays(indices)
        shape = _selected_shape(x, given, self.start)
        return Apply(self, [x, *given], [TensorType(x.type.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's indexing."""
        check_broadcast(self, node.inputs[1:], inputs[1:])
        outputs[0][0] = np.asarray(inputs[0][(slice(None),) * self.start + tuple(inputs[1:])])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The arrays' broadcast shape in the place of the dimensions indexed."""
        middle = _broadcast_sizes(node.inputs[1:], shapes[1:])
        return [(*shapes[0][: self.start], *middle, *shapes[0][self.start + len(shapes) - 1 :])]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The index arrays broadcast."""
        return _broadcast_checks(node.inputs[1:], shapes[1:])

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], ctx: Any) -> Expr:
        """The element at the positions that the arrays hold, checked against the sizes."""
        rank = node.inputs[1].type.ndim  # type: ignore[attr-defined]
        before, here = index[: self.start], index[self.start : self.start + rank]
        place = [*before]
        for k, v in enumerate(node.inputs[1:], 1):
            position = inputs[k](*_broadcast_index(v, here))
            place.append(ctx.position(position, ctx.size(0, self.start + k - 1), node))
        return inputs[0](*place, *index[self.start + rank :])  # type: ignore[no-any-return]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Positions are not connected."""
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Zeros with the gradient added where it was read (twice, if read twice)."""
        x, *indices = inputs
        if x.type.dtype not in dtypes.FLOATS:
            back = x.zeros_like(dtype="floatX")
        else:
            zeros = x.zeros_like(dtype=gradients[0].type.dtype)
            back = AdvancedIncSubtensor(self.start)(zeros, gradients[0], *indices)
        return [back] + [disconnected() for _ in indices]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The same elements of the direction."""
        return [None if directions[0] is None else self(directions[0], *inputs[1:])]

    def __str__(self) -> str:
        return f"AdvancedSubtensor{{{self.start}}}"


def _broadcast_index(v: Any, index: Sequence[Expr]) -> list[Expr]:
    return [build.index(0) if d == 1 else i for d, i in zip(v.type.shape, index, strict=True)]


def _broadcast_sizes(indices: Sequence[Any], shapes: Sequence[Any]) -> list[Any]:
    sizes = []
    for d in range(indices[0].type.ndim):
        chosen = shapes[0][d]
        for v, s in zip(indices, shapes, strict=True):
            if v.type.shape[d] != 1:
                chosen = s[d]
                break
        sizes.append(chosen)
    return sizes


def _broadcast_checks(indices: Sequence[Any], shapes: Sequence[Any]) -> list[Any]:
    middle = _broadcast_sizes(indices, shapes)
    return [
        ("eq", n, m, "index arrays")
        for v, s in zip(indices, shapes, strict=True)
        for d, n, m in zip(v.type.shape, s, middle, strict=True)
        if d != 1
    ]


class AdvancedIncSubtensor(Op):
    """``x`` with ``y`` put (or added) at the positions that index arrays hold.

    Positions that come up several times are added up, or (when setting) keep
    the last value in row-major order of the arrays.
    """

    __props__ = ("start", "set_instead_of_inc")
    loop = "scatter"

    def __init__(self, start: int = 0, set_instead_of_inc: bool = False) -> None:
        self.start = start
        self.set_instead_of_inc = set_instead_of_inc

    def make_node(self, x: Any, y: Any, *indices: Any) -> Apply:
        """A tensor of the type of ``x``."""
        x, y = as_tensor_variable(x), as_tensor_variable(y)
        given, _ = _arrays(indices)
        part = _selected_shape(x, given, self.start)
        if y.type.ndim > len(part):
            raise ValueError(
                f"cannot put {y} of rank {y.type.ndim} where the index selects rank {len(part)}"
            )
        y = as_stored(y, x)
        y = as_tensor_variable(y, ndim=len(part))
        for d, (have, want) in enumerate(zip(y.type.shape, part, strict=True)):
            if have not in (None, 1) and want is not None and have != want:
                raise ValueError(
                    f"shapes do not fit: dimension {d} of what the index selects is {want}, "
                    f"of {y} it is {have}"
                )
        return Apply(self, [x, y, *given], [TensorType(x.type.dtype, x.type.shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """On a copy; ``np.add.at`` adds up what comes several times."""
        x, y, *indices = inputs
        check_broadcast(self, node.inputs[2:], indices)
        out = np.array(x)
        where = (slice(None),) * self.start + tuple(indices)
        check_part(node.inputs[1], np.shape(y), np.shape(out[where]))
        if self.set_instead_of_inc:
            out[where] = y
        else:
            np.add.at(out, where, y)
        outputs[0][0] = out

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The shape of ``x``."""
        return [shapes[0]]

    def selected(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The symbolic sizes of what the index selects."""
        middle = _broadcast_sizes(node.inputs[2:], shapes[2:])
        return [*shapes[0][: self.start], *middle, *shapes[0][self.start + len(shapes) - 2 :]]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Arrays broadcast; what is put has the size of what is selected."""
        found = _broadcast_checks(node.inputs[2:], shapes[2:])
        y = node.inputs[1].type.shape  # type: ignore[attr-defined]
        for static, have, want in zip(y, shapes[1], self.selected(node, shapes), strict=True):
            if static != 1:
                found.append(("eq", have, want, "set_subtensor"))
        return found

    def lower(
        self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], ctx: Any
    ) -> tuple[list[Expr], Expr]:
        """For element ``index`` of the selection: its place in ``x``, and what is put there."""
        rank = node.inputs[2].type.ndim  # type: ignore[attr-defined]
        here = index[self.start : self.start + rank]
        place = [*index[: self.start]]
        for k, v in enumerate(node.inputs[2:], 2):
            position = inputs[k](*_broadcast_index(v, here))
            place.append(ctx.position(position, ctx.size(0, self.start + k - 2), node))
        place += index[self.start + rank :]
        return place, inputs[1](*_broadcast_index(node.inputs[1], index))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Positions are not connected."""
        return [[True], [True]] + [[False]] * (len(node.inputs) - 2)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The gradient read where values were put."""
        x, y, *indices = inputs
        (g,) = gradients
        if x.type.dtype not in dtypes.FLOATS:
            return [x.zeros_like(dtype="floatX"), y.zeros_like(dtype="floatX")] + [
                disconnected() for _ in indices
            ]
        part = AdvancedSubtensor(self.start)(g, *indices)
        axes = tuple(
            d
            for d, (a, b) in enumerate(zip(y.type.shape, part.type.shape, strict=True))
            if a == 1 and b != 1
        )
        if axes:
            part = part.sum(axis=axes, keepdims=True)
        from_x = g
        if self.set_instead_of_inc:
            from_x = AdvancedIncSubtensor(self.start, True)(g, np.zeros((), g.type.dtype), *indices)
        return [from_x, part] + [disconnected() for _ in indices]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The same on the directions."""
        dx, dy = directions[:2]
        if dx is None and dy is None:
            return [None]
        dx = inputs[0].zeros_like() if dx is None else dx
        dy = inputs[1].zeros_like() if dy is None else dy
        return [self(dx, dy, *inputs[2:])]

    def __str__(self) -> str:
        return f"Advanced{'Set' if self.set_instead_of_inc else 'Inc'}Subtensor{{{self.start}}}"
