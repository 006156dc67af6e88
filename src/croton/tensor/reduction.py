"""Reductions: sum, prod, max, min, all, any, and what is built on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected
from croton.graph.op import Op
from croton.graph.variable import Constant
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import arange
from croton.tensor.elementwise import (
    abs_,
    cast,
    eq,
    isnan,
    maximum,
    or_,
    sqr,
    sqrt,
    sub,
    switch,
    true_div,
)
from croton.tensor.elementwise import eq as equal
from croton.tensor.shapes import dimshuffle, product, shape_tuple
from croton.tensor.type import TensorType

#: name -> (NumPy function, kernel operation)
KINDS: dict[str, tuple[Any, str]] = {
    "sum": (np.add.reduce, "add"),
    "prod": (np.multiply.reduce, "mul"),
    "max": (np.maximum.reduce, "maximum"),
    "min": (np.minimum.reduce, "minimum"),
    # The maximum of floats that is -infinity for no elements.
    "supremum": (np.maximum.reduce, "maximum"),
    "all": (np.logical_and.reduce, "and"),
    "any": (np.logical_or.reduce, "or"),
}


def normalise_axis(axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis argument (None, int, or several) as sorted non-negative ints.

    Raises ValueError for an axis out of range or given twice, TypeError for
    what is no axis.
    """
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, Constant):
        axis = axis.data.tolist()
    given = axis if isinstance(axis, list | tuple) else (axis,)
    result = []
    for a in given:
        if isinstance(a, np.ndarray) and a.ndim == 0:
            a = a.item()
        if isinstance(a, bool) or not isinstance(a, int | np.integer):
            raise TypeError(f"an axis is an int, a tuple of ints or None, got {axis!r}")
        if not -ndim <= a < ndim:
            raise ValueError(f"axis {a} is out of range for rank {ndim}")
        result.append(int(a) % ndim)
    if len(set(result)) != len(result):
        raise ValueError(f"an axis is given twice: {axis}")
    return tuple(sorted(result))


