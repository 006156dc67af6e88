"""Tensor variables: Python's operators and NumPy's methods on expressions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from croton.graph.shared import SharedVariable
from croton.graph.variable import Constant, Variable
from croton.tensor import axes as rearranging
from croton.tensor import creation, elementwise, indexing, joining, product, reduction, shapes
from croton.tensor.type import TensorType


class TensorOperators:
    """What can be done with any tensor variable; every method has a function of the same name."""

    __slots__ = ()
    __array_priority__ = 1000
    type: TensorType

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """The rank."""
        return self.type.ndim

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """For each dimension, whether it is known to be 1."""
        return self.type.broadcastable

    @property
    def shape(self) -> Any:
        """The sizes, a symbolic vector of int64."""
        return shapes.shape(self)

    @property
    def size(self) -> Any:
        """The number of elements."""
        return shapes.product(shapes.shape_tuple(self))

    @property
    def T(self) -> Any:
        """The dimensions reversed."""
        return rearranging.transpose(self)

    # Arithmetic
    def __add__(self, other: Any) -> Any:
        return _binary(elementwise.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _binary(elementwise.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return _binary(elementwise.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _binary(elementwise.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return _binary(elementwise.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _binary(elementwise.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _binary(elementwise.true_div, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _binary(elementwise.true_div, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _binary(elementwise.int_div, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _binary(elementwise.int_div, other, self)

    def __mod__(self, other: Any) -> Any:
        return _binary(elementwise.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _binary(elementwise.mod, other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, other: Any) -> Any:
        return _binary(elementwise.power, self, other)

    def __rpow__(self, other: Any) -> Any:
        return _binary(elementwise.power, other, self)

    def __matmul__(self, other: Any) -> Any:
        return _binary(product.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _binary(product.matmul, other, self)

    def __neg__(self) -> Any:
        return elementwise.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return elementwise.abs_(self)

    # Bits
    def __and__(self, other: Any) -> Any:
        return _binary(elementwise.and_, self, other)

    def __rand__(self, other: Any) -> Any:
        return _binary(elementwise.and_, other, self)

    def __or__(self, other: Any) -> Any:
        return _binary(elementwise.or_, self, other)

    def __ror__(self, other: Any) -> Any:
        return _binary(elementwise.or_, other, self)

    def __xor__(self, other: Any) -> Any:
        return _binary(elementwise.xor, self, other)

    def __rxor__(self, other: Any) -> Any:
        return _binary(elementwise.xor, other, self)

    def __invert__(self) -> Any:
        return elementwise.invert(self)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            f"{self} is an expression and does not change: write "
            "y = T.set_subtensor(x[index], value), or T.inc_subtensor to add"
        )

    # Comparison; == and != stay Python's, so that variables can be kept in dicts.
    def __lt__(self, other: Any) -> Any:
        return _binary(elementwise.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return _binary(elementwise.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return _binary(elementwise.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return _binary(elementwise.ge, self, other)

    def eq(self, other: Any) -> Any:
        """``self == other``, elementwise."""
        return elementwise.eq(self, other)

    def ne(self, other: Any) -> Any:
        """``self != other``, elementwise."""
        return elementwise.ne(self, other)

    neq = ne

    def lt(self, other: Any) -> Any:
        """``self < other``."""
        return elementwise.lt(self, other)

    def le(self, other: Any) -> Any:
        """``self <= other``."""
        return elementwise.le(self, other)

    def gt(self, other: Any) -> Any:
        """``self > other``."""
        return elementwise.gt(self, other)

    def ge(self, other: Any) -> Any:
        """``self >= other``."""
        return elementwise.ge(self, other)

    def where(self, a: Any, b: Any) -> Any:
        """``a`` where this condition holds, else ``b``."""
        return elementwise.switch(self, a, b)

    def __bool__(self) -> bool:
        raise TypeError(
            f"the symbolic variable {self} has no truth value: it is not computed yet; "
            "use T.switch(condition, a, b), or T.all and T.any"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"the symbolic variable {self} is not an array: it is not computed yet; use the "
            "function of croton.tensor, or .eval() for its value"
        )

    # Elements
    def __getitem__(self, key: Any) -> Any:
        return indexing.index(self, key)

    def __iter__(self) -> Iterator[Any]:
        if self.type.ndim == 0:
            raise TypeError("cannot iterate over a scalar")
        length = self.type.shape[0]
        if length is None:
            raise TypeError(
                f"cannot iterate over {self}: its length is not known when building; "
                "use croton.scan, or give the length with specify_shape"
            )
        return (self[k] for k in range(length))

    def __len__(self) -> int:
        if self.type.ndim == 0 or self.type.shape[0] is None:
            raise TypeError(
                f"the length of {self} is not known when building; use .shape[0] in expressions"
            )
        return self.type.shape[0]

    def take(self, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
        """The elements at ``indices``."""
        return indexing.take(self, indices, axis, mode)

    # Shape
    def reshape(self, *newshape: Any, ndim: int | None = None) -> Any:
        """The same elements under another shape: ``x.reshape((2, -1))`` or ``x.reshape(2, -1)``."""
        if len(newshape) == 1:
            return shapes.reshape(self, newshape[0], ndim)
        if len(newshape) == 2 and isinstance(newshape[0], list | tuple):
            return shapes.reshape(self, newshape[0], newshape[1])
        return shapes.reshape(self, newshape, ndim)

    def dimshuffle(self, *pattern: Any) -> Any:
        """Dimensions rearranged: ``x.dimshuffle(1, 'x', 0)``."""
        if len(pattern) == 1 and isinstance(pattern[0], list | tuple):
            pattern = tuple(pattern[0])
        return shapes.dimshuffle(self, pattern)

    def transpose(self, *axes: Any) -> Any:
        """Dimensions in another order (default: reversed)."""
        if not axes or axes == (None,):
            return rearranging.transpose(self)
        if len(axes) == 1 and isinstance(axes[0], list | tuple):
            axes = tuple(axes[0])
        return rearranging.transpose(self, axes)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Two dimensions exchanged."""
        return rearranging.swapaxes(self, axis1, axis2)

    def flatten(self, ndim: int = 1) -> Any:
        """The last dimensions joined so that ``ndim`` remain."""
        return shapes.flatten(self, ndim)

    def ravel(self) -> Any:
        """All dimensions joined."""
        return shapes.flatten(self)

    def squeeze(self, axis: Any = None) -> Any:
        """Without dimensions known to be 1."""
        return rearranging.squeeze(self, axis)

    def specify_shape(self, sizes: Any) -> Any:
        """The same value, promised to have these sizes."""
        return shapes.specify_shape(self, sizes)

    def broadcast_to(self, sizes: Any) -> Any:
        """Repeated to ``sizes``, where a dimension known to be 1 repeats."""
        return creation.alloc(self, *shapes.as_sizes(list(sizes)))

    def repeat(self, repeats: Any, axis: int | None = None) -> Any:
        """Each element several times."""
        return joining.repeat(self, repeats, axis)

    def stack_with(self, parts: Any) -> Any:
        """The elements of a (nested) list, one of which holds this variable, as one tensor."""
        given = [self.stack_with(p) if _is_nested(p) else p for p in parts]
        return joining.stack(list(given))

    # Conversion
    def astype(self, dtype: Any) -> Any:
        """Converted to ``dtype``."""
        return elementwise.cast(self, dtype)

    def copy(self, name: str | None = None) -> Any:
        """A variable of the same value."""
        result = elementwise.FUNCTIONS["identity"].op(self)  # type: ignore[attr-defined]
        result.name = name
        return result

    def zeros_like(self, dtype: Any = None) -> Any:
        """Zeros of the same shape."""
        return creation.zeros_like(self, dtype)

    def ones_like(self, dtype: Any = None) -> Any:
        """Ones of the same shape."""
        return creation.ones_like(self, dtype)

    def fill(self, value: Any) -> Any:
        """``value`` repeated to this shape."""
        return creation.fill(self, value)

    # Reductions
    def sum(
        self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None
    ) -> Any:
        """The sum over ``axis``."""
        return reduction.sum(self, axis, dtype, keepdims, acc_dtype)

    def prod(
        self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None
    ) -> Any:
        """The product over ``axis``."""
        return reduction.prod(self, axis, dtype, keepdims, acc_dtype)

    def mean(
        self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None
    ) -> Any:
        """The mean over ``axis``."""
        return reduction.mean(self, axis, dtype, keepdims, acc_dtype)

    def var(
        self, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False
    ) -> Any:
        """The variance over ``axis``."""
        return reduction.var(self, axis, ddof, keepdims, corrected)

    def std(
        self, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False
    ) -> Any:
        """The standard deviation over ``axis``."""
        return reduction.std(self, axis, ddof, keepdims, corrected)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The largest element over ``axis``."""
        return reduction.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The smallest element over ``axis``."""
        return reduction.min(self, axis, keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The position of the largest element over ``axis``."""
        return reduction.argmax(self, axis, keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The position of the smallest element over ``axis``."""
        return reduction.argmin(self, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether all elements over ``axis`` are true."""
        return reduction.all(self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether some element over ``axis`` is true."""
        return reduction.any(self, axis, keepdims)

    def ptp(self, axis: Any = None) -> Any:
        """The largest minus the smallest element."""
        return reduction.ptp(self, axis)

    def norm(self, L: Any = 2, axis: Any = None, keepdims: bool = False) -> Any:
        """The ``L``-norm over ``axis``."""
        return reduction.norm(self, L, axis)

    # Products
    def dot(self, other: Any) -> Any:
        """NumPy's dot."""
        return product.dot(self, other)

    # Elementwise functions
    def clip(self, low: Any, high: Any) -> Any:
        """Kept between ``low`` and ``high``."""
        return elementwise.clip(self, low, high)

    def round(self, mode: str = "half_to_even") -> Any:
        """The nearest integer."""
        return elementwise.round(self, mode)

    def sqr(self) -> Any:
        """The square."""
        return elementwise.sqr(self)


def _is_nested(p: Any) -> bool:
    return isinstance(p, list | tuple) and any(isinstance(e, TensorOperators) for e in p)


def _binary(function: Any, a: Any, b: Any) -> Any:
    # Let Python try the other operand for types that are no numbers.
    for v in (a, b):
        if not isinstance(v, Variable | int | float | np.ndarray | np.generic | list | tuple):
            return NotImplemented
    return function(a, b)


def _method(name: str) -> Any:
    function = getattr(elementwise, name)

    def method(self: Any) -> Any:
        return function(self)

    method.__name__ = name
    method.__doc__ = function.__doc__
    return method


for _name in (
    "exp exp2 expm1 log log2 log10 log1p sqrt sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh floor ceil trunc sgn deg2rad rad2deg sigmoid softplus isnan isinf"
).split():
    setattr(TensorOperators, _name, _method(_name))
TensorOperators.abs = TensorOperators.__abs__  # type: ignore[attr-defined]


class TensorVariable(TensorOperators, Variable):
    """A symbolic tensor."""

    __slots__ = ()
    type: TensorType


class TensorConstant(TensorOperators, Constant):
    """A tensor whose value is known."""

    __slots__ = ()
    type: TensorType

    def signature(self) -> Any:
        """Type and bits; of many bits their SHA-256."""
        if self._signature is None:
            self._signature = (self.type, *bits(self.data))
        return self._signature


def bits(array: NDArray[Any]) -> tuple[int, bytes]:
    """What tells arrays of one type apart: how many bytes, and these, or the SHA-256 of many."""
    if array.nbytes <= _FEW_BYTES:
        return array.nbytes, array.tobytes()
    return array.nbytes, hashlib.sha256(np.ascontiguousarray(array).data).digest()


_FEW_BYTES = 1 << 10


class TensorSharedVariable(TensorOperators, SharedVariable):
    """A tensor whose value lives between calls."""

    __slots__ = ()
    type: TensorType

    def zero(self, borrow: bool = False) -> None:
        """Set every element to 0."""
        self.set_value(np.zeros(self.container.shape, self.type.dtype))


TensorType.variable_class = TensorVariable
TensorType.constant_class = TensorConstant
