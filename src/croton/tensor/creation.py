"""Arrays out of nothing: filled, ranges, identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected
from croton.graph.op import Op
from croton.graph.variable import Constant, Variable
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.elementwise import cast, ceil, eq, le, maximum
from croton.tensor.shapes import as_size, as_sizes, dimshuffle, known_size, shape_tuple
from croton.tensor.type import TensorType


class Alloc(Op):
    """``value`` repeated to the given sizes; its dimensions known to be 1 broadcast."""

    __props__ = ()
    loop = "map"

    def make_node(self, value: Any, *sizes: Any) -> Apply:
        """A tensor of as many dimensions as there are sizes."""
        value = as_tensor_variable(value)
        given = [as_size(s) for s in sizes]
        if value.type.ndim > len(given):
            raise TypeError(
                f"cannot repeat {value} of rank {value.type.ndim} to {len(given)} sizes"
            )
        value = as_tensor_variable(value, ndim=len(given))
        shape = [known_size(s) for s in given]
        for d, (have, want) in enumerate(zip(value.type.shape, shape, strict=True)):
            if have not in (None, 1) and want is not None and have != want:
                raise ValueError(f"dimension {d} of {value} is {have}, not 1 or {want}")
        if any(n is not None and n < 0 for n in shape):
            raise ValueError(f"a size cannot be negative: {shape}")
        return Apply(self, [value, *given], [TensorType(value.type.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's broadcasting."""
        value, sizes = np.asarray(inputs[0]), tuple(int(s) for s in inputs[1:])
        flags = node.inputs[0].type.shape  # type: ignore[attr-defined]
        if any(d != 1 and n != m for d, n, m in zip(flags, value.shape, sizes, strict=True)):
            raise ValueError(f"cannot repeat an array of shape {value.shape} to {sizes}")
        outputs[0][0] = np.array(np.broadcast_to(value, sizes))

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes given."""
        return [tuple(node.inputs[1:])]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """No size is negative; dimensions that are not 1 have the size asked for."""
        value, *sizes = node.inputs
        found: list[Any] = [
            ("size", size, None, "a size") for size in sizes if not isinstance(size, Constant)
        ]
        return found + [
            ("eq", have, want, "alloc")
            for d, have, want in zip(value.type.shape, shapes[0], node.inputs[1:], strict=True)  # type: ignore[attr-defined]
            if d != 1
        ]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """The element, where dimensions of 1 stay at 0."""
        flags = node.inputs[0].type.shape  # type: ignore[attr-defined]
        return inputs[0](  # type: ignore[no-any-return]
            *(build.index(0) if d == 1 else i for d, i in zip(flags, index, strict=True))
        )

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Sizes are not connected."""
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The gradient summed over what was repeated."""
        value, (g,) = inputs[0], gradients
        axes = tuple(
            d
            for d, (a, b) in enumerate(zip(value.type.shape, g.type.shape, strict=True))
            if a == 1 and b != 1
        )
        if axes:
            g = g.sum(axis=axes, keepdims=True)
        return [g] + [disconnected() for _ in inputs[1:]]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The direction repeated."""
        return [None if directions[0] is None else self(directions[0], *inputs[1:])]


_alloc = Alloc()


def alloc(value: Any, *shape: Any) -> Any:
    """``value`` repeated to ``shape``.

    ``shape`` is sizes or one list of them, known or symbolic; the dtype is that of ``value``.
    Sizes that do not fit: ValueError; fewer sizes than ``value`` has dimensions: TypeError.

    >>> import croton.tensor as T
    >>> T.alloc([1, 2], 2, 2).eval()
    array([[1, 2],
           [1, 2]])
    """
    sizes = as_sizes(shape[0]) if len(shape) == 1 else [as_size(s) for s in shape]
    return _alloc(value, *sizes)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """An array of ``shape`` with every element ``fill_value``.

    The dtype is that of ``fill_value`` if none is given.

    >>> import croton.tensor as T
    >>> T.full((2,), 7, "float32").eval()
    array([7., 7.], dtype=float32)
    """
    value = as_tensor_variable(fill_value)
    if dtype is not None:
        value = (
            cast(value, dtype)
            if isinstance(fill_value, Variable)
            else constant(fill_value, dtype=dtype)
        )
    return _alloc(value, *as_sizes(shape))


def zeros(shape: Any, dtype: Any = None) -> Any:
    """An array of zeros; ``dtype`` is ``floatX`` if not given.

    A negative size: ValueError.

    >>> import croton.tensor as T
    >>> n = T.lscalar("n")
    >>> T.zeros((n, 2)).eval({n: 1})
    array([[0., 0.]])
    """
    return full(shape, 0, "floatX" if dtype is None else dtype)


