"""Spatial transformers: images read at places that are computed.

Jaderberg, Simonyan, Zisserman and Kavukcuoglu 2015, arXiv:1506.02025.  A place is a pair (x, y)
in which (-1, -1) is the upper left of an image and (1, 1) the lower right: the middles of the
corner pixels with ``align_corners``, as in cuDNN and Theano, else the corners of the image.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from croton.graph import trace
from croton.tensor import dtypes
from croton.tensor.creation import arange
from croton.tensor.elementwise import (
    and_,
    cast,
    ceil,
    clip,
    floor,
    ge,
    isnan,
    le,
    maximum,
    switch,
    true_div,
)
from croton.tensor.nnet.moments import as_float
from croton.tensor.shapes import as_size, dimshuffle, shape_i, sizes_of, specify_shape


def _floats(v: Any, rank: int, what: str, shape: Sequence[int | None]) -> Any:
    v = as_float(v, what)
    agree = v.type.ndim == rank and all(
        None in (have, want) or have == want for have, want in zip(v.type.shape, shape, strict=True)
    )
    if not agree:
        wanted = ", ".join("?" if n is None else str(n) for n in shape)
        raise ValueError(
            f"{what} has shape ({wanted}), got {v} of shape {v.type.shape_text()}"
            + trace.describe(v.made_at)
        )
    return specify_shape(v, shape)


def _line(size: Any, dtype: str, align_corners: bool) -> Any:
    """The coordinates of ``size`` pixels from -1 to 1."""
    count = cast(as_size(size), dtype)
    place = cast(arange(size), dtype)
    if align_corners:
        return true_div(2 * place, maximum(count - 1, 1)) - 1
    return true_div(2 * place + 1, count) - 1


def affine_grid(theta: Any, size: Sequence[Any], align_corners: bool = True) -> Any:
    """The places that affine maps send the pixels of an image to: a grid for :func:`grid_sample`.

    ``theta`` is (batch, 2, 3), a matrix for each image; ``size`` is that of the images to make,
    (batch, channels, rows, columns) or (rows, columns), numbers or symbolic.  The result is
    (batch, rows, columns, 2)::

        grid[n, i, j] = theta[n] @ [x_j, y_i, 1]

    ValueError for other shapes.

    >>> import croton.tensor as T
    >>> affine_grid(T.constant([[[1.0, 0, 0], [0, 1, 0]]]), (2, 3)).eval()[0, :, :, 0]
    array([[-1.,  0.,  1.],
           [-1.,  0.,  1.]])
    """
    theta = _floats(theta, 3, "theta", (None, 2, 3))
    if len(size) not in (2, 4):
        raise ValueError(
            f"size is (batch, channels, rows, columns) or (rows, columns), got {len(size)} sizes"
        )
    dtype = theta.type.dtype
    x = dimshuffle(_line(size[-1], dtype, align_corners), ["x", "x", 0, "x"])
    y = dimshuffle(_line(size[-2], dtype, align_corners), ["x", 0, "x", "x"])

    def column(k: int) -> Any:
        return dimshuffle(theta[:, :, k], [0, "x", "x", 1])

    return column(0) * x + column(1) * y + column(2)


def grid_sample(x: Any, grid: Any, padding_mode: str = "zeros", align_corners: bool = True) -> Any:
    """The values of images at the places of ``grid``, linearly between pixels.

    ``x`` is (batch, channels, rows, columns), ``grid`` (batch, new rows, new columns, 2) holds
    pairs (x, y), and the result is (batch, channels, new rows, new columns).  Beyond the image
    are zeros, with ``padding_mode="border"`` the values of the nearest pixel; a place that is
    NaN has the value NaN.  The dtype is that of ``x``.  There are gradients by both; at the
    pixels themselves, where values bend, that of the side to the right and below.
    ValueError for other shapes and modes.

    >>> import croton.tensor as T
    >>> x = T.constant([[[[1.0, 3.0]]]])
    >>> grid_sample(x, T.constant([[[[-1.0, 0.0], [0.0, 0.0], [3.0, 0.0]]]])).eval()
    array([[[[1., 2., 0.]]]])
    """
    x = _floats(x, 4, "x", (None,) * 4)
    grid = _floats(grid, 4, "grid", (x.type.shape[0], None, None, 2))
    if padding_mode not in ("zeros", "border"):
        raise ValueError(f'padding_mode is "zeros" or "border", got {padding_mode!r}')
    n, channels, height, width = sizes_of(x)
    dtype = dtypes.upcast(x.type.dtype, grid.type.dtype, "float32")
    axes = [
        _Neighbours(grid[:, :, :, k], size, dtype, padding_mode, align_corners)
        for k, size in ((1, height), (0, width))
    ]
    image = dimshuffle(arange(n), [0, "x", "x", "x"])
    channel = dimshuffle(arange(channels), ["x", 0, "x", "x"])
    parts = []
    for (row, vertical), (column, horizontal) in itertools.product(*(a.sides for a in axes)):
        weight = dimshuffle(vertical * horizontal, [0, "x", 1, 2])
        places = (dimshuffle(p, [0, "x", 1, 2]) for p in (row, column))
        parts.append(x[(image, channel, *places)] * weight)
    return cast(sum(parts[1:], parts[0]), x.type.dtype)


class _Neighbours:
    """Along one dimension: the two pixels around each place, and the weights of their values."""

    def __init__(self, place: Any, size: Any, dtype: str, mode: str, align: bool) -> None:
        count = cast(as_size(size), dtype)
        place = cast(place, dtype)
        at = (place + 1) * (count - 1) / 2 if align else ((place + 1) * count - 1) / 2
        last = count - 1
        if mode == "border":
            at = clip(at, 0, last)
        first = floor(at)
        share = at - first
        nowhere = switch(isnan(at), at, 0)
        self.sides = []
        for pixel, weight in ((first, 1 - share), (first + 1, share)):
            inside = and_(ge(pixel, 0), le(pixel, last))
            index = cast(switch(inside, pixel, 0), "int64")
            self.sides.append((index, switch(inside, weight, nowhere)))


def spatial_transformer(img: Any, theta: Any, scale_width: Any = 1, scale_height: Any = 1) -> Any:
    """Images under affine maps: :func:`grid_sample` at :func:`affine_grid`.

    ``img`` is (batch, channels, rows, columns), ``theta`` (batch, 2, 3).  The result has
    ``ceil(rows * scale_height)`` rows and ``ceil(columns * scale_width)`` columns; beyond the
    images are zeros.  It is Theano's ``dnn_spatialtf``.

    >>> import croton.tensor as T
    >>> mirror = T.constant([[[-1.0, 0, 0], [0, 1, 0]]])
    >>> spatial_transformer(T.constant([[[[1.0, 2.0, 3.0]]]]), mirror).eval()
    array([[[[3., 2., 1.]]]])
    """
    img = _floats(img, 4, "img", (None,) * 4)
    theta = _floats(theta, 3, "theta", (img.type.shape[0], 2, 3))

    def scaled(axis: int, scale: Any) -> Any:
        return cast(ceil(cast(shape_i(img, axis), "float64") * scale), "int64")

    size = (scaled(2, scale_height), scaled(3, scale_width))
    return grid_sample(img, affine_grid(theta, size))
