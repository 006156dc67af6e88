"""Elemwise: one scalar function applied to the elements of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.graph.variable import Constant, Variable
from croton.kernel.build import index as constant_index
from croton.kernel.nodes import Expr
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise.table import FUNCTIONS, ScalarFunction
from croton.tensor.type import TensorType


def broadcast_shape(shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
    """The static shape that inputs of equal rank broadcast to; ValueError if they cannot."""
    result: list[int | None] = []
    for axis, sizes in enumerate(zip(*shapes, strict=True)):
        known = {d for d in sizes if d != 1}
        fixed = known - {None}
        if len(fixed) > 1:
            raise ValueError(
                f"shapes do not fit: dimension {axis} is {' and '.join(map(str, sizes))}"
            )
        if not known:
            result.append(1)
        elif fixed:
            result.append(fixed.pop())
        else:
            result.append(None)
    return tuple(result)


def check_broadcast(op: Op, variables: Sequence[Any], values: Sequence[Any]) -> None:
    """ValueError unless arrays of equal rank go together as the types of ``variables`` say.

    Croton broadcasts only what is known to be 1; NumPy would broadcast any 1.
    """
    for axis in range(np.ndim(values[0])):
        sizes = {
            np.shape(x)[axis]
            for x, v in zip(values, variables, strict=True)
            if v.type.shape[axis] != 1
        }
        if len(sizes) > 1:
            shapes = ", ".join(str(np.shape(x)) for x in values)
            hint = (
                "; only a dimension known to be 1 when building broadcasts (declare it so, or "
                "use T.addbroadcast)"
            )
            raise ValueError(f"shapes do not fit in {op}: {shapes}" + (hint if 1 in sizes else ""))


class Elemwise(Op):
    """Apply ``scalar_op`` to the elements; only dimensions known to be 1 broadcast."""

    __props__ = ("name",)
    loop = "map"

    def __init__(self, scalar_op: ScalarFunction | str, inplace_pattern: Any = None) -> None:
        self.scalar_op = FUNCTIONS[scalar_op] if isinstance(scalar_op, str) else scalar_op
        self.name = self.scalar_op.name
        self.inplace_pattern = inplace_pattern or {}
        self._hash = hash((Elemwise, self.name))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        # The functions of the table are found there again by their names.
        if FUNCTIONS.get(self.name) is self.scalar_op:
            return Elemwise, (self.name, self.inplace_pattern)
        return super().__reduce__()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Elemwise) and self.name == other.name)

    def make_node(self, *inputs: Any) -> Apply:
        """The application; inputs of lower rank get dimensions of 1 in front."""
        f = self.scalar_op
        if len(inputs) != f.arity:
            raise TypeError(f"{f.name} takes {f.arity} arguments, got {len(inputs)}")
        ndim = max(
            [getattr(v.type, "ndim", 0) if isinstance(v, Variable) else 0 for v in inputs],
            default=0,
        )
        given: list[Any] = [
            as_tensor_variable(v, ndim=ndim) if type(v) in _NUMBERS else as_tensor_variable(v)
            for v in inputs
        ]
        ndim = max(v.type.ndim for v in given)
        given = [v if v.type.ndim == ndim else as_tensor_variable(v, ndim=ndim) for v in given]
        _, out = f.resolve([v.type.dtype for v in given])
        first = given[0].type.shape
        if all(v.type.shape == first for v in given):
            shape = first
        else:
            try:
                shape = broadcast_shape([v.type.shape for v in given])
            except ValueError as error:
                raise ValueError(
                    f"{f.name}: {error} (inputs: "
                    + ", ".join(f"{v} of shape {v.type.shape_text()}" for v in given)
                    + ")"
                    + "".join(dict.fromkeys(trace.describe(v.made_at) for v in given))
                ) from None
        return Apply(self, given, [TensorType(out, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Compute with NumPy in the dtypes that the table says."""
        f = self.scalar_op
        check_broadcast(node.op, node.inputs, inputs)
        into, out = f.resolve([v.type.dtype for v in node.inputs])  # type: ignore[attr-defined]
        with np.errstate(all="ignore"):
            result = f.evaluate(
                *(np.asarray(v).astype(d, copy=False) for v, d in zip(inputs, into, strict=True))
            )
        outputs[0][0] = np.asarray(result, dtype=out)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """For each dimension the size of the first input that does not broadcast there."""
        result = []
        for axis in range(node.outputs[0].type.ndim):  # type: ignore[attr-defined]
            best = None
            for v, shape in zip(node.inputs, shapes, strict=True):
                if v.type.shape[axis] == 1:  # type: ignore[attr-defined]
                    continue
                if best is None or (
                    isinstance(shape[axis], Constant) and not isinstance(best, Constant)
                ):
                    best = shape[axis]
            result.append(shapes[0][axis] if best is None else best)
        return [tuple(result)]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Sizes that do not broadcast are the same."""
        found = []
        for axis in range(node.outputs[0].type.ndim):  # type: ignore[attr-defined]
            sizes = [
                s[axis]
                for v, s in zip(node.inputs, shapes, strict=True)
                if v.type.shape[axis] != 1  # type: ignore[attr-defined]
            ]
            found += [("eq", sizes[0], other, f"dimension {axis}") for other in sizes[1:]]
        return found

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], _: Any) -> Expr:
        """The function of the inputs' elements at ``index``."""
        zero = constant_index(0)
        args, given = [], []
        for v, element in zip(node.inputs, inputs, strict=True):
            flags = v.type.shape  # type: ignore[attr-defined]
            args.append(
                element(*(zero if d == 1 else i for d, i in zip(flags, index, strict=True)))
            )
            given.append(v.type.dtype)  # type: ignore[attr-defined]
        return self.scalar_op.express(args, given)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The chain rule of the table, summed over the dimensions that were broadcast."""
        (gradient,) = gradients
        if self.scalar_op.derivative is None:
            raise NotImplementedError(f"{self.name} has no derivative")
        if outputs[0].type.dtype in _DISCRETE:
            return [v.zeros_like(dtype="floatX") for v in inputs]
        terms = self.scalar_op.derivative(inputs, outputs[0], gradient)
        results = []
        for v, term in zip(inputs, terms, strict=True):
            if term is None:
                results.append(v.zeros_like(dtype=None if v.dtype in _FLOATS else "floatX"))
                continue
            term = as_tensor_variable(term, ndim=v.ndim)
            axes = [
                axis for axis, d in enumerate(v.type.shape) if d == 1 and term.type.shape[axis] != 1
            ]
            if axes:
                term = term.sum(axis=tuple(axes), keepdims=True)
            if v.dtype in _FLOATS and term.dtype != v.dtype:
                term = term.astype(v.dtype)
            if any(d != 1 and t == 1 for d, t in zip(v.type.shape, term.type.shape, strict=True)):
                term = term + v.zeros_like(dtype=term.dtype)
            results.append(term)
        return results

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The sum of each partial derivative times its direction."""
        output = self(*inputs)
        if output.type.dtype in _DISCRETE or all(d is None for d in directions):
            return [None]
        total = None
        for i, direction in enumerate(directions):
            if direction is None:
                continue
            # The derivative is linear in the gradient and elementwise, so the
            # direction may stand in its place.
            term = self.scalar_op.derivative(inputs, output, direction)[i]  # type: ignore[misc]
            if term is not None:
                total = term if total is None else total + term
        if total is None:
            return [output.zeros_like()]
        total = as_tensor_variable(total, ndim=output.ndim)
        if total.type.broadcastable != output.type.broadcastable:
            total = total + output.zeros_like()
        return [total if total.dtype == output.dtype else total.astype(output.dtype)]

    def __str__(self) -> str:
        kind = "inplace" if self.inplace_pattern else "no_inplace"
        return f"Elemwise{{{self.name},{kind}}}"


_NUMBERS = (int, float, bool)
_FLOATS = ("float16", "float32", "float64")
_DISCRETE = frozenset(
    ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
)


def define(name: str, arity: int, evaluate: Any, derivative: Any = None, **kwargs: Any) -> Any:
    """Enter a function into the table and return what applies it to tensors.

    ``many``: with more than two arguments, from left to right.
    """
    many = kwargs.pop("many", False)
    entry = ScalarFunction(name, arity, evaluate, derivative, **kwargs)
    FUNCTIONS[name] = entry
    op = Elemwise(entry)
    entry.op = op  # type: ignore[attr-defined]

    def apply(*args: Any) -> Any:
        if many and len(args) > 2:
            return reduce(apply, args)
        return op.make_node(*args).outputs[0]

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = entry.docstring
    apply.op = op  # type: ignore[attr-defined]
    return apply
