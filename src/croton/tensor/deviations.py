"""The sum of squared deviations from the mean, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import cast, sqr, sub
from croton.tensor.reduction import mean
from croton.tensor.reduction import sum as tensor_sum
from croton.tensor.shapes import dimshuffle, product, shape_i
from croton.tensor.type import TensorType


class SquaredDeviations(Op):
    """``sum((x - mean(x))**2)`` over ``axis``; rewriting finds it in variances.

    Chunks are reduced apart, shifted by their first element, and combined by
    the formula of Chan, Golub and LeVeque (1979), "Updating formulae and a
    pairwise algorithm for computing sample variances".
    """

    __props__ = ("axis",)
    loop = "reduce"
    combine = "add"

    def __init__(self, axis: tuple[int, ...]) -> None:
        self.axis = axis

    def make_node(self, x: Any) -> Apply:
        """The input without the dimensions of ``axis``."""
        x = as_tensor_variable(x)
        if x.type.dtype not in ("float32", "float64"):
            raise TypeError(f"expected float32 or float64, got {x} of dtype {x.type.dtype}")
        shape = [d for k, d in enumerate(x.type.shape) if k not in self.axis]
        return Apply(self, [x], [TensorType(x.type.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """In two passes."""
        (x,) = inputs
        with np.errstate(all="ignore"):
            if any(np.shape(x)[a] == 0 for a in self.axis):
                out = np.zeros([n for k, n in enumerate(np.shape(x)) if k not in self.axis])
            else:
                out = np.square(x - np.mean(x, axis=self.axis, keepdims=True)).sum(axis=self.axis)
        outputs[0][0] = np.asarray(out, x.dtype)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes that remain."""
        return [tuple(s for k, s in enumerate(shapes[0]) if k not in self.axis)]

    def expand(self, node: Apply) -> list[Any] | None:
        """In sums, where the axes are not the leading ones: only over those is there one pass.

        Trailing axes are taken row by row, which stay in cache between the two passes, and
        the rows' results are combined as chunks are.
        """
        x = as_tensor_variable(node.inputs[0])
        rank = x.type.ndim
        if self.axis == tuple(range(len(self.axis))):
            return None
        trailing = tuple(a for a in self.axis if set(range(a, rank)) <= set(self.axis))
        if not trailing or trailing == self.axis:
            deviations = sub(x, mean(x, self.axis, keepdims=True))
            return [tensor_sum(sqr(deviations), self.axis)]
        rest = self.axis[: -len(trailing)]
        count = cast(product([shape_i(x, a) for a in trailing]), x.type.dtype)
        within = tensor_sum(SquaredDeviations(trailing)(x), rest)
        return [within + count * SquaredDeviations(rest)(mean(x, trailing))]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """The element, at ``index`` of the input."""
        return build.cast(inputs[0](*index), node.outputs[0].type.dtype)  # type: ignore[attr-defined]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """``2 * g * (x - mean(x))``."""
        (x,), (g,) = inputs, gradients
        rest = iter(range(g.type.ndim))
        order = ["x" if d in self.axis else next(rest) for d in range(x.type.ndim)]
        return [2 * dimshuffle(g, order) * sub(x, mean(x, self.axis, keepdims=True))]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The inner product of the direction with the gradient."""
        (x,), (d,) = inputs, directions
        if d is None:
            return [None]
        deviation = sub(x, mean(x, self.axis, keepdims=True))
        return [2 * tensor_sum(d * deviation, self.axis)]
