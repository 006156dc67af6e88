"""Maxima and sums over windows, and the ops that are their gradients.

``MaxPool`` has ``MaxPoolSpread`` as its gradient, and that and ``MaxPoolGather`` have each
other; ``SumPool`` and ``SumPoolSpread`` have each other.  So there are gradients of any order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
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
from croton.tensor.nnet.conv.geometry import (
    from_type,
    from_variables,
    per_dimension,
    to_known,
    to_variable,
)
from croton.tensor.shapes import as_size, shape_tuple
from croton.tensor.signal.lowering import Along, Partner, combined, looped, only, partners, zero
from croton.tensor.signal.windows import Windows, count
from croton.tensor.type import TensorType


class PoolingOp(Op):
    """What they have in common: the window, over the last dimensions.

    ``window``, ``strides`` and ``pad`` (on both sides) have a number for each of them;
    for ``ignore_border`` see :func:`croton.tensor.signal.windows.count`.
    """

    __props__ = ("window", "strides", "pad", "ignore_border")
    loop = "map"
    #: How values at the places of a window, or of its windows, are combined.
    combine = "add"
    #: The inputs that are read elsewhere than at the output's own index.
    elsewhere: tuple[int, ...] = (0,)
    #: Whether an output combines windows that hold it, and not elements of its window.
    of_windows = False

    def __init__(
        self,
        window: Sequence[int],
        strides: Sequence[int],
        pad: Sequence[int],
        ignore_border: bool,
    ) -> None:
        n = len(window)
        self.window = per_dimension(tuple(window), n, "window")
        self.strides = per_dimension(tuple(strides), n, "stride")
        self.pad = per_dimension(tuple(pad), n, "pad", least=0)
        self.ignore_border = bool(ignore_border)
        if any(p >= k for p, k in zip(self.pad, self.window, strict=True)):
            raise ValueError(
                f"pad must be smaller than the window, got {self.pad} and {self.window}: "
                "a window would hold nothing"
            )
        if any(self.pad) and not ignore_border:
            raise NotImplementedError("padding of a pooling needs ignore_border=True")

    def _like(self, op: type[PoolingOp]) -> Any:
        return op(self.window, self.strides, self.pad, self.ignore_border)

    def _counts(self, inner: Sequence[Any]) -> list[Any]:
        parts = zip(inner, self.window, self.strides, self.pad, strict=True)
        return [count(*part, self.ignore_border) for part in parts]

    def _windows(self, shape: Sequence[int]) -> Windows:
        return Windows(shape, self.window, self.strides, self.pad, self.ignore_border)

    def _output(self, sizes: Sequence[Any]) -> list[Any]:
        inner = len(sizes) - len(self.window)
        return [*sizes[:inner], *self._counts(sizes[inner:])]

    def _input(self, x: Any) -> Any:
        x = as_tensor_variable(x)
        if x.type.ndim < len(self.window):
            raise TypeError(
                f"a window of {len(self.window)} dimensions over {x} of rank {x.type.ndim}"
                + trace.describe(x.made_at)
            )
        return x

    def _numbers(self, x: Any) -> Any:
        x = self._input(x)
        if x.type.dtype == "bool":
            raise TypeError(f"sums over windows take numbers, got {x} of dtype bool")
        return x

    def _typed(self, x: Any, dtype: str, sizes: Sequence[Any]) -> Apply:
        return Apply(self, [x], [TensorType(dtype, [to_known(s) for s in sizes])()])

    def _needs_elements(self, sizes: Sequence[Any]) -> list[Any]:
        # Where windows overlap there is always one more, which must hold something.
        parts = zip(sizes[len(sizes) - len(self.window) :], self.window, self.strides, strict=True)
        return [
            ("positive", n, None, "pooling")
            for n, k, s in parts
            if not self.ignore_border and s < k
        ]

    def _some(self, shape: Sequence[int]) -> None:
        if any(n <= 0 for _, n, _, _ in self._needs_elements(shape)):
            raise ValueError(f"pooling of no elements: shape {tuple(shape)}")

    # In kernels.

    def _reached(self) -> list[int]:
        """How many windows hold an element, or elements are in a window, in each dimension."""
        if not self.of_windows:
            return list(self.window)
        return [-(-k // s) for k, s in zip(self.window, self.strides, strict=True)]

    @property
    def runs(self) -> tuple[int, ...]:
        """The loops within one element of the output: how often they run."""
        reached = self._reached()
        return tuple(reached[: looped(reached)])

    @property
    def work(self) -> int:
        """About how many vector operations an element of the output takes."""
        return 2 * len(self.elsewhere) * math.prod(self._reached())

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], ctx: Any) -> Expr:
        """All places combined; only if there are no ``runs``."""
        result = self.lower_run(node, inputs, index, (), ctx)
        return build.cast(result, node.outputs[0].type.dtype)  # type: ignore[attr-defined]

    def lower_run(
        self,
        node: Apply,
        inputs: Sequence[Any],
        index: Sequence[Expr],
        run: Sequence[Expr],
        ctx: Any,
    ) -> Expr:
        """What the output at ``index`` combines where the ``runs`` are at ``run``."""
        lead = len(index) - len(self.window)
        along = self._along(lead, ctx)
        find: list[Callable[[Expr], Partner]] = [
            a.windows(i) if self.of_windows else functools.partial(a.element, i)
            for a, i in zip(along, index[lead:], strict=True)
        ]
        terms = [
            self._term(inputs, index, (*index[:lead], *place), inside, ctx)
            for place, inside in partners(find, self._reached(), run)
        ]
        return combined(self.combine, terms)

    def _along(self, lead: int, ctx: Any) -> list[Along]:
        d = range(lead, lead + len(self.window))
        sizes, counts = zip(*(self._sizes(k, ctx) for k in d), strict=True)
        numbers = zip(self.window, self.strides, self.pad, sizes, counts, strict=True)
        return [Along(w, s, p, self.ignore_border, n, c) for w, s, p, n, c in numbers]

    def _sizes(self, d: int, ctx: Any) -> tuple[Expr, Expr]:
        """The size of dimension ``d``, and how many windows it has."""
        return ctx.size(0, d), ctx.out_size(d)

    def _term(
        self,
        inputs: Sequence[Any],
        index: Sequence[Expr],
        place: Sequence[Expr],
        inside: Expr | None,
        ctx: Any,
    ) -> Expr:
        """What the output at ``index`` has of the input at ``place``, if that is ``inside``."""
        return only(inside, lambda: _wide_element(inputs[0](*place)), zero, ctx)


def _lowest(dtype: Any) -> Any:
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def _wide_element(e: Expr) -> Expr:
    return build.cast(e, "float32") if e.dtype == "float16" else e


def _wide(x: Any) -> Any:
    return x.astype(np.float32) if x.dtype == np.float16 else x


class MaxPool(PoolingOp):
    """The maximum over each window; padding never is one, NaN always."""

    combine = "maximum"

    def make_node(self, x: Any) -> Apply:
        """An output of the same dtype."""
        x = self._input(x)
        return self._typed(x, x.type.dtype, self._output(from_type(x.type.shape)))

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """The largest of a slice for each place in the window."""
        x = np.asarray(inputs[0])
        self._some(x.shape)
        windows = self._windows(x.shape)
        padded = windows.padded(x, _lowest(x.dtype))
        result = np.full(windows.output, _lowest(x.dtype), x.dtype)
        with np.errstate(all="ignore"):
            for place in windows.places():
                np.maximum(result, padded[place], out=result)
        outputs[0][0] = result

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The numbers of windows."""
        return [tuple(map(to_variable, self._output(from_variables(list(shapes[0])))))]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """No window is empty."""
        return self._needs_elements(list(shapes[0]))

    def _term(
        self,
        inputs: Sequence[Any],
        index: Sequence[Expr],
        place: Sequence[Expr],
        inside: Expr | None,
        ctx: Any,
    ) -> Expr:
        return only(inside, lambda: _wide_element(inputs[0](*place)), _lowest, ctx)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """To all elements that are the maximum of a window."""
        (x,), (z,), (g,) = inputs, outputs, gradients
        if z.type.dtype not in dtypes.FLOATS:
            return [x.zeros_like(dtype="floatX")]
        return [self._like(MaxPoolSpread)(x, z, g)]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The directions of all elements that are the maximum."""
        (x,), (d,) = inputs, directions
        return [None if d is None else self._like(MaxPoolGather)(x, self(x), d)]


class _AtMaxima(PoolingOp):
    """Linear in its third argument; the first two tell where the maxima are."""

    def _shapes(self, x: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """What the third argument has, and what the output has."""
        windows = self._output(x)
        return (windows, list(x)) if self.of_windows else (list(x), windows)

    def make_node(self, x: Any, z: Any, v: Any) -> Apply:
        """The pooled tensor, its maxima, and the values to move."""
        x, z, v = self._input(x), as_tensor_variable(z), as_tensor_variable(v)
        if not x.type.ndim == z.type.ndim == v.type.ndim:
            raise TypeError(f"ranks {x.type.ndim}, {z.type.ndim} and {v.type.ndim} differ")
        dtype = dtypes.upcast(x.type.dtype, self._numbers(v).type.dtype)
        v = v if v.type.dtype == dtype else v.astype(dtype)
        shape = [to_known(s) for s in self._shapes(from_type(x.type.shape))[1]]
        return Apply(self, [x, z, v], [TensorType(dtype, shape)()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """That of the pooled tensor, or of its windows."""
        return [tuple(map(to_variable, self._shapes(from_variables(list(shapes[0])))[1]))]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The shapes belong together."""
        x, z, v = (from_variables(list(s)) for s in shapes)
        pairs = [*zip(z, self._output(x), strict=True), *zip(v, self._shapes(x)[0], strict=True)]
        found = [("eq", to_variable(a), to_variable(b), "pooling") for a, b in pairs if a is not b]
        return [*found, *self._needs_elements(list(shapes[0]))]

    def _sizes(self, d: int, ctx: Any) -> tuple[Expr, Expr]:
        return ctx.size(0, d), ctx.size(1, d)

    def _term(
        self,
        inputs: Sequence[Any],
        index: Sequence[Expr],
        place: Sequence[Expr],
        inside: Expr | None,
        ctx: Any,
    ) -> Expr:
        own, there = inputs[:2] if self.of_windows else inputs[1::-1]
        here = _wide_element(own(*index))

        def pull() -> Expr:
            other = _wide_element(there(*place))
            dtype = dtypes.upcast(here.dtype, other.dtype)
            hit = build.op("eq", build.cast(here, dtype), build.cast(other, dtype))
            value = _wide_element(inputs[2](*place))
            return build.select(hit, value, build.const(0, value.dtype))

        return only(inside, pull, zero, ctx)

    def _verify(self, x: Any, z: Any, v: Any) -> Windows:
        self._some(x.shape)
        windows = self._windows(x.shape)
        if z.shape != windows.output or v.shape != tuple(self._shapes(x.shape)[0]):
            raise ValueError(
                f"shapes do not fit in {type(self).__name__}: {x.shape}, {z.shape} and {v.shape}"
            )
        return windows

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The values move back; where the maxima are changes nothing."""
        (x, z, _), (g,) = inputs, gradients
        back = self._like(MaxPoolGather if self.of_windows else MaxPoolSpread)
        return [x.zeros_like(), z.zeros_like(), back(x, z, g)]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """It is linear."""
        x, z, _ = inputs
        return [None if directions[2] is None else self(x, z, directions[2])]


class MaxPoolSpread(_AtMaxima):
    """``dx[i] = sum of dz[o] over the windows o that hold i, where x[i] == z[o]``."""

    of_windows = True
    elsewhere = (1, 2)

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """A sum for each place in the window."""
        x, z, dz = (np.asarray(v) for v in inputs)
        windows = self._verify(x, z, dz)
        padded, values = windows.padded(x, _lowest(x.dtype)), _wide(dz)
        result = windows.empty(values.dtype)
        with np.errstate(all="ignore"):
            for place in windows.places():
                result[place] += np.where(padded[place] == z, values, 0)
        outputs[0][0] = windows.within(result).astype(dz.dtype)


class MaxPoolGather(_AtMaxima):
    """``dz[o] = sum of dx[i] over the elements i of window o where x[i] == z[o]``."""

    elsewhere = (0, 2)

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """A sum over the places in the window."""
        x, z, dx = (np.asarray(v) for v in inputs)
        windows = self._verify(x, z, dx)
        padded, values = windows.padded(x, _lowest(x.dtype)), windows.padded(_wide(dx), 0)
        result = np.zeros(windows.output, values.dtype)
        with np.errstate(all="ignore"):
            for place in windows.places():
                result += np.where(padded[place] == z, values[place], 0)
        outputs[0][0] = result.astype(dx.dtype)


class SumPool(PoolingOp):
    """The sum over each window."""

    def make_node(self, x: Any) -> Apply:
        """An output of the same dtype."""
        x = self._numbers(x)
        return self._typed(x, x.type.dtype, self._output(from_type(x.type.shape)))

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """The sum of a slice for each place in the window."""
        x = np.asarray(inputs[0])
        self._some(x.shape)
        windows = self._windows(x.shape)
        padded = windows.padded(_wide(x), 0)
        result = np.zeros(windows.output, padded.dtype)
        with np.errstate(all="ignore"):
            for place in windows.places():
                result += padded[place]
            outputs[0][0] = result.astype(x.dtype)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The numbers of windows."""
        return [tuple(map(to_variable, self._output(from_variables(list(shapes[0])))))]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """No window is empty."""
        return self._needs_elements(list(shapes[0]))

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """To all elements of each window."""
        (x,), (g,) = inputs, gradients
        if x.type.dtype not in dtypes.FLOATS:
            return [x.zeros_like(dtype="floatX")]
        sizes = shape_tuple(x)[x.type.ndim - len(self.window) :]
        return [self._like(SumPoolSpread)(g, *sizes)]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """It is linear."""
        return [None if directions[0] is None else self(directions[0])]