class Reduce(Op):
    """Combine the elements along ``axis`` with the function ``kind`` (see ``KINDS``)."""

    __props__ = ("kind", "axis", "dtype")
    loop = "reduce"

    def __init__(self, kind: str, axis: tuple[int, ...], dtype: str) -> None:
        self.kind = kind
        self.axis = axis
        self.dtype = dtype

    @property
    def combine(self) -> str:
        """The kernel operation that combines two elements."""
        return KINDS[self.kind][1]

    def make_node(self, x: Any) -> Apply:
        """The input without the dimensions of ``axis``."""
        x = as_tensor_variable(x)
        shape = [d for k, d in enumerate(x.type.shape) if k not in self.axis]
        return Apply(self, [x], [TensorType(self.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's reduction."""
        function = KINDS[self.kind][0]
        x = np.asarray(inputs[0])
        with np.errstate(all="ignore"):
            if self.kind in ("sum", "prod"):
                wide = "float32" if self.dtype == "float16" else self.dtype
                result = function(x, axis=self.axis, dtype=wide)
            elif self.kind in ("all", "any"):
                result = function(x, axis=self.axis)
            elif self.kind == "supremum":
                result = function(x, axis=self.axis, initial=-np.inf)
            elif 0 in [x.shape[a] for a in self.axis]:
                raise ValueError(f"{self.kind} over no elements: shape {x.shape}, axes {self.axis}")
            else:
                result = function(x, axis=self.axis)
        outputs[0][0] = np.asarray(result, self.dtype)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes that remain."""
        return [tuple(s for k, s in enumerate(shapes[0]) if k not in self.axis)]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """There is a largest of no elements in no case."""
        if self.kind not in ("max", "min"):
            return []
        return [("positive", shapes[0][a], None, f"{self.kind} over axis {a}") for a in self.axis]

    def identity(self) -> Any:
        """The element that changes nothing, in the input's dtype."""
        if self.kind in ("sum", "any"):
            return 0 if self.kind == "sum" else False
        return 1 if self.kind == "prod" else True

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """The element to combine, at ``index`` of the input."""
        element = inputs[0](*index)
        if self.kind in ("all", "any"):
            if element.dtype != "bool":
                element = build.op("ne", element, build.const(0, element.dtype))
            return element  # type: ignore[no-any-return]
        if self.dtype == "float16":
            return build.cast(element, "float32")
        return build.cast(element, self.dtype)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The gradient spread over the axes, weighted as the kind asks."""
        (x,), (out,), (g,) = inputs, outputs, gradients
        if x.dtype not in dtypes.FLOATS:
            return [x.zeros_like(dtype="floatX")]
        spread = _keep(g, self.axis, x.ndim)
        if self.kind == "sum":
            return [(spread + x.zeros_like()).astype(x.dtype)]
        if self.kind in ("max", "min", "supremum"):
            hit = eq(x, _keep(out, self.axis, x.ndim))
            return [switch(hit, spread, spread.zeros_like()).astype(x.dtype)]
        if self.kind == "prod":
            return [self._prod_gradient(x, spread).astype(x.dtype)]
        return [x.zeros_like()]

    def _prod_gradient(self, x: Any, spread: Any) -> Any:
        # The product of the others: by division where nothing is zero; where one
        # element is zero only that one has a gradient; with two zeros none has.
        zero = equal(x, 0)
        count = sum(zero, axis=self.axis, keepdims=True)
        filled = switch(zero, cast(1, x.dtype), x)
        others = prod(filled, axis=self.axis, keepdims=True, dtype=x.dtype)
        plain = true_div(others, filled)
        none = x.zeros_like()
        with_one = switch(zero, plain, none)
        return spread * switch(equal(count, 0), plain, switch(equal(count, 1), with_one, none))

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The reduction's directional derivative."""
        (x,), (d,) = inputs, directions
        if d is None:
            return [None]
        if self.kind == "sum":
            return [Reduce("sum", self.axis, self.dtype)(d)]
        (weight,) = self.L_op([x], [self(x)], [self(x).ones_like()])
        return [sum(weight * d, axis=self.axis)]

    def __str__(self) -> str:
        name = self.kind.capitalize()
        return f"{name}{{axis={list(self.axis)}}}"


def _keep(x: Any, axes: tuple[int, ...], ndim: int) -> Any:
    rest = iter(range(x.type.ndim))
    return dimshuffle(x, ["x" if k in axes else next(rest) for k in range(ndim)])


def _reduce(kind: str, x: Any, axis: Any, keepdims: bool, dtype: str | None = None) -> Any:
    x = as_tensor_variable(x)
    axes = normalise_axis(axis, x.type.ndim)
    out = Reduce(kind, axes, x.type.dtype if dtype is None else dtype)(x)
    return _keep(out, axes, x.type.ndim) if keepdims else out


def _sum_dtype(x: Any, dtype: Any) -> str:
    if dtype is not None:
        return dtypes.check(dtype)
    have: str = x.type.dtype
    if have in ("bool", *dtypes.SIGNED):
        return "int64"
    return "uint64" if have in dtypes.UNSIGNED else have


def sum(
    input: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None
) -> Any:
    """The sum over ``axis`` (None: all; an int; several).

    Integers and bools are summed in 64 bits, unless ``dtype`` says otherwise.

    >>> import croton.tensor as T
    >>> T.sum(T.ones((2, 3)), axis=0).eval()
    array([2., 2., 2.])
    """
    x = as_tensor_variable(input)
    wanted = _sum_dtype(x, dtype)
    if acc_dtype is not None and dtypes.check(acc_dtype) != wanted:
        return cast(_reduce("sum", x, axis, keepdims, dtypes.check(acc_dtype)), wanted)
    return _reduce("sum", x, axis, keepdims, wanted)


def prod(
    input: Any,
    axis: Any = None,
    dtype: Any = None,
    keepdims: bool = False,
    acc_dtype: Any = None,
    no_zeros_in_input: bool = False,
) -> Any:
    """The product over ``axis``.

    Integers and bools are multiplied in 64 bits, unless ``dtype`` says otherwise; of no
    elements: 1.

    >>> import croton.tensor as T
    >>> T.prod([[1, 2], [3, 4]], axis=1).eval()
    array([ 2, 12])
    """
    x = as_tensor_variable(input)
    wanted = _sum_dtype(x, dtype)
    if acc_dtype is not None and dtypes.check(acc_dtype) != wanted:
        return cast(_reduce("prod", x, axis, keepdims, dtypes.check(acc_dtype)), wanted)
    return _reduce("prod", x, axis, keepdims, wanted)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest element over ``axis``; NaN if one is NaN; of no elements: ValueError.

    The dtype stays; an axis out of range or given twice: ValueError.

    >>> import croton.tensor as T
    >>> m = T.constant([[1.0, 5.0, 3.0], [4.0, 2.0, 6.0]])
    >>> m.max(axis=1).eval()
    array([5., 6.])
    >>> m.max(axis=1, keepdims=True).eval()
    array([[5.],
           [6.]])
    """
    return _reduce("max", x, axis, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element over ``axis``; NaN if one is NaN; of no elements: ValueError.

    The dtype stays; an axis out of range or given twice: ValueError.

    >>> import croton.tensor as T
    >>> T.min([[1, 5], [4, 2]], axis=0).eval()
    array([1, 2])
    """
    return _reduce("min", x, axis, keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether every element over ``axis`` is true (not 0).

    The result is a bool; of no elements: True.

    >>> import croton.tensor as T
    >>> T.all([[1, 2], [3, 0]], axis=1).eval()
    array([ True, False])
    """
    return _reduce("all", x, axis, keepdims, "bool")


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some element over ``axis`` is true (not 0).

    The result is a bool; of no elements: False.

    >>> import croton.tensor as T
    >>> T.any([[1, 2], [0, 0]], axis=1).eval()
    array([ True, False])
    """
    return _reduce("any", x, axis, keepdims, "bool")


amax, amin = max, min


def supremum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest float over ``axis``; of no elements: -infinity."""
    return _reduce("supremum", x, axis, keepdims)


def _count(x: Any, axes: tuple[int, ...], dtype: str) -> Any:
    sizes = shape_tuple(x)
    return cast(product([sizes[a] for a in axes]), dtype)


def mean(
    input: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None
) -> Any:
    """The arithmetic mean over ``axis``; of integers in float64; of no elements NaN.

    Floats keep their dtype, unless ``dtype`` says otherwise; float16 is summed in float32.

    >>> import croton.tensor as T
    >>> T.mean([[1, 2], [3, 5]], axis=0).eval()
    array([2. , 3.5])
    """
    x = as_tensor_variable(input)
    axes = normalise_axis(axis, x.type.ndim)
    if dtype is not None:
        kind = dtypes.check(dtype)
    else:
        kind = "float64" if x.type.dtype in dtypes.DISCRETE else x.type.dtype
    wide = dtypes.check(acc_dtype) if acc_dtype is not None else kind
    # float16 cannot count beyond 65504: such a mean is taken in float32.
    if wide == "float16":
        wide = "float32"
    total = sum(x, axis=axes, dtype=wide, keepdims=keepdims)
    return cast(true_div(total, _count(x, axes, wide)), kind)


def var(
    input: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False
) -> Any:
    """The variance over ``axis``: the mean of squared deviations, divided by ``n - ddof``.

    Floats keep their dtype, integers give float64.

    >>> import croton.tensor as T
    >>> T.var([[1, 3], [2, 2]], axis=1).eval()
    array([1., 0.])
    >>> T.var([1, 3], ddof=1).eval()
    array(2.)
    """
    x = as_tensor_variable(input)
    if x.type.dtype in dtypes.DISCRETE:
        x = cast(x, "float64")
    axes = normalise_axis(axis, x.type.ndim)
    deviation = sub(x, mean(x, axes, keepdims=True))
    total = sum(sqr(deviation), axis=axes, keepdims=keepdims)
    count = _count(x, axes, x.type.dtype)
    if ddof:
        count = count - np.asarray(ddof, x.type.dtype)
    result = true_div(total, count)
    if corrected:
        result = result - sqr(true_div(sum(deviation, axis=axes, keepdims=keepdims), count))
    return result


def std(
    input: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False
) -> Any:
    """The standard deviation over ``axis``.

    The square root of :func:`var`, with the same dtypes.

    >>> import croton.tensor as T
    >>> T.std([[1, 3], [2, 2]], axis=1).eval()
    array([1., 0.])
    """
    return sqrt(var(input, axis, ddof, keepdims, corrected))


def ptp(x: Any, axis: Any = None) -> Any:
    """The largest minus the smallest element over ``axis``.

    >>> import croton.tensor as T
    >>> T.ptp([[1, 5], [4, 2]], axis=0).eval()
    array([3, 3])
    """
    return max(x, axis) - min(x, axis)


def norm(x: Any, ord: Any = 2, axis: Any = None) -> Any:
    """The ``ord``-norm of the elements over ``axis`` (0, a number, ``inf`` or ``-inf``).

    ``ord`` 2 (or None) is the Euclidean norm; a matrix counts as the vector of its elements.

    >>> import croton.tensor as T
    >>> T.norm([3.0, -4.0]).eval()
    array(5.)
    >>> T.norm([3.0, -4.0], 1).eval()
    array(7.)
    """
    x = as_tensor_variable(x)
    if ord in (None, 2):
        return sqrt(sum(sqr(x), axis=axis))
    if ord == float("inf"):
        return max(abs_(x), axis)
    if ord == -float("inf"):
        return min(abs_(x), axis)
    if ord == 0:
        return cast(sum(x.ne(0), axis), x.type.dtype)
    if ord == 1:
        return sum(abs_(x), axis)
    return sum(abs_(x) ** ord, axis) ** (1.0 / ord)


class Argmax(Op):
    """The first position of the largest (``largest``) or smallest element over ``axis``.

    The position counts in row-major order over the axes; NaN counts as the extreme.
    """

    __props__ = ("axis", "largest")

    def __init__(self, axis: tuple[int, ...], largest: bool = True) -> None:
        self.axis = axis
        self.largest = largest

    def make_node(self, x: Any) -> Apply:
        """Positions as int64."""
        x = as_tensor_variable(x)
        shape = [d for k, d in enumerate(x.type.shape) if k not in self.axis]
        return Apply(self, [x], [TensorType("int64", shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's argmax on the axes joined."""
        x = np.asarray(inputs[0])
        rest = [k for k in range(x.ndim) if k not in self.axis]
        count = int(np.prod([x.shape[a] for a in self.axis]))
        if count == 0:
            raise ValueError(f"argmax over no elements: shape {x.shape}, axes {self.axis}")
        joined = x.transpose([*rest, *self.axis]).reshape([*(x.shape[k] for k in rest), count])
        find = np.argmax if self.largest else np.argmin
        outputs[0][0] = np.asarray(find(joined, axis=-1), np.int64)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes that remain."""
        return [tuple(s for k, s in enumerate(shapes[0]) if k not in self.axis)]

    def expand(self, node: Apply) -> list[Any]:
        """The smallest position where the extreme is."""
        x = as_tensor_variable(node.inputs[0])
        extreme = _reduce("max" if self.largest else "min", x, self.axis, True)
        hit = eq(x, extreme)
        if x.type.dtype in dtypes.FLOATS:
            hit = or_(hit, isnan(x))
        sizes = shape_tuple(x)
        position = None
        for k, a in enumerate(self.axis):
            along = arange(sizes[a])
            along = dimshuffle(along, ["x" if d != a else 0 for d in range(x.type.ndim)])
            stride = product([sizes[b] for b in self.axis[k + 1 :]])
            term = along * stride
            position = term if position is None else position + term
        if position is None:
            return [cast(x.zeros_like(), "int64")]
        total = product([sizes[a] for a in self.axis])
        return [_reduce("min", switch(hit, position, total), self.axis, False)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Positions do not vary with the values."""
        return [[False]]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """No gradient."""
        return [disconnected()]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Nothing changes."""
        return [None]


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The first position of the largest element over ``axis`` (None: in the flattened array).

    Positions are int64; NaN counts as the largest; of no elements: ValueError.

    >>> import croton.tensor as T
    >>> T.argmax([[1, 5, 5], [4, 2, 0]], axis=1).eval()
    array([1, 0])
    >>> T.argmax([[1, 5], [4, 2]]).eval()
    array(1)
    """
    x = as_tensor_variable(x)
    axes = normalise_axis(axis, x.type.ndim)
    out = Argmax(axes)(x)
    return _keep(out, axes, x.type.ndim) if keepdims else out


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The first position of the smallest element over ``axis``.

    Positions are int64; NaN counts as the smallest; of no elements: ValueError.

    >>> import croton.tensor as T
    >>> T.argmin([[1, 5, 5], [4, 2, 0]], axis=1).eval()
    array([0, 2])
    """
    x = as_tensor_variable(x)
    axes = normalise_axis(axis, x.type.ndim)
    out = Argmax(axes, largest=False)(x)
    return _keep(out, axes, x.type.ndim) if keepdims else out


def max_and_argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Both the largest element and its position.

    >>> import croton.tensor as T
    >>> largest, position = T.max_and_argmax([[1, 5], [4, 2]], axis=1)
    >>> largest.eval(), position.eval()
    (array([5, 4]), array([1, 0]))
    """
    return [max(x, axis, keepdims), argmax(x, axis, keepdims)]


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` without overflow.

    Floats keep their dtype; of no elements: -infinity.

    >>> import croton.tensor as T
    >>> T.logsumexp([1000.0, -float("inf")]).eval()
    array(1000.)
    """
    x = as_tensor_variable(x)
    axes = normalise_axis(axis, x.type.ndim)
    if x.type.dtype in dtypes.DISCRETE:
        x = cast(x, dtypes.to_float(x.type.dtype))
    top = supremum(x, axes, keepdims=True)
    top = switch(eq(abs_(top), np.float32("inf")), maximum(top, top).zeros_like(), top)
    total = sum((x - top).exp(), axis=axes, keepdims=True).log() + top
    return total if keepdims else dimshuffle(total, [k for k in range(x.ndim) if k not in axes])
