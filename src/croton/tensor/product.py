"""Products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.reduction import normalise_axis
from croton.tensor.reduction import sum as tensor_sum
from croton.tensor.shapes import dimshuffle, product, reshape, shape_tuple
from croton.tensor.type import TensorType


class Dot(Op):
    """The matrix product over the last two dimensions; a leading one, if any, is a batch."""

    __props__ = ("batched",)
    loop = "product"
    kind = "sum"
    combine = "add"

    def __init__(self, batched: bool = False) -> None:
        self.batched = batched

    def make_node(self, a: Any, b: Any) -> Apply:
        """Two matrices, or two batches of as many matrices."""
        a, b = as_tensor_variable(a), as_tensor_variable(b)
        rank = 3 if self.batched else 2
        if a.type.ndim != rank or b.type.ndim != rank:
            raise TypeError(f"{self} takes two tensors of rank {rank}, got {a.type} and {b.type}")
        dtype = dtypes.upcast(a.type.dtype, b.type.dtype)
        a, b = (v if v.type.dtype == dtype else v.astype(dtype) for v in (a, b))
        inner = a.type.shape[-1], b.type.shape[-2]
        if None not in inner and inner[0] != inner[1]:
            raise ValueError(
                f"shapes do not fit in dot: {a} of shape {a.type.shape_text()} and {b} of shape "
                f"{b.type.shape_text()}" + trace.describe(a.made_at)
            )
        shape: tuple[int | None, ...] = (a.type.shape[-2], b.type.shape[-1])
        if self.batched:
            n, m = a.type.shape[0], b.type.shape[0]
            if None not in (n, m) and n != m:
                raise ValueError(f"batches of {n} and {m} matrices do not fit in dot")
            shape = (n if n is not None else m, *shape)
        return Apply(self, [a, b], [TensorType(dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's matmul."""
        a, b = inputs
        if self.batched and a.shape[0] != b.shape[0]:
            raise ValueError(f"batches of {a.shape[0]} and {b.shape[0]} matrices do not fit in dot")
        with np.errstate(all="ignore"):
            outputs[0][0] = np.asarray(np.matmul(a, b), node.outputs[0].type.dtype)  # type: ignore[attr-defined]

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Rows of the first, columns of the second."""
        a, b = shapes
        return [(*a[:-1], b[-1])]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The inner sizes agree."""
        a, b = shapes
        found = [("eq", a[-1], b[-2], "dot")]
        return [*found, ("eq", a[0], b[0], "batched dot")] if self.batched else found

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """The term to add, at ``index`` = (batch,) row, column, inner."""
        *batch, i, j, k = index
        a, b = inputs[0](*batch, i, k), inputs[1](*batch, k, j)
        if a.dtype == "float16":
            a, b = build.cast(a, "float32"), build.cast(b, "float32")
        return build.op("and" if a.dtype == "bool" else "mul", a, b)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Each gradient is a product with the other factor transposed."""
        (a, b), (g,) = inputs, gradients
        if outputs[0].type.dtype not in dtypes.FLOATS:
            return [a.zeros_like(dtype="floatX"), b.zeros_like(dtype="floatX")]
        g = g if g.dtype == a.dtype else g.astype(a.dtype)
        order = (0, 2, 1) if self.batched else (1, 0)
        return [self(g, dimshuffle(b, order)), self(dimshuffle(a, order), g)]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The product rule."""
        (a, b), (da, db) = inputs, directions
        terms = [self(da, b)] if da is not None else []
        terms += [self(a, db)] if db is not None else []
        return [None if not terms else terms[0] if len(terms) == 1 else terms[0] + terms[1]]

    def __str__(self) -> str:
        return "BatchedDot" if self.batched else "dot"


_dot2 = Dot()
_dot3 = Dot(batched=True)


def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: products of numbers, vectors and matrices.

    Above rank 2 the last dimension of ``a`` meets the last but one of ``b``.
    Raises ValueError if the sizes do not fit.

    >>> import croton.tensor as T
    >>> T.dot(T.constant([[1.0, 2.0]]), T.constant([3.0, 4.0])).eval()
    array([11.])
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if a.type.ndim == 0 or b.type.ndim == 0:
        return a * b
    if a.type.ndim > 2 or b.type.ndim > 2:
        return tensordot(a, b, [[a.type.ndim - 1], [max(b.type.ndim - 2, 0)]])
    return _with_vectors(a, b, _dot2)


def _with_vectors(a: Any, b: Any, op: Dot) -> Any:
    drop = []
    if a.type.ndim == 1:
        a, drop = dimshuffle(a, ["x", 0]), [0]
    if b.type.ndim == 1:
        b, drop = dimshuffle(b, [0, "x"]), [*drop, 1]
    out = op(a, b)
    return dimshuffle(out, [d for d in (0, 1) if d not in drop]) if drop else out


