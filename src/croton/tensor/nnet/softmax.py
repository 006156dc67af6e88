"""Softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import exp, log, sub
from croton.tensor.reduction import sum as tensor_sum
from croton.tensor.reduction import supremum
from croton.tensor.type import TensorType


class Softmax(Op):
    """``exp(x) / sum(exp(x))`` over ``axis``.

    >>> import croton.tensor as T
    >>> T.nnet.Softmax(axis=0)([[0.0], [0.0]]).eval()
    array([[0.5],
           [0.5]])
    """

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def make_node(self, x: Any) -> Apply:
        """A float tensor of the same shape."""
        x = as_tensor_variable(x)
        if x.type.dtype not in dtypes.FLOATS:
            x = x.astype(dtypes.to_float(x.type.dtype))
        return Apply(self, [x], [TensorType(x.type.dtype, x.type.shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """With the maximum taken off first."""
        (x,) = inputs
        with np.errstate(all="ignore"):
            e = np.exp(x - _top(x, self.axis))
            outputs[0][0] = np.asarray(e / e.sum(axis=self.axis, keepdims=True), x.dtype)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The same shape."""
        return [shapes[0]]

    def expand(self, node: Apply) -> list[Any]:
        """In elementwise functions and reductions."""
        x = as_tensor_variable(node.inputs[0])
        e = exp(sub(x, supremum(x, self.axis, keepdims=True)))
        return [e / tensor_sum(e, self.axis, keepdims=True)]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """``s * (g - sum(g * s))``."""
        (s,), (g,) = outputs, gradients
        return [s * (g - tensor_sum(g * s, self.axis, keepdims=True))]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The Jacobian is symmetric."""
        if directions[0] is None:
            return [None]
        return self.L_op(inputs, [self(*inputs)], directions)


class LogSoftmax(Op):
    """``x - log(sum(exp(x)))`` over ``axis``.

    >>> import croton.tensor as T
    >>> T.nnet.LogSoftmax(axis=0)([[1000.0], [0.0]]).eval()
    array([[    0.],
           [-1000.]])
    """

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    make_node = Softmax.make_node
    infer_shape = Softmax.infer_shape

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """With the maximum taken off first."""
        (x,) = inputs
        with np.errstate(all="ignore"):
            shifted = x - _top(x, self.axis)
            total = np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True))
            outputs[0][0] = np.asarray(shifted - total, x.dtype)

    def expand(self, node: Apply) -> list[Any]:
        """In elementwise functions and reductions."""
        x = as_tensor_variable(node.inputs[0])
        shifted = sub(x, supremum(x, self.axis, keepdims=True))
        return [shifted - log(tensor_sum(exp(shifted), self.axis, keepdims=True))]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """``g - softmax(x) * sum(g)``."""
        (x,), (g,) = inputs, gradients
        return [g - Softmax(self.axis)(x) * tensor_sum(g, self.axis, keepdims=True)]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """``d - sum(softmax(x) * d)``."""
        (x,), (d,) = inputs, directions
        if d is None:
            return [None]
        return [d - tensor_sum(Softmax(self.axis)(x) * d, self.axis, keepdims=True)]


def _top(x: Any, axis: int) -> Any:
    return x.max(axis=axis, keepdims=True, initial=-np.inf)


def _axis(x: Any, axis: Any) -> int:
    if x.type.ndim == 0:
        raise ValueError(f"softmax of the scalar {x}")
    if not -x.type.ndim <= axis < x.type.ndim:
        raise ValueError(f"axis {axis} is out of range for rank {x.type.ndim}")
    return int(axis % x.type.ndim)


def softmax(x: Any, axis: int = -1) -> Any:
    """``exp(x) / sum(exp(x))`` over ``axis`` (default: the last).

    The shape stays; floats keep their dtype, integers give floats.  Each row's maximum is
    taken off first, so that nothing overflows.  A scalar or an axis out of range: ValueError.

    >>> import croton.tensor as T
    >>> T.nnet.softmax([[0.0, 0.0], [1000.0, 0.0]]).eval()
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    x = as_tensor_variable(x)
    return Softmax(_axis(x, axis))(x)


def logsoftmax(x: Any, axis: int = -1) -> Any:
    """``log(softmax(x))``, accurate where the softmax is close to 0.

    Shapes, dtypes and errors are those of :func:`softmax`.

    >>> import croton.tensor as T
    >>> T.nnet.logsoftmax([1000.0, 0.0]).eval()
    array([    0., -1000.])
    """
    x = as_tensor_variable(x)
    return LogSoftmax(_axis(x, axis))(x)


log_softmax = logsoftmax


def softmax_with_bias(x: Any, b: Any) -> Any:
    """``softmax(x + b)``.

    >>> import croton.tensor as T
    >>> T.nnet.softmax_with_bias([[0.0, 1.0]], [1.0, 0.0]).eval()
    array([[0.5, 0.5]])
    """
    return softmax(as_tensor_variable(x) + b)
