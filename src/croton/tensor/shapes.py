"""Sizes, and ops that only rearrange: reshape, dimshuffle, specify_shape."""

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
from croton.tensor.type import TensorType

_INT = TensorType("int64", ())


class Shape_i(Op):
    """The size of dimension ``i``."""

    __props__ = ("i",)

    def __init__(self, i: int) -> None:
        self.i = i

    def make_node(self, x: Any) -> Apply:
        """An int64 scalar."""
        x = as_tensor_variable(x)
        if not 0 <= self.i < x.type.ndim:
            raise IndexError(f"dimension {self.i} of {x}, which has rank {x.type.ndim}")
        return Apply(self, [x], [_INT()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """The size as a 0-d array."""
        outputs[0][0] = np.array(np.shape(inputs[0])[self.i], np.int64)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """A scalar."""
        return [()]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """A size does not depend on the values."""
        return [[False]]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """No gradient flows into the values."""
        return [disconnected()]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Nothing changes."""
        return [None]

    def __str__(self) -> str:
        return f"Shape_i{{{self.i}}}"


class MakeVector(Op):
    """A vector of the given scalars."""

    __props__ = ("dtype",)
    loop = "map"

    def __init__(self, dtype: str = "int64") -> None:
        self.dtype = dtypes.check(dtype)

    def make_node(self, *elements: Any) -> Apply:
        """Scalars whose dtypes fit into ``dtype``."""
        given = [as_tensor_variable(e) for e in elements]
        for v in given:
            if v.type.ndim != 0:
                raise TypeError(f"expected a scalar, got {v} of type {v.type}")
        given = [v if v.type.dtype == self.dtype else v.astype(self.dtype) for v in given]
        return Apply(self, given, [TensorType(self.dtype, (len(given),))()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Stack."""
        outputs[0][0] = np.array([np.asarray(v)[()] for v in inputs], self.dtype)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The number of elements."""
        return [(constant(np.int64(len(node.inputs))),)]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """A chain of choices by the index."""
        if not inputs:
            return build.const(0, self.dtype)
        result: Expr = inputs[-1]()
        for k in range(len(inputs) - 2, -1, -1):
            here = build.op("eq", index[0], build.index(k))
            result = build.select(here, inputs[k](), result)
        return result

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The elements of the gradient."""
        if self.dtype not in dtypes.FLOATS:
            return [v.zeros_like(dtype="floatX") for v in inputs]
        return [gradients[0][k] for k in range(len(inputs))]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The vector of the directions."""
        parts = [
            v.zeros_like() if d is None else d for v, d in zip(inputs, directions, strict=True)
        ]
        return [self(*parts)]


make_vector = MakeVector()


def shape_i(x: Any, i: int) -> Any:
    """The size of dimension ``i``: a constant where it is known."""
    x = as_tensor_variable(x)
    known = x.type.shape[i]
    if known is not None:
        return constant(np.int64(known))
    return Shape_i(i % x.type.ndim)(x)


def shape_tuple(x: Any) -> tuple[Any, ...]:
    """The sizes as a tuple of int64 scalars."""
    x = as_tensor_variable(x)
    return tuple(shape_i(x, i) for i in range(x.type.ndim))


def sizes_of(x: Any) -> list[Any]:
    """The sizes of ``x``: numbers where its type knows them, else int64 scalars."""
    return [shape_i(x, d) if n is None else n for d, n in enumerate(x.type.shape)]


def shape(x: Any) -> Any:
    """The sizes as a vector of int64.

    >>> import croton.tensor as T
    >>> T.shape([[1, 2, 3]]).eval()
    array([1, 3])
    """
    return make_vector(*shape_tuple(x))


def as_sizes(given: Any) -> list[Any]:
    """A shape argument (number, tuple, vector) as a list of int64 scalar variables.

    Raises TypeError for sizes that are not integers, and for a vector whose
    length is not known.
    """
    if isinstance(given, Variable):
        given = as_tensor_variable(given)
        if given.type.ndim == 1:
            length = given.type.shape[0]
            if length is None:
                raise TypeError(
                    f"the shape {given} is a vector of unknown length, so the rank would be "
                    "unknown; pass a tuple, or give the length (ndim)"
                )
            entries = [given[k] for k in range(length)]
        else:
            entries = [given]
    elif isinstance(given, list | tuple):
        entries = list(given)
    else:
        data = np.asarray(given)
        entries = list(data) if data.ndim == 1 else [given]
    return [as_size(e) for e in entries]


def as_size(entry: Any) -> Any:
    """One size as an int64 scalar variable."""
    v = as_tensor_variable(entry)
    if v.type.ndim != 0 or v.type.dtype not in dtypes.INTEGERS:
        raise TypeError(f"a size is an integer scalar, got {entry!r} of type {v.type}")
    if isinstance(v, Constant):
        return constant(np.int64(v.data))
    return v if v.type.dtype == "int64" else v.astype("int64")


def known_size(v: Any) -> int | None:
    """The size as an int if it is a constant, else None."""
    return int(v.data) if isinstance(v, Constant) else None


class DimShuffle(Op):
    """Reorder dimensions: ``new_order`` holds input dimensions and ``'x'`` for a new one of size 1.

    An input dimension that is left out must be known to be 1.
    """

    __props__ = ("new_order",)
    loop = "map"
    view_map = {0: [0]}  # noqa: RUF012 (Theano's protocol)

    def __init__(self, new_order: Sequence[int | str]) -> None:
        self.new_order = tuple(new_order)
        taken = [d for d in self.new_order if d != "x"]
        if len(set(taken)) != len(taken):
            raise ValueError(f"a dimension may appear only once in a pattern, got {new_order}")
        self.repeats_elements = taken == sorted(taken)

    def make_node(self, x: Any) -> Apply:
        """The input with its dimensions rearranged."""
        x = as_tensor_variable(x)
        sizes = x.type.shape
        shape: list[int | None] = []
        for d in self.new_order:
            if d == "x":
                shape.append(1)
            elif isinstance(d, int) and 0 <= d < len(sizes):
                shape.append(sizes[d])
            else:
                raise ValueError(
                    f"dimshuffle{self.new_order} of {x}, which has rank {len(sizes)}: "
                    f"there is no dimension {d!r}"
                )
        for d, n in enumerate(sizes):
            if d not in self.new_order and n != 1:
                raise ValueError(
                    f"dimshuffle{self.new_order} of {x} of shape {x.type.shape_text()}: "
                    f"dimension {d} is left out, but not known to be 1"
                )
        return Apply(self, [x], [TensorType(x.type.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Transpose and reshape."""
        (x,) = inputs
        x = np.asarray(x)
        kept = [d for d in self.new_order if d != "x"]
        dropped = [d for d in range(x.ndim) if d not in kept]
        if any(x.shape[d] != 1 for d in dropped):
            raise ValueError(f"cannot drop a dimension that is not 1: shape {x.shape}, {self}")
        moved = x.transpose([*kept, *dropped])  # type: ignore[list-item]
        sizes = iter(moved.shape)
        outputs[0][0] = moved.reshape(tuple(1 if d == "x" else next(sizes) for d in self.new_order))

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The same sizes, rearranged."""
        one = constant(np.int64(1))
        return [tuple(one if d == "x" else shapes[0][d] for d in self.new_order)]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """The element at the index rearranged."""
        place = {d: index[k] for k, d in enumerate(self.new_order) if d != "x"}
        ndim = node.inputs[0].type.ndim  # type: ignore[attr-defined]
        return inputs[0](*(place.get(d, build.index(0)) for d in range(ndim)))  # type: ignore[no-any-return]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Rearrange back."""
        (x,), (g,) = inputs, gradients
        back: list[int | str] = ["x"] * x.type.ndim
        new_axes = []
        for k, d in enumerate(self.new_order):
            if d == "x":
                new_axes.append(k)
            else:
                back[d] = k  # type: ignore[index]
        if any(g.type.shape[k] != 1 for k in new_axes):
            g = g.sum(axis=tuple(new_axes), keepdims=True)
        return [g.dimshuffle(*back)]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Rearrange the direction."""
        return [None if directions[0] is None else self(directions[0])]

    def __str__(self) -> str:
        return "DimShuffle{" + ",".join(map(str, self.new_order)) + "}"


def dimshuffle(x: Any, pattern: Sequence[int | str]) -> Any:
    """``x`` with dimensions rearranged; itself if nothing changes.

    >>> import croton.tensor as T
    >>> T.matrix("m").dimshuffle(1, "x", 0).type
    TensorType(float64, (?, 1, ?))
    """
    x = as_tensor_variable(x)
    ndim = x.type.ndim
    order: list[int | str] = []
    for d in pattern:
        if d == "x":
            order.append(d)
        elif isinstance(d, int | np.integer) and -ndim <= d < ndim:
            order.append(int(d) % ndim)
        else:
            raise ValueError(f"dimshuffle of {x} of rank {ndim}: there is no dimension {d!r}")
    if order == list(range(ndim)):
        return x
    if isinstance(x, Constant):
        storage: list[Any] = [None]
        op = DimShuffle(order)
        op.perform(op.make_node(x), [x.data], [storage])
        return constant(storage[0])
    owner = x.owner
    if owner is not None and isinstance(owner.op, DimShuffle):
        order = [d if d == "x" else owner.op.new_order[d] for d in order]  # type: ignore[index]
        return dimshuffle(owner.inputs[0], order)
    return DimShuffle(order)(x)


class Reshape(Op):
    """The same elements in row-major order under another shape of rank ``ndim``."""

    __props__ = ("ndim",)
    loop = "reshape"
    view_map = {0: [0]}  # noqa: RUF012 (Theano's protocol)

    def __init__(self, ndim: int) -> None:
        self.ndim = ndim

    def make_node(self, x: Any, *sizes: Any) -> Apply:
        """``sizes`` are the new dimensions."""
        x = as_tensor_variable(x)
        given = [as_size(s) for s in sizes]
        if len(given) != self.ndim:
            raise ValueError(f"expected {self.ndim} sizes, got {len(given)}")
        shape = [known_size(s) for s in given]
        known = None not in x.type.shape and None not in shape
        if known and int(np.prod(x.type.shape)) != int(np.prod(shape)):  # type: ignore[arg-type]
            raise ValueError(f"cannot reshape {x} of shape {x.type.shape_text()} to {tuple(shape)}")
        return Apply(self, [x, *given], [TensorType(x.type.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's reshape."""
        sizes = tuple(int(s) for s in inputs[1:])
        if int(np.prod(sizes)) != np.size(inputs[0]):
            raise ValueError(f"cannot reshape an array of shape {np.shape(inputs[0])} to {sizes}")
        outputs[0][0] = np.reshape(inputs[0], sizes)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes given."""
        return [tuple(node.inputs[1:])]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Both shapes hold as many elements."""
        return [("eq", product(shapes[0]), product(node.inputs[1:]), "reshape")]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Sizes are not connected."""
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Reshape back."""
        back = reshape(gradients[0], shape_tuple(inputs[0]))
        return [back] + [disconnected() for _ in inputs[1:]]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Reshape the direction."""
        return [None if directions[0] is None else self(directions[0], *inputs[1:])]


def product(sizes: Sequence[Any]) -> Any:
    """The product of int64 scalars, constants folded."""
    known, result = 1, None
    for s in sizes:
        n = known_size(s)
        if n is not None:
            known *= n
        else:
            result = s if result is None else result * s
    if result is None:
        return constant(np.int64(known))
    return result if known == 1 else result * constant(np.int64(known))


def _dimension(size: Any) -> tuple[int, int] | None:
    """Which dimension of which variable a size is, if it is just that."""
    node = size.owner
    return (id(node.inputs[0]), node.op.i) if node and isinstance(node.op, Shape_i) else None


def _without_common(total: Sequence[Any], given: Sequence[Any]) -> tuple[Any, Any]:
    """The products of both without the dimensions that stand in both, which may be 0."""
    left, right = list(total), []
    for size in given:
        places = [_dimension(s) for s in left]
        place = _dimension(size)
        if place is not None and place in places:
            del left[places.index(place)]
        else:
            right.append(size)
    return product(left), product(right)


def reshape(x: Any, newshape: Any, ndim: int | None = None) -> Any:
    """``x`` under another shape; one size may be the number -1, which is worked out.

    ``ndim`` is needed only if ``newshape`` is a vector of unknown length.
    Raises ValueError if the sizes cannot fit, when building if they are known
    and else in the call.

    >>> import croton.tensor as T
    >>> T.arange(6).reshape((2, -1)).eval()
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    x = as_tensor_variable(x)
    if ndim is not None and isinstance(newshape, Variable) and newshape.type.ndim == 1:  # type: ignore[attr-defined]
        sizes = [as_size(newshape[k]) for k in range(ndim)]  # type: ignore[index]
    else:
        sizes = as_sizes(newshape)
    if ndim is not None and len(sizes) != ndim:
        raise ValueError(f"newshape has {len(sizes)} sizes, but ndim is {ndim}")
    unknown = [k for k, s in enumerate(sizes) if known_size(s) == -1]
    if len(unknown) > 1:
        raise ValueError("only one size of a reshape may be -1")
    if any((known_size(s) or 0) < -1 for s in sizes):
        raise ValueError(f"a size cannot be negative: {[known_size(s) for s in sizes]}")
    if unknown:
        total, rest = _without_common(
            shape_tuple(x), [s for k, s in enumerate(sizes) if k != unknown[0]]
        )
        if isinstance(rest, Constant) and isinstance(total, Constant):
            count = int(rest.data)
            if count == 0 or int(total.data) % count:
                raise ValueError(
                    f"cannot reshape {x} of shape {x.type.shape_text()} to "
                    f"{tuple(known_size(s) for s in sizes)}"
                )
            sizes[unknown[0]] = constant(np.int64(int(total.data) // count))
        else:
            sizes[unknown[0]] = total // rest
    if len(sizes) == x.type.ndim and all(
        a is not None and a == known_size(b) for a, b in zip(x.type.shape, sizes, strict=True)
    ):
        return x
    return Reshape(len(sizes))(x, *sizes)


def flatten(x: Any, ndim: int = 1, outdim: int | None = None) -> Any:
    """``x`` with its last dimensions joined so that ``ndim`` remain (Theano called it outdim).

    Other ranks than 1 to that of ``x``: ValueError.

    >>> import croton.tensor as T
    >>> T.flatten(T.ones((2, 3, 4)), 2).type.shape
    (2, 12)
    """
    x = as_tensor_variable(x)
    ndim = outdim if outdim is not None else ndim
    if not 1 <= ndim <= max(x.type.ndim, 1):
        raise ValueError(f"cannot flatten {x} of rank {x.type.ndim} to rank {ndim}")
    if x.type.ndim == ndim:
        return x
    sizes = shape_tuple(x)
    return reshape(x, [*sizes[: ndim - 1], product(sizes[ndim - 1 :])])


class SpecifyShape(Op):
    """The same value, promised (and checked) to have the given sizes where they are not -1."""

    __props__ = ("sizes",)
    loop = "map"
    view_map = {0: [0]}  # noqa: RUF012 (Theano's protocol)

    def __init__(self, sizes: tuple[int | None, ...]) -> None:
        self.sizes = sizes

    def make_node(self, x: Any) -> Apply:
        """The input with a sharper type."""
        x = as_tensor_variable(x)
        if len(self.sizes) != x.type.ndim:
            raise ValueError(f"{x} has rank {x.type.ndim}, the shape given {self.sizes}")
        shape = []
        for d, (have, want) in enumerate(zip(x.type.shape, self.sizes, strict=True)):
            if have is not None and want is not None and have != want:
                raise ValueError(f"dimension {d} of {x} is {have}, not {want}")
            shape.append(have if want is None else want)
        return Apply(self, [x], [TensorType(x.type.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Check, and hand on."""
        sizes = np.shape(inputs[0])
        if any(w is not None and w != n for w, n in zip(self.sizes, sizes, strict=True)):
            raise ValueError(f"expected shape {self.sizes}, got {sizes}")
        outputs[0][0] = inputs[0]

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """What was promised."""
        return [
            tuple(
                s if n is None else constant(np.int64(n))
                for s, n in zip(shapes[0], self.sizes, strict=True)
            )
        ]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The promise holds."""
        return [
            ("eq", s, constant(np.int64(n)), f"specify_shape of dimension {d}")
            for d, (s, n) in enumerate(zip(shapes[0], self.sizes, strict=True))
            if n is not None
        ]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """The same element."""
        return inputs[0](*index)  # type: ignore[no-any-return]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The gradient itself, of the same sizes."""
        return [gradients[0]]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The direction itself."""
        return [directions[0]]


def specify_shape(x: Any, sizes: Any) -> Any:
    """``x``, promised to have these sizes (None: any); otherwise a call raises ValueError.

    >>> import croton.tensor as T
    >>> T.specify_shape(T.matrix(), (None, 3)).type.shape
    (None, 3)
    """
    x = as_tensor_variable(x)
    given = tuple(None if s is None else known_size(as_size(s)) for s in sizes)
    known = x.type.shape
    if len(given) == len(known) and all(
        n is None or n == have for n, have in zip(given, known, strict=True)
    ):
        return x
    return SpecifyShape(given)(x)


def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> Any:
    """``x``, promised to be of size 1 in the dimensions marked True (Theano's name).

    >>> import croton.tensor as T
    >>> T.patternbroadcast(T.matrix(), (True, False)).type.shape
    (1, None)
    """
    x = as_tensor_variable(x)
    if len(broadcastable) != x.type.ndim:
        raise ValueError(f"{x} has rank {x.type.ndim}, the pattern {tuple(broadcastable)}")
    return specify_shape(x, [1 if b else None for b in broadcastable])


def addbroadcast(x: Any, *axes: int) -> Any:
    """``x``, promised to be of size 1 in dimensions ``axes``, so that they broadcast.

    >>> import croton.tensor as T
    >>> x = T.addbroadcast(T.dmatrix("x"), 0)
    >>> (x + [[1], [2]]).eval({"x": [[10, 20]]})
    array([[11., 21.],
           [12., 22.]])
    """
    x = as_tensor_variable(x)
    return specify_shape(x, [1 if d in axes else None for d in range(x.type.ndim)])


def unbroadcast(x: Any, *axes: int) -> Any:
    """``x`` itself: a size known to be 1 stays known (kept for programs that call it)."""
    return as_tensor_variable(x)
