"""Convolution, and the two ops that are its gradients and each other's.

With ``y = Convolution(x, w)``, all three are linear in both arguments and the gradients of
each are the two others, so there are gradients of any order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected
from croton.graph.op import Op
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.nnet.conv import geometry
from croton.tensor.nnet.conv.reference import (
    Layout,
    correlate,
    correlate_filters,
    correlate_inputs,
)
from croton.tensor.shapes import as_size, shape_tuple
from croton.tensor.type import TensorType

_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "le": operator.le,
    "positive": lambda a, _: a > 0,
}


class _Convolving(Op):
    """What the three have in common: the numbers, and the conditions on sizes.

    A subclass says in ``_roles`` which sizes its inputs have.  The shapes of the image
    ``x``, the filters ``w`` and the result ``y`` are lists of integers, of symbolic
    scalars and of ``UNKNOWN``, with channels before spatial dimensions.  ``parts`` says
    which of the three the inputs and the output are.
    """

    __props__ = ("strides", "padding", "dilation", "groups", "channels_last")
    names: tuple[str, str]
    parts: tuple[str, str, str]

    #: Kernels compute those with their channels last.
    loop = "convolution"

    @property
    def takes_more(self) -> bool:
        """Whether what is computed from the result may be computed along with it."""
        return True

    def __init__(
        self,
        strides: Sequence[int],
        padding: Sequence[geometry.Padding],
        dilation: Sequence[int],
        groups: int = 1,
        channels_last: bool = False,
    ) -> None:
        self.strides = geometry.per_dimension(tuple(strides), len(strides), "strides")
        self.dilation = geometry.per_dimension(tuple(dilation), len(strides), "dilation")
        self.padding = tuple(p if isinstance(p, str) else (int(p[0]), int(p[1])) for p in padding)
        self.groups = geometry.per_dimension(groups, 1, "groups")[0]
        self.channels_last = channels_last
        if len(self.padding) != len(self.strides) or not 1 <= len(self.strides) <= 3:
            raise ValueError(
                f"a convolution has 1 to 3 dimensions, and a stride, a padding and a dilation "
                f"for each, got {strides}, {padding} and {dilation}"
            )
        for p in self.padding:
            if p not in geometry.WORDS if isinstance(p, str) else min(p) < 0:
                raise ValueError(f"no padding of a convolution: {p!r}")

    def _like(self, op: type[_Convolving]) -> Any:
        return op(self.strides, self.padding, self.dilation, self.groups, self.channels_last)

    def written(self) -> tuple[_Convolving, list[tuple[int, ...]]]:
        """The op as programs write it, with channels first, and the order of each input for it."""
        plain = type(self)(self.strides, self.padding, self.dilation, self.groups)
        return plain, [self.channels_first(part) for part in self.parts[:2]]

    def channels_first(self, part: str) -> tuple[int, ...]:
        """Which dimensions of a ``part`` make it one with channels before spatial dimensions."""
        rank = len(self.strides)
        if not self.channels_last:
            return tuple(range(rank + 2))
        if part == "w":
            return (rank + 1, rank, *range(rank))
        return (0, rank + 1, *range(1, rank + 1))

    def _standard(self, part: str, shape: Sequence[Any]) -> list[Any]:
        return [shape[d] for d in self.channels_first(part)]

    def _own(self, shape: Sequence[Any]) -> list[Any]:
        """The output's shape as it is, of one with channels before spatial dimensions."""
        order = self.channels_first(self.parts[2])
        return [shape[order.index(d)] for d in range(len(order))]

    def _spatial(self, part: str, v: Any) -> list[Any]:
        return self._standard(part, shape_tuple(v))[2:]

    def _positions(self, image: Sequence[Any], filters: Sequence[Any]) -> list[Any]:
        parts = zip(image, filters, self.padding, self.strides, self.dilation, strict=True)
        return [geometry.positions(*part) for part in parts]

    def _conditions(
        self, x: Sequence[Any], w: Sequence[Any], y: Sequence[Any]
    ) -> list[tuple[str, Any, Any, str]]:
        g = self.groups
        found: list[tuple[str, Any, Any, str]] = [("eq", x[0], y[0], "batches")]
        if g > 1:
            found.append(("eq", x[1], x[1] // g * g, f"channels and {g} equal groups of them"))
            found.append(("eq", w[0], w[0] // g * g, f"filters and {g} equal groups of them"))
        found += [
            ("eq", x[1], w[1] * g, "channels of the image and of all groups of the filters"),
            ("eq", y[1], w[0], "channels of the result and filters"),
        ]
        expected = self._positions(x[2:], w[2:])
        for d, (n, k) in enumerate(zip(x[2:], w[2:], strict=True)):
            room = geometry.padded(n, k, self.padding[d], self.dilation[d])
            reach = geometry.extent(k, self.dilation[d])
            found.append(("positive", k, None, "filters"))
            found.append(("le", reach, room, f"filter and padded image in spatial dimension {d}"))
            found.append(("eq", y[2 + d], expected[d], f"result in spatial dimension {d}"))
        return [c for c in found if c[1] is not c[2]]

    def _roles(self, a: Sequence[Any], b: Sequence[Any], sizes: Sequence[Any]) -> Any:
        """The shapes of x, w and y, from those of the two inputs and the sizes given."""
        raise NotImplementedError

    def _result(self, x: Sequence[Any], w: Sequence[Any], y: Sequence[Any]) -> Sequence[Any]:
        raise NotImplementedError

    def make_node(self, a: Any, b: Any, *sizes: Any) -> Apply:
        """An application to two tensors of numbers, and the sizes of what is computed."""
        a, b = as_tensor_variable(a), as_tensor_variable(b)
        rank = len(self.strides) + 2
        if a.type.ndim != rank or b.type.ndim != rank:
            raise TypeError(
                f"{self._name()} in {rank - 2} dimensions takes {self.names[0]} and "
                f"{self.names[1]} of rank {rank}, got {a} of type {a.type} and {b} of type "
                f"{b.type}" + trace.describe(a.made_at)
            )
        dtype = dtypes.upcast(a.type.dtype, b.type.dtype)
        if dtype == "bool":
            raise TypeError(f"{self._name()} takes numbers, got two tensors of bool")
        a, b = (v if v.type.dtype == dtype else v.astype(dtype) for v in (a, b))
        given = [as_size(s) for s in sizes]
        count = 0 if isinstance(self, Convolution) else rank - 2
        if len(given) != count:
            raise ValueError(f"{self._name()} takes {count} sizes, got {len(given)}")
        known = [
            s if isinstance(s, int) else geometry.UNKNOWN for s in geometry.from_variables(given)
        ]
        left, right = (
            self._standard(part, geometry.from_type(v.type.shape))
            for part, v in zip(self.parts, (a, b), strict=False)
        )
        roles = self._roles(left, right, known)
        self._verify(
            roles,
            f"{_called(self.names[0], a)} and {_called(self.names[1], b)}",
            trace.describe(a.made_at),
        )
        shape = [geometry.to_known(s) for s in self._own(self._result(*roles))]
        return Apply(self, [a, b, *given], [TensorType(dtype, shape)()])

    def _verify(self, roles: Any, shapes: str, where: str = "") -> None:
        for kind, a, b, what in self._conditions(*roles):
            known = isinstance(a, int) and (b is None or isinstance(b, int))
            if known and not _HOLDS[kind](a, b):
                numbers = a if b is None else f"{a} and {b}"
                raise ValueError(
                    f"shapes do not fit in {self._name()}: {shapes} ({what}: {numbers})" + where
                )

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """As products of matrices, in NumPy."""
        a, b = (
            np.asarray(v).transpose(self.channels_first(part))
            for part, v in zip(self.parts, inputs[:2], strict=False)
        )
        x, w, y = roles = self._roles(a.shape, b.shape, [int(s) for s in inputs[2:]])
        self._verify(roles, f"{self.names[0]} {a.shape} and {self.names[1]} {b.shape}")
        parts = zip(self.padding, w[2:], self.dilation, strict=True)
        pads = [geometry.pads(*part) for part in parts]
        layout = Layout(x[2:], w[2:], y[2:], self.strides, pads, self.dilation, self.groups)
        with np.errstate(all="ignore"):
            result = self._compute(a, b, layout)
            order = self.channels_first(self.parts[2])
            result = result.transpose([order.index(d) for d in range(len(order))])
            outputs[0][0] = np.ascontiguousarray(result, node.outputs[0].type.dtype)  # type: ignore[attr-defined]

    def _compute(self, a: Any, b: Any, layout: Layout) -> Any:
        raise NotImplementedError

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The result's sizes."""
        roles = self._symbolic(node, shapes)
        return [tuple(geometry.to_variable(s) for s in self._own(self._result(*roles)))]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Channels, groups and positions agree, and the filters fit into the padded image."""
        return [
            (kind, geometry.to_variable(a), None if b is None else geometry.to_variable(b), what)
            for kind, a, b, what in self._conditions(*self._symbolic(node, shapes))
        ]

    def _symbolic(self, node: Apply, shapes: Sequence[Any]) -> Any:
        a, b = (
            self._standard(part, geometry.from_variables(list(s)))
            for part, s in zip(self.parts, shapes[:2], strict=False)
        )
        return self._roles(a, b, geometry.from_variables(node.inputs[2:]))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Sizes are not connected."""
        return [[True], [True]] + [[False]] * (len(node.inputs) - 2)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """The two other ops; nothing for the sizes."""
        a, b, *sizes = inputs
        if outputs[0].type.dtype not in dtypes.FLOATS:
            back = [v.zeros_like(dtype="floatX") for v in (a, b)]
        else:
            back = self._gradients(a, b, gradients[0])
        return [*back, *(disconnected() for _ in sizes)]

    def _gradients(self, a: Any, b: Any, g: Any) -> list[Any]:
        raise NotImplementedError

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The product rule."""
        (a, b, *sizes), (da, db, *_) = inputs, directions
        terms = [self(da, b, *sizes)] if da is not None else []
        terms += [self(a, db, *sizes)] if db is not None else []
        return [None if not terms else terms[0] if len(terms) == 1 else terms[0] + terms[1]]

    def _name(self) -> str:
        return type(self).__name__


def _called(role: str, v: Any) -> str:
    return f"{role} {v.name or ''}".strip() + f" of shape {v.type.shape_text()}"


class Convolution(_Convolving):
    """``y[b, m, o] = sum over c, k of x[b, c, o * stride + k * dilation - before] * w[m, c, k]``.

    ``x`` is (batch, channels, spatial...), ``w`` is (filters, channels / groups,
    spatial...), ``y`` is (batch, filters, positions...), with one, two or three spatial
    dimensions; outside of the image is zero.  The filter is not reversed.  ``padding``
    is (before, after) for each spatial dimension, or a word for what follows from the
    filter's size (see :func:`croton.tensor.nnet.conv.geometry.pads`).  A filter larger
    than the padded image is an error; no images give no results.

    With ``channels_last``, here and in the two gradients, ``x`` and ``y`` are (batch,
    spatial..., channels) and ``w`` is (spatial..., channels / groups, filters).
    """

    names = ("input", "filters")
    parts = ("x", "w", "y")

    def _roles(self, a: Sequence[Any], b: Sequence[Any], sizes: Sequence[Any]) -> Any:
        return a, b, [a[0], b[0], *self._positions(a[2:], b[2:])]

    def _result(self, x: Sequence[Any], w: Sequence[Any], y: Sequence[Any]) -> Sequence[Any]:
        return y

    def _compute(self, a: Any, b: Any, layout: Layout) -> Any:
        return correlate(a, b, layout)

    def _gradients(self, a: Any, b: Any, g: Any) -> list[Any]:
        return [
            self._like(ConvolutionInputs)(g, b, *self._spatial("x", a)),
            self._like(ConvolutionFilters)(a, g, *self._spatial("w", b)),
        ]


class ConvolutionInputs(_Convolving):
    """The gradient of :class:`Convolution` by ``x``: of ``dy``, ``w``, the spatial sizes of ``x``.

    Also known as transposed convolution.
    """

    names = ("output gradient", "filters")
    parts = ("y", "w", "x")

    @property
    def takes_more(self) -> bool:
        """Without strides, blocks of the result are handed on."""
        return all(s == 1 for s in self.strides)

    def _roles(self, a: Sequence[Any], b: Sequence[Any], sizes: Sequence[Any]) -> Any:
        return [a[0], b[1] * self.groups, *sizes], b, a

    def _result(self, x: Sequence[Any], w: Sequence[Any], y: Sequence[Any]) -> Sequence[Any]:
        return x

    def _compute(self, a: Any, b: Any, layout: Layout) -> Any:
        return correlate_inputs(a, b, layout)

    def _gradients(self, a: Any, b: Any, g: Any) -> list[Any]:
        return [
            self._like(Convolution)(g, b),
            self._like(ConvolutionFilters)(g, a, *self._spatial("w", b)),
        ]


class ConvolutionFilters(_Convolving):
    """The gradient of :class:`Convolution` by ``w``: of ``x``, ``dy``, spatial sizes of ``w``."""

    names = ("input", "output gradient")
    parts = ("x", "y", "w")

    def _roles(self, a: Sequence[Any], b: Sequence[Any], sizes: Sequence[Any]) -> Any:
        return a, [b[1], a[1] if self.groups == 1 else a[1] // self.groups, *sizes], b

    def _result(self, x: Sequence[Any], w: Sequence[Any], y: Sequence[Any]) -> Sequence[Any]:
        return w

    def _compute(self, a: Any, b: Any, layout: Layout) -> Any:
        return correlate_filters(a, b, layout)

    def _gradients(self, a: Any, b: Any, g: Any) -> list[Any]:
        return [
            self._like(ConvolutionInputs)(b, g, *self._spatial("x", a)),
            self._like(Convolution)(a, g),
        ]