class SumPoolSpread(PoolingOp):
    """``dx[i] = sum of dy[o] over the windows o that hold i``, given the sizes of ``dx``."""

    of_windows = True

    def make_node(self, dy: Any, *sizes: Any) -> Apply:
        """The values of windows, and the last sizes of the output."""
        dy = self._numbers(dy)
        given = [as_size(s) for s in sizes]
        if len(given) != len(self.window):
            raise ValueError(f"expected {len(self.window)} sizes, got {len(given)}")
        lead = dy.type.shape[: dy.type.ndim - len(self.window)]
        shape = [*lead, *(to_known(s) for s in from_variables(given))]
        return Apply(self, [dy, *given], [TensorType(dy.type.dtype, shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """A sum for each place in the window."""
        dy, *sizes = inputs
        dy = np.asarray(dy)
        shape = (*dy.shape[: dy.ndim - len(sizes)], *map(int, sizes))
        self._some(shape)
        windows = self._windows(shape)
        if dy.shape != windows.output:
            raise ValueError(
                f"shapes do not fit in SumPoolSpread: {dy.shape} for windows over {shape}"
            )
        values = _wide(dy)
        result = windows.empty(values.dtype)
        with np.errstate(all="ignore"):
            for place in windows.places():
                result[place] += values
        outputs[0][0] = windows.within(result).astype(dy.dtype)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes given."""
        lead = list(shapes[0])[: len(list(shapes[0])) - len(self.window)]
        return [(*lead, *node.inputs[1:])]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """There are as many windows as values."""
        sizes = from_variables(node.inputs[1:])
        have = from_variables(list(shapes[0]))[-len(sizes) :]
        found = [
            ("eq", to_variable(a), to_variable(b), "pooling")
            for a, b in zip(have, self._counts(sizes), strict=True)
            if a is not b
        ]
        return [*found, *self._needs_elements(node.inputs[1:])]

    def _sizes(self, d: int, ctx: Any) -> tuple[Expr, Expr]:
        return ctx.out_size(d), ctx.size(0, d)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Sizes are not connected."""
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The sum over each window."""
        dy, *sizes = inputs
        if dy.type.dtype not in dtypes.FLOATS:
            back = dy.zeros_like(dtype="floatX")
        else:
            back = self._like(SumPool)(gradients[0])
        return [back, *(disconnected() for _ in sizes)]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """It is linear."""
        return [None if directions[0] is None else self(directions[0], *inputs[1:])]
