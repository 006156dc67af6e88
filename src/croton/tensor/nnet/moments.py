"""Mean and variance in the form that normalising functions share."""

from __future__ import annotations

from typing import Any, NamedTuple

from croton.graph import trace
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.deviations import SquaredDeviations
from croton.tensor.elementwise import cast, sqrt, true_div
from croton.tensor.reduction import mean
from croton.tensor.shapes import dimshuffle, product, shape_i


class Moments(NamedTuple):
    """Of a tensor over some axes, which are kept with size 1: see :func:`moments`."""

    mean: Any
    squares: Any
    count: Any

    @property
    def variance(self) -> Any:
        """The mean squared deviation."""
        return true_div(self.squares, self.count)

    def inverse_std(self, epsilon: Any) -> Any:
        """``1 / sqrt(variance + epsilon)``."""
        return true_div(1, sqrt(self.variance + epsilon))


def as_float(x: Any, what: str) -> Any:
    """``x`` as a tensor of floats, integers in the width that exp takes them in."""
    x = as_tensor_variable(x)
    if x.type.dtype in dtypes.FLOATS:
        return x
    if x.type.dtype not in dtypes.DISCRETE:
        raise TypeError(
            f"{what} takes real numbers, got {x} of dtype {x.type.dtype}"
            + trace.describe(x.made_at)
        )
    return cast(x, dtypes.to_float(x.type.dtype))


def wide(x: Any) -> Any:
    """``x`` in the dtype that sums over it are taken in: float16 cannot hold them."""
    return cast(x, "float32") if x.type.dtype == "float16" else x


def as_number(value: Any, dtype: str, name: str) -> Any:
    """The number ``value``, which may be symbolic, in ``dtype``."""
    v = as_tensor_variable(value)
    if v.type.ndim:
        raise ValueError(f"{name} is a number, got {v} of rank {v.type.ndim}")
    return cast(v, dtype)


def as_epsilon(epsilon: Any, dtype: str) -> Any:
    """What is added to a variance, in its dtype; ValueError where it is negative."""
    if isinstance(epsilon, int | float) and not epsilon >= 0:
        raise ValueError(f"epsilon is added to a variance and not negative, got {epsilon!r}")
    return as_number(epsilon, dtype, "epsilon")


def moments(x: Any, axes: tuple[int, ...]) -> Moments:
    """The mean, the sum of squared deviations from it, and the number of elements.

    The deviations are taken from the mean itself, so that a mean far from 0 costs no digits.
    ``x`` holds float32 or float64.

    >>> import croton.tensor as T
    >>> m = moments(T.constant([[1.0, 3.0], [2.0, 2.0]]), (1,))
    >>> m.mean.eval(), m.variance.eval()
    (array([[2.],
           [2.]]), array([[1.],
           [0.]]))
    """
    rank = x.type.ndim
    rest = iter(range(rank))
    pattern = ["x" if d in axes else next(rest) for d in range(rank)]
    squares = dimshuffle(SquaredDeviations(axes)(x), pattern)
    count = cast(product([shape_i(x, a) for a in axes]), x.type.dtype)
    return Moments(mean(x, axes, keepdims=True), squares, count)