def matmul(a: Any, b: Any) -> Any:
    """NumPy's matmul (``a @ b``): above rank 2 leading dimensions are batches that broadcast.

    Dtypes are upcast; scalars and sizes that do not fit: ValueError.

    >>> import croton.tensor as T
    >>> a, b = T.ones((4, 2, 3)), T.ones((3, 5))
    >>> (a @ b).type.shape
    (4, 2, 5)
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if a.type.ndim == 0 or b.type.ndim == 0:
        raise ValueError("matmul does not take scalars; multiply them")
    if a.type.ndim <= 2 and b.type.ndim <= 2:
        return _with_vectors(a, b, _dot2)
    drop = None
    if a.type.ndim == 1:
        a, drop = dimshuffle(a, ["x", 0]), -2
    if b.type.ndim == 1:
        b, drop = dimshuffle(b, [0, "x"]), -1
    rank = max(a.type.ndim, b.type.ndim)
    a, b = as_tensor_variable(a, ndim=rank), as_tensor_variable(b, ndim=rank)
    sa, sb = shape_tuple(a), shape_tuple(b)
    batch = [sb[d] if a.type.shape[d] == 1 else sa[d] for d in range(rank - 2)]
    a = _spread(a, batch, sa)
    b = _spread(b, batch, sb)
    count = product(batch)
    out = _dot3(reshape(a, [count, sa[-2], sa[-1]]), reshape(b, [count, sb[-2], sb[-1]]))
    out = reshape(out, [*batch, sa[-2], sb[-1]])
    if drop is not None:
        at = out.type.ndim + drop
        out = out.specify_shape([1 if d == at else None for d in range(out.type.ndim)])
        out = dimshuffle(out, [d for d in range(out.type.ndim) if d != at])
    return out


def _spread(x: Any, batch: Sequence[Any], sizes: Sequence[Any]) -> Any:
    if all(x.type.shape[d] != 1 or _is_one(n) for d, n in enumerate(batch)):
        return x
    return x.broadcast_to([*batch, *sizes[-2:]])


def _is_one(n: Any) -> bool:
    return getattr(n, "data", None) is not None and int(n.data) == 1


def batched_dot(a: Any, b: Any) -> Any:
    """The product of each pair: ``out[i] = dot(a[i], b[i])``.

    A matrix counts as a batch of vectors; other ranks than 2 and 3: TypeError.

    >>> import croton.tensor as T
    >>> T.batched_dot([[1, 2], [3, 4]], [[1, 1], [10, 10]]).eval()
    array([ 3, 70])
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if a.type.ndim not in (2, 3) or b.type.ndim not in (2, 3):
        raise TypeError(f"batched_dot takes ranks 2 and 3, got {a.type} and {b.type}")
    drop = []
    if a.type.ndim == 2:
        a, drop = dimshuffle(a, [0, "x", 1]), [1]
    if b.type.ndim == 2:
        b, drop = dimshuffle(b, [0, 1, "x"]), [*drop, 2]
    out = _dot3(a, b)
    return dimshuffle(out, [d for d in range(3) if d not in drop]) if drop else out


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """NumPy's tensordot: the sum over pairs of dimensions.

    ``axes`` is a number (the last of ``a`` with the first of ``b``) or two lists.

    >>> import croton.tensor as T
    >>> a, b = T.ones((2, 3, 4)), T.ones((5, 3, 2))
    >>> T.tensordot(a, b, axes=[[0, 1], [2, 1]]).type.shape
    (4, 5)
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if isinstance(axes, int | np.integer):
        ours: Sequence[int] = range(a.type.ndim - int(axes), a.type.ndim)
        theirs: Sequence[int] = range(int(axes))
    else:
        ours, theirs = (x if isinstance(x, list | tuple) else [x] for x in axes)
    if len(ours) != len(theirs):
        raise ValueError(f"tensordot over {len(ours)} and {len(theirs)} dimensions")
    normalise_axis(tuple(ours), a.type.ndim)
    normalise_axis(tuple(theirs), b.type.ndim)
    ours = [x % a.type.ndim for x in ours]
    theirs = [x % b.type.ndim for x in theirs]
    free_a = [d for d in range(a.type.ndim) if d not in ours]
    free_b = [d for d in range(b.type.ndim) if d not in theirs]
    sa, sb = shape_tuple(a), shape_tuple(b)
    inner = product([sa[d] for d in ours])
    left = reshape(dimshuffle(a, [*free_a, *ours]), [product([sa[d] for d in free_a]), inner])
    right = reshape(
        dimshuffle(b, [*theirs, *free_b]),
        [product([sb[d] for d in theirs]), product([sb[d] for d in free_b])],
    )
    return reshape(_dot2(left, right), [*(sa[d] for d in free_a), *(sb[d] for d in free_b)])


def outer(a: Any, b: Any) -> Any:
    """``out[i, j] = a[i] * b[j]`` of the flattened arguments.

    >>> import croton.tensor as T
    >>> T.outer([1, 2], [10, 20, 30]).eval()
    array([[10, 20, 30],
           [20, 40, 60]])
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    a = a if a.type.ndim == 1 else a.flatten()
    b = b if b.type.ndim == 1 else b.flatten()
    return dimshuffle(a, [0, "x"]) * dimshuffle(b, ["x", 0])


def inner(a: Any, b: Any) -> Any:
    """The sum of the products over the last dimension of both.

    >>> import croton.tensor as T
    >>> T.inner([[1, 2], [3, 4]], [10, 1]).eval()
    array([12, 34])
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if a.type.ndim == 1 and b.type.ndim == 1:
        return tensor_sum(a * b)
    return tensordot(a, b, [[a.type.ndim - 1], [b.type.ndim - 1]])
