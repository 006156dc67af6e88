"""Pixels from channels, and channels from pixels."""

from __future__ import annotations

from typing import Any

from croton.graph import trace
from croton.tensor.nnet.images import as_images, positive
from croton.tensor.shapes import dimshuffle, reshape, sizes_of


def pixel_shuffle(x: Any, factor: int) -> Any:
    """Images ``factor`` times as large, whose pixels are taken from channels.

    (batch, channels * factor**2, rows, columns) becomes (batch, channels, rows * factor,
    columns * factor), Shi et al. 2016, arXiv:1609.05158::

        y[:, c, i * factor + a, j * factor + b] = x[:, (c * factor + a) * factor + b, i, j]

    ValueError where ``factor**2`` does not divide the channels.

    >>> import croton.tensor as T
    >>> pixel_shuffle(T.arange(4).reshape((1, 4, 1, 1)), 2).eval()
    array([[[[0, 1],
             [2, 3]]]])
    """
    x, f = as_images(x, "pixel_shuffle"), positive(factor, "factor")
    known = x.type.shape[1]
    if known is not None and known % f**2:
        raise ValueError(
            f"pixel_shuffle: {known} channels of {x} are not divisible by {f}**2"
            + trace.describe(x.made_at)
        )
    n, c, rows, columns = sizes_of(x)
    parts = reshape(x, [n, c // f**2, f, f, rows, columns])
    return reshape(dimshuffle(parts, [0, 1, 4, 2, 5, 3]), [n, c // f**2, rows * f, columns * f])


def pixel_unshuffle(x: Any, factor: int) -> Any:
    """The inverse of :func:`pixel_shuffle`: blocks of pixels become channels.

    ValueError where ``factor`` does not divide the rows and columns.

    >>> import croton.tensor as T
    >>> pixel_unshuffle(T.arange(4).reshape((1, 1, 2, 2)), 2).eval().ravel()
    array([0, 1, 2, 3])
    """
    x, f = as_images(x, "pixel_unshuffle"), positive(factor, "factor")
    for known in x.type.shape[2:]:
        if known is not None and known % f:
            raise ValueError(
                f"pixel_unshuffle: rows and columns of {x}, of shape {x.type.shape_text()}, are "
                f"not divisible by {f}" + trace.describe(x.made_at)
            )
    n, c, rows, columns = sizes_of(x)
    parts = reshape(x, [n, c, rows // f, f, columns // f, f])
    return reshape(dimshuffle(parts, [0, 1, 3, 5, 2, 4]), [n, c * f**2, rows // f, columns // f])
