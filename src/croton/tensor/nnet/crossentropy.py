"""Cross-entropies: the losses of classifiers."""

from __future__ import annotations

from typing import Any

from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import arange
from croton.tensor.elementwise import log, log1p, softplus
from croton.tensor.nnet.softmax import softmax
from croton.tensor.reduction import argmax
from croton.tensor.reduction import sum as tensor_sum
from croton.tensor.shapes import shape_i


def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> Any:
    """The cross-entropy of each row of predicted probabilities with the truth.

    ``coding_dist``: (rows, classes).  ``true_dist``: probabilities of the same
    shape, or a vector of class numbers.  Gives a vector of (rows,).

    Source: ``-sum(true * log(coding))``; with class numbers, ``-log(coding[i, true[i]])``.

    Class numbers that are no integers, and ranks that do not fit: TypeError.

    >>> import croton.tensor as T
    >>> p = T.constant([[1.0, 0.0], [0.0, 1.0]])
    >>> T.nnet.categorical_crossentropy(p, [0, 0]).eval()
    array([-0., inf])
    """
    coding = as_tensor_variable(coding_dist)
    true = as_tensor_variable(true_dist)
    if true.type.ndim == coding.type.ndim:
        return -tensor_sum(true * log(coding), axis=coding.type.ndim - 1)
    if true.type.ndim == coding.type.ndim - 1:
        if true.type.dtype not in dtypes.INTEGERS:
            raise TypeError(
                f"class numbers are integers, got {true} of dtype {true.type.dtype}; probabilities "
                f"have the rank of the prediction ({coding.type.ndim})"
            )
        if coding.type.ndim != 2:
            raise TypeError(f"with class numbers the prediction is a matrix, got {coding.type}")
        return -log(coding)[arange(shape_i(coding, 0)), true]
    raise TypeError(f"ranks do not fit: prediction {coding.type}, truth {true.type}")


def binary_crossentropy(output: Any, target: Any) -> Any:
    """``-(target * log(output) + (1 - target) * log(1 - output))``, elementwise.

    >>> import croton.tensor as T
    >>> T.nnet.binary_crossentropy([0.25, 0.0], [0.0, 1.0]).eval().round(3)
    array([0.288,   inf])
    """
    output, target = as_tensor_variable(output), as_tensor_variable(target)
    return -(target * log(output) + (1.0 - target) * log1p(-output))


def sigmoid_binary_crossentropy(output: Any, target: Any) -> Any:
    """The binary cross-entropy of ``sigmoid(output)``, without overflow.

    >>> import croton.tensor as T
    >>> T.nnet.sigmoid_binary_crossentropy([1000.0, -1000.0], [1, 1]).eval()
    array([   0., 1000.])
    """
    output, target = as_tensor_variable(output), as_tensor_variable(target)
    return target * softplus(-output) + (1 - target) * softplus(output)


def crossentropy_softmax_argmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> Any:
    """The cross-entropy of ``softmax(x + b)`` with classes ``y_idx``; the softmax; its argmax.

    ``x``: (rows, classes), ``b``: (classes,), ``y_idx``: (rows,) integers.

    >>> import croton.tensor as T
    >>> f = T.nnet.crossentropy_softmax_argmax_1hot_with_bias
    >>> loss, s, best = f([[1.0, 1.0, 3.0]], [0.0, 0.0, 0.0], [0])
    >>> loss.type.shape, best.eval()
    ((1,), array([2]))
    """
    s = softmax(as_tensor_variable(x) + b)
    return [categorical_crossentropy(s, y_idx), s, argmax(s, axis=1)]