def ones(shape: Any, dtype: Any = None) -> Any:
    """An array of ones; ``dtype`` is ``floatX`` if not given.

    A negative size: ValueError.

    >>> import croton.tensor as T
    >>> T.ones((1, 2), "int8").eval()
    array([[1, 1]], dtype=int8)
    """
    return full(shape, 1, "floatX" if dtype is None else dtype)


def empty(shape: Any, dtype: Any = None) -> Any:
    """An array of ``shape`` for programs that overwrite it: filled with zeros.

    >>> import croton.tensor as T
    >>> T.empty((2,)).eval()
    array([0., 0.])
    """
    return zeros(shape, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """An array of ``x``'s shape with every element ``fill_value``.

    The dtype is that of ``x`` if none is given.

    >>> import croton.tensor as T
    >>> T.full_like([1.0, 2.0], 3).eval()
    array([3., 3.])
    """
    x = as_tensor_variable(x)
    kind = x.type.dtype if dtype is None else dtypes.check(dtype)
    value = (
        cast(fill_value, kind)
        if isinstance(fill_value, Variable)
        else constant(fill_value, dtype=kind)
    )
    return _alloc(value, *shape_tuple(x)) if x.type.ndim else value


def zeros_like(model: Any, dtype: Any = None, opt: bool = False) -> Any:
    """Zeros of ``model``'s shape (and dtype, if none is given).

    >>> import croton.tensor as T
    >>> T.zeros_like([[1, 2]]).eval()
    array([[0, 0]])
    """
    return full_like(model, 0, dtype)


def ones_like(model: Any, dtype: Any = None, opt: bool = False) -> Any:
    """Ones of ``model``'s shape (and dtype, if none is given).

    >>> import croton.tensor as T
    >>> T.ones_like([[1, 2]], "float64").eval()
    array([[1., 1.]])
    """
    return full_like(model, 1, dtype)


def fill(a: Any, b: Any) -> Any:
    """``b`` repeated to the shape of ``a``.

    The dtype is that of ``b``.

    >>> import croton.tensor as T
    >>> T.fill([0, 0, 0], 1.5).eval()
    array([1.5, 1.5, 1.5], dtype=float32)
    """
    a = as_tensor_variable(a)
    return _alloc(as_tensor_variable(b), *shape_tuple(a)) if a.type.ndim else as_tensor_variable(b)


second = fill


class ARange(Op):
    """``start, start + step, ...`` below ``stop``, of ``dtype``."""

    __props__ = ("dtype",)
    loop = "map"

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def make_node(self, start: Any, stop: Any, step: Any) -> Apply:
        """Three scalars."""
        given = [as_tensor_variable(v) for v in (start, stop, step)]
        if any(v.type.ndim for v in given):
            raise TypeError(f"arange takes scalars, got {given}")
        length = self._length(*given)
        return Apply(self, given, [TensorType(self.dtype, (known_size(length),))()])

    @staticmethod
    def _length(start: Any, stop: Any, step: Any) -> Any:
        discrete = all(v.type.dtype in dtypes.DISCRETE for v in (start, stop, step))
        if all(isinstance(v, Constant) for v in (start, stop, step)):
            if step.data == 0:
                raise ValueError("arange with a step of 0")
            if discrete:
                a, b, s = int(start.data), int(stop.data), int(step.data)
                return constant(np.int64(np.maximum(0, -((a - b) // s))))
            span = (float(stop.data) - float(start.data)) / float(step.data)
            return constant(np.int64(np.maximum(0, np.ceil(span))))
        if discrete:
            a, b, s = (cast(v, "int64") for v in (start, stop, step))
            return maximum(-((a - b) // s), np.int64(0))
        return cast(maximum(ceil((stop - start) / step), 0.0), "int64")

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """``start + k * step``, as the compiled code computes it."""
        start, stop, step = (np.asarray(v)[()] for v in inputs)
        if step == 0:
            raise ValueError("arange with a step of 0")
        if all(np.asarray(v).dtype.kind in "iub" for v in inputs):
            count = np.maximum(0, -((int(start) - int(stop)) // int(step)))
        else:
            count = int(np.maximum(0, np.ceil((stop - start) / step)))
        position = np.arange(count).astype(self.dtype)
        outputs[0][0] = (
            np.asarray(start, self.dtype) + position * np.asarray(step, self.dtype)
        ).astype(self.dtype)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The number of steps that fit."""
        return [(self._length(*node.inputs),)]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The step is not 0."""
        step: Any = node.inputs[2]
        if isinstance(step, Constant) or step.type.dtype not in dtypes.DISCRETE:
            return []
        return [("nonzero", cast(step, "int64"), None, "arange step")]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """``start + index * step``."""
        start, step = (build.cast(inputs[k](), self.dtype) for k in (0, 2))
        position = build.cast(index[0], self.dtype)
        return build.op("add", start, build.op("mul", position, step))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """The length does not vary; start and step are left out, as in Theano."""
        return [[True], [False], [True]]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Start moves every element, step moves element k by k."""
        start, _, step = inputs
        (g,) = gradients
        if self.dtype in dtypes.DISCRETE:
            return [
                start.zeros_like(dtype="floatX"),
                disconnected(),
                step.zeros_like(dtype="floatX"),
            ]
        count = arange(shape_tuple(g)[0], dtype=self.dtype)
        return [g.sum(), disconnected(), (g * count).sum()]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Start moves every element, step moves element k by k."""
        moved_start, _, moved_step = directions
        if self.dtype in dtypes.DISCRETE or (moved_start is None and moved_step is None):
            return [None]
        out = self(*inputs)
        count = arange(shape_tuple(out)[0], dtype=self.dtype)
        total = out.zeros_like()
        if moved_start is not None:
            total = total + moved_start
        if moved_step is not None:
            total = total + count * moved_step
        return [cast(total, self.dtype)]


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """Evenly spaced numbers from ``start`` (default 0) until below ``stop``.

    Integers give int64; ``dtype`` overrides.

    >>> arange(3).eval()
    array([0, 1, 2])
    """
    if stop is None:
        start, stop = 0, start
    given = [as_tensor_variable(v) for v in (start, stop, step)]
    if dtype is None:
        common = dtypes.upcast(*(v.type.dtype for v in given))
        kind = "int64" if common in dtypes.DISCRETE else common
        typed = [
            v.type.dtype
            for v, s in zip(given, (start, stop, step), strict=True)
            if isinstance(s, Variable | np.generic)
        ]
        if kind != "int64" and not any(d in dtypes.FLOATS for d in typed):
            # Where only Python's floats make it one, floatX says which.
            kind = dtypes.upcast(*typed, dtypes.check("floatX"))
    else:
        kind = dtypes.check(dtype)
    return ARange(kind)(*given)


def eye(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Any:
    """Ones on diagonal ``k`` of an ``n`` x ``m`` matrix of zeros (``m``: n if not given).

    ``dtype`` is ``floatX`` if not given; ``k`` above 0 is above the main diagonal.

    >>> import croton.tensor as T
    >>> T.eye(2, 3, k=1).eval()
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    rows = arange(as_size(n))
    columns = arange(as_size(n if m is None else m))
    offset = as_tensor_variable(k)
    hit = eq(dimshuffle(rows, [0, "x"]) + cast(offset, "int64"), dimshuffle(columns, ["x", 0]))
    return cast(hit, "floatX" if dtype is None else dtype)


def identity_like(x: Any) -> Any:
    """The identity matrix of ``x``'s shape and dtype.

    >>> import croton.tensor as T
    >>> T.identity_like([[5, 6], [7, 8]]).eval()
    array([[1, 0],
           [0, 1]])
    """
    n, m = shape_tuple(x)
    return eye(n, m, dtype=as_tensor_variable(x).type.dtype)


def tri(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Any:
    """Ones on and below diagonal ``k``.

    The shape is (n, m), ``m`` is n if not given; ``dtype`` is ``floatX`` if not given.

    >>> import croton.tensor as T
    >>> T.tri(2, 3).eval()
    array([[1., 0., 0.],
           [1., 1., 0.]])
    """
    rows = arange(as_size(n))
    columns = arange(as_size(n if m is None else m))
    below = le(dimshuffle(columns, ["x", 0]), dimshuffle(rows, [0, "x"]) + k)
    return cast(below, "floatX" if dtype is None else dtype)


def tril(x: Any, k: Any = 0) -> Any:
    """The part of a matrix on and below diagonal ``k``; the rest 0.

    >>> import croton.tensor as T
    >>> T.tril([[1, 2], [3, 4]]).eval()
    array([[1, 0],
           [3, 4]])
    """
    x = as_tensor_variable(x)
    n, m = shape_tuple(x)
    return tri(n, m, k=k, dtype="bool").where(x, x.zeros_like())


def triu(x: Any, k: Any = 0) -> Any:
    """The part of a matrix on and above diagonal ``k``; the rest 0.

    >>> import croton.tensor as T
    >>> T.triu([[1, 2], [3, 4]]).eval()
    array([[1, 2],
           [0, 4]])
    """
    x = as_tensor_variable(x)
    n, m = shape_tuple(x)
    below = tri(n, m, k=as_tensor_variable(k) - 1, dtype="bool")
    return (~below).where(x, x.zeros_like())
