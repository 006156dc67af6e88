"""Local response normalisation across channels."""

from __future__ import annotations

from functools import reduce
from typing import Any

from croton.graph import trace
from croton.tensor.creation import zeros
from croton.tensor.elementwise import add, cast, power, sqr
from croton.tensor.joining import join
from croton.tensor.nnet.moments import as_float, as_number, wide
from croton.tensor.shapes import sizes_of


def local_response_normalization(
    x: Any, alpha: Any = 1e-4, k: Any = 2, beta: Any = 0.75, n: int = 5
) -> Any:
    """Divide by what neighbouring channels hold at the same place.

    Krizhevsky, Sutskever and Hinton 2012 ("ImageNet classification with deep convolutional
    neural networks", section 3.3)::

        y[:, c] = x[:, c] / (k + alpha * sum(x[:, c - n//2 : c + n//2 + 1] ** 2)) ** beta

    where channels that there are not count as 0.  ``x`` is (batch, channels, ...); ``n``, the
    number of channels in a sum, is odd.  The arguments and their defaults are those of
    Lasagne's and Pylearn2's layers; Caffe and PyTorch divide ``alpha`` by ``n``.

    >>> import croton.tensor as T
    >>> x = T.constant([[1.0, 2.0, 3.0]])
    >>> local_response_normalization(x, alpha=1, k=1, beta=1, n=3).eval().round(4)
    array([[0.1667, 0.1333, 0.2143]])
    """
    x = as_float(x, "local_response_normalization")
    if x.type.ndim < 2:
        raise ValueError(
            "local_response_normalization takes (batch, channels, ...), got "
            f"{x} of rank {x.type.ndim}" + trace.describe(x.made_at)
        )
    if isinstance(n, bool) or not hasattr(n, "__index__") or n < 1 or n % 2 == 0:
        raise ValueError(f"n, the number of channels in a sum, is odd and positive, got {n!r}")
    half = int(n) // 2
    sizes = sizes_of(x)
    squares = sqr(wide(x))
    if half:
        rim = zeros([sizes[0], half, *sizes[2:]], squares.type.dtype)
        padded = join(1, rim, squares, rim)
        squares = reduce(add, [padded[:, j : j + sizes[1]] for j in range(int(n))])
    alpha, k, beta = (
        as_number(v, squares.type.dtype, name)
        for v, name in ((alpha, "alpha"), (k, "k"), (beta, "beta"))
    )
    return cast(x * power(k + alpha * squares, -beta), x.type.dtype)
