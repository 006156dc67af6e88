"""Activation functions."""

from __future__ import annotations

from typing import Any

from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import abs_, clip, expm1, gt, maximum, minimum, sigmoid, switch


def relu(x: Any, alpha: Any = 0) -> Any:
    """``max(x, alpha * x)`` for ``0 <= alpha <= 1``: x where positive, else ``alpha * x``.

    The shape stays; dtypes are those of ``alpha * x``.

    >>> import croton.tensor as T
    >>> T.nnet.relu([-2.0, 3.0]).eval()
    array([0., 3.])
    >>> T.nnet.relu([-2.0, 3.0], alpha=0.5).eval()
    array([-1.,  3.])
    """
    x = as_tensor_variable(x)
    if isinstance(alpha, int | float) and alpha == 0:
        return maximum(x, 0)
    return switch(gt(x, 0), x, alpha * x)


def elu(x: Any, alpha: Any = 1) -> Any:
    """x where positive, else ``alpha * (exp(x) - 1)`` (Clevert et al. 2015).

    >>> import croton.tensor as T
    >>> T.nnet.elu([-1000.0, 2.0]).eval()
    array([-1.,  2.])
    """
    x = as_tensor_variable(x)
    return switch(gt(x, 0), x, alpha * expm1(minimum(x, 0)))


def selu(x: Any) -> Any:
    """The scaled :func:`elu` of self-normalising networks (Klambauer et al. 2017).

    >>> import croton.tensor as T
    >>> T.nnet.selu([0.0]).eval()
    array([0.])
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``.

    >>> import croton.tensor as T
    >>> T.nnet.softsign([-1.0, 3.0]).eval()
    array([-0.5 ,  0.75])
    """
    x = as_tensor_variable(x)
    return x / (1 + abs_(x))


def hard_sigmoid(x: Any) -> Any:
    """The sigmoid as a line of slope 0.2, cut at 0 and 1.

    >>> import croton.tensor as T
    >>> T.nnet.hard_sigmoid([-3.0, 0.0, 3.0]).eval()
    array([0. , 0.5, 1. ])
    """
    return clip(as_tensor_variable(x) * 0.2 + 0.5, 0, 1)


def ultra_fast_sigmoid(x: Any) -> Any:
    """The sigmoid (Theano's name for an approximation; here it is exact and no slower).

    >>> import croton.tensor as T
    >>> T.nnet.ultra_fast_sigmoid([0.0]).eval()
    array([0.5])
    """
    return sigmoid(x)
