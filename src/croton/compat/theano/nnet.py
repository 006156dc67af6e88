"""Names of ``theano.tensor.nnet`` that mean something else there than in Croton."""

from __future__ import annotations

from typing import Any

from croton.tensor import nnet
from croton.tensor.convert import as_tensor_variable


def _as_rows(x: Any) -> Any:
    x = as_tensor_variable(x)
    return x.dimshuffle("x", 0) if x.type.ndim == 1 else x


def softmax(c: Any) -> Any:
    """Of each row; a vector is taken as a matrix of one row, and so is the result."""
    return nnet.softmax(_as_rows(c))


def logsoftmax(c: Any) -> Any:
    """The logarithm of :func:`softmax`."""
    return nnet.logsoftmax(_as_rows(c))


__all__ = ["logsoftmax", "softmax"]
