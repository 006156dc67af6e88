"""Expressions that change what flows back: constants, zeros, clipping, scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph.apply import Apply
from croton.graph.disconnected import DisconnectedType, NullType, disconnected
from croton.graph.op import Op
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import clip

__all__ = ["DisconnectedType", "NullType"]


class _View(Op):
    """The input itself; subclasses say what flows back."""

    #: The value is that of the input: a compiler may leave the op out.
    passes_through = True

    __props__: tuple[str, ...] = ()
    loop = "map"
    view_map = {0: [0]}  # noqa: RUF012 (Theano's protocol)

    def make_node(self, x: Any) -> Apply:
        """The same type."""
        x = as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """The same value."""
        outputs[0][0] = inputs[0]

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The same shape."""
        return [shapes[0]]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Any], _: Any) -> Any:
        """The same element."""
        return inputs[0](*index)


class DisconnectedGrad(_View):
    """Nothing flows back: the cost counts as not depending on the input."""

    __props__ = ()

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Not connected."""
        return [[False]]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """A marker."""
        return [disconnected()]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Nothing changes."""
        return [None]


class ZeroGrad(_View):
    """Zeros flow back."""

    __props__ = ()

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Zeros."""
        return [gradients[0].zeros_like()]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Zeros."""
        return [None if directions[0] is None else directions[0].zeros_like()]


class GradClip(_View):
    """What flows back is kept between two bounds."""

    __props__ = ("lower_bound", "upper_bound")

    def __init__(self, lower_bound: float, upper_bound: float) -> None:
        if not lower_bound <= upper_bound:
            raise ValueError(f"the lower bound {lower_bound} is above the upper {upper_bound}")
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Clipped."""
        (g,) = gradients
        return [clip(g, self.lower_bound, self.upper_bound).astype(g.type.dtype)]


class GradScale(_View):
    """What flows back is multiplied by a number."""

    __props__ = ("multiplier",)

    def __init__(self, multiplier: float) -> None:
        self.multiplier = multiplier

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Scaled."""
        (g,) = gradients
        return [(g * self.multiplier).astype(g.type.dtype)]


_disconnected = DisconnectedGrad()
_zero = ZeroGrad()


def disconnected_grad(x: Any) -> Any:
    """``x``, as a constant for derivatives; asking for its gradient is an error.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> croton.grad(x * croton.gradient.disconnected_grad(x), x).eval({x: 3.0})
    array(3.)
    """
    return _disconnected(x)


consider_constant = disconnected_grad


def zero_grad(x: Any) -> Any:
    """``x``, through which zeros flow back.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> croton.grad(croton.gradient.zero_grad(x**2), x).eval({x: 3.0})
    array(0.)
    """
    return _zero(x)


def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> Any:
    """``x``; the gradient that flows back through it is clipped to the bounds.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> croton.grad(croton.gradient.grad_clip(x, -1, 1) ** 2, x).eval({x: 3.0})
    array(1.)
    """
    return GradClip(lower_bound, upper_bound)(x)


def grad_scale(x: Any, multiplier: float) -> Any:
    """``x``; the gradient that flows back through it is multiplied.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> croton.grad(croton.gradient.grad_scale(x, -0.5) ** 2, x).eval({x: 3.0})
    array(-3.)
    """
    return GradScale(multiplier)(x)


def grad_not_implemented(op: Op, x_pos: int, x: Any, comment: str = "") -> Any:
    """For an op's ``grad``: the gradient by input ``x_pos`` is not there."""
    return NullType(f"{op} has no gradient by input {x_pos} ({x}) {comment}".rstrip())()


def grad_undefined(op: Op, x_pos: int, x: Any, comment: str = "") -> Any:
    """For an op's ``grad``: the gradient by input ``x_pos`` does not exist."""
    return NullType(f"{op} has no defined gradient by input {x_pos} ({x}) {comment}".rstrip())()
