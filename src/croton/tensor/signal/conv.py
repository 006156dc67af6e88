"""Convolution of plain images, without channels."""

from __future__ import annotations

from typing import Any

from croton.tensor.convert import as_tensor_variable
from croton.tensor.nnet.conv.functions import conv2d as conv2d_of_channels
from croton.tensor.shapes import dimshuffle


def conv2d(
    input: Any,
    filters: Any,
    image_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    **kargs: Any,
) -> Any:
    """The convolution of one image or several with one filter or several.

    ``input`` is (rows, columns) or (images, rows, columns), ``filters`` likewise; the
    result has a dimension for the images where there are several, then one for the
    filters where there are several, then rows and columns.  ``image_shape`` and
    ``filter_shape`` are the shapes of the two.  The other arguments are those of
    :func:`croton.tensor.nnet.conv2d`.

    >>> import croton.tensor as T
    >>> conv2d(T.constant([[1.0, 2.0, 3.0]]), T.constant([[1.0, 10.0]])).eval()
    array([[12., 23.]])
    """
    input, filters = as_tensor_variable(input), as_tensor_variable(filters)
    for v, what in ((input, "input"), (filters, "filters")):
        if v.type.ndim not in (2, 3):
            raise TypeError(f"{what} of conv2d has rank 2 or 3, got {v} of rank {v.type.ndim}")
    x, w = (
        dimshuffle(v, ["x", "x", 0, 1] if v.type.ndim == 2 else [0, "x", 1, 2])
        for v in (input, filters)
    )
    shapes = _with_channel(image_shape), _with_channel(filter_shape)
    y = conv2d_of_channels(x, w, shapes[0], shapes[1], border_mode, subsample, **kargs)
    kept = [d for d, v in ((0, input), (1, filters)) if v.type.ndim == 3]
    return dimshuffle(y, [*kept, 2, 3])


def _with_channel(shape: Any) -> Any:
    if shape is None:
        return None
    *lead, rows, columns = shape
    return (lead[0] if lead else 1, 1, rows, columns)
