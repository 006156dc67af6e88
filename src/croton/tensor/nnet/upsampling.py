"""Larger images: nearest and bilinear upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.config import config
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import alloc, arange
from croton.tensor.elementwise import cast, maximum, minimum, true_div
from croton.tensor.joining import join
from croton.tensor.nnet.conv.functions import promised
from croton.tensor.nnet.images import as_images, positive
from croton.tensor.nnet.moments import as_float
from croton.tensor.shapes import dimshuffle, reshape, sizes_of


def _pair(given: Any, what: str) -> tuple[int, int]:
    if isinstance(given, Sequence):
        if len(given) != 2:
            raise ValueError(f"{what} is an int or a pair (rows, columns), got {given!r}")
        return positive(given[0], what), positive(given[1], what)
    n = positive(given, what)
    return n, n


def _repeated(x: Any, axis: int, times: int) -> Any:
    """Each element of ``x`` ``times`` times, one after the other along ``axis``."""
    rank = x.type.ndim
    sizes = sizes_of(x)
    spread = dimshuffle(x, [*range(axis + 1), "x", *range(axis + 1, rank)])
    whole = alloc(spread, *sizes[: axis + 1], times, *sizes[axis + 1 :])
    return reshape(whole, [*sizes[:axis], sizes[axis] * times, *sizes[axis + 1 :]])


def _interpolated(x: Any, axis: int, ratio: Any, shift: Any) -> Any:
    """``ratio`` elements for each of ``x`` along ``axis``, on the lines between neighbours.

    ``shift`` says where: the k-th of the elements for number j lies at ``j + shift[k]``, with
    ``-1 < shift[k] < 1``; beyond the ends the end elements go on.
    """
    rank, count = x.type.ndim, sizes_of(x)[axis]

    def part(start: Any, stop: Any) -> Any:
        return x[(*[slice(None)] * axis, slice(start, stop))]

    def along(v: Any) -> Any:
        return dimshuffle(v, ["x"] * (axis + 1) + [0] + ["x"] * (rank - axis - 1))

    def spread(v: Any) -> Any:
        return dimshuffle(v, [*range(axis + 1), "x", *range(axis + 1, rank)])

    shift = cast(shift, x.type.dtype)
    down, up = maximum(-shift, 0), maximum(shift, 0)
    previous = join(axis, part(0, 1), part(0, -1))
    following = join(axis, part(1, None), part(maximum(count - 1, 0), None))
    whole = spread(x) * along(1 - down - up)
    whole = whole + spread(previous) * along(down) + spread(following) * along(up)
    sizes = sizes_of(x)
    return reshape(whole, [*sizes[:axis], count * ratio, *sizes[axis + 1 :]])


def upsample(x: Any, factor: Any, mode: str = "nearest") -> Any:
    """Images (batch, channels, rows, columns), ``factor`` times as large.

    ``factor`` is an int or a pair (rows, columns).  ``mode`` is

    - ``"nearest"``: each pixel becomes ``factor`` x ``factor`` equal ones;
    - ``"bilinear"``: pixels are squares with their value in the middle, and between the
      middles values change linearly: result i has the value at ``(i + 0.5) / factor - 0.5``
      of the image, where beyond the first and last middle the values stay.  (Corners are
      not aligned, as others call it.)

    Floats keep their dtype; bilinear of integers gives floats.  TypeError for other ranks,
    ValueError for other modes and factors.

    >>> import croton.tensor as T
    >>> x = T.constant([[[[1.0, 3.0]]]])
    >>> upsample(x, 2).eval()
    array([[[[1., 1., 3., 3.],
             [1., 1., 3., 3.]]]])
    >>> upsample(x, (1, 2), mode="bilinear").eval()
    array([[[[1. , 1.5, 2.5, 3. ]]]])
    """
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f'mode is "nearest" or "bilinear", got {mode!r}')
    x = as_images(x, "upsample")
    for axis, ratio in zip((2, 3), _pair(factor, "factor"), strict=True):
        if ratio == 1:
            continue
        if mode == "nearest":
            x = _repeated(x, axis, ratio)
        else:
            x = as_float(x, "upsample")
            shift = (np.arange(ratio) + 0.5) / ratio - 0.5
            x = _interpolated(x, axis, ratio, as_tensor_variable(shift))
    return x


def bilinear_kernel_1D(ratio: Any, normalize: bool = True) -> Any:
    """``[1, 2, ..., ratio, ..., 2, 1]``, divided by ``ratio`` if ``normalize``.

    The filter whose transposed convolution with steps of ``ratio`` upsamples signals by
    linear interpolation.  A vector of ``2 * ratio - 1`` elements in ``floatX``; ``ratio`` is
    an int or an integer scalar.

    >>> bilinear_kernel_1D(2).eval()
    array([0.5, 1. , 0.5])
    """
    ratio = _ratio(ratio, "ratio")
    rise = arange(1, 2 * ratio)
    kernel = cast(minimum(rise, 2 * ratio - rise), config.floatX)
    return true_div(kernel, cast(ratio, config.floatX)) if normalize else kernel


def bilinear_kernel_2D(ratio: Any, normalize: bool = True) -> Any:
    """The outer product of two :func:`bilinear_kernel_1D`, for images.

    ``ratio`` is one for both or a pair (rows, columns).

    >>> bilinear_kernel_2D((1, 2)).eval()
    array([[0.5, 1. , 0.5]])
    """
    rows, columns = ratio if isinstance(ratio, tuple | list) else (ratio, ratio)
    down = dimshuffle(bilinear_kernel_1D(rows, normalize), [0, "x"])
    return down * dimshuffle(bilinear_kernel_1D(columns, normalize), ["x", 0])


def _ratio(ratio: Any, what: str) -> Any:
    if isinstance(ratio, int | np.integer):
        return positive(ratio, what)
    v = as_tensor_variable(ratio)
    if v.type.ndim or v.type.dtype not in dtypes.INTEGERS:
        raise TypeError(
            f"{what} is an integer, got {v} of dtype {v.type.dtype} and rank {v.type.ndim}"
        )
    return cast(v, "int64")


def _fraction(given: Any) -> tuple[int, int]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ValueError(
            "frac_ratio is a pair (numerator, denominator) or two of them, for rows and "
            f"columns, got {given!r}"
        )
    p, q = (positive(n, "a part of frac_ratio") for n in given)
    common = int(np.gcd(p, q))
    return p // common, q // common


def bilinear_upsampling(
    input: Any,
    ratio: Any = None,
    frac_ratio: Any = None,
    batch_size: int | None = None,
    num_input_channels: int | None = None,
    use_1D_kernel: bool = True,
) -> Any:
    """Theano's bilinear upsampling of images (batch, channels, rows, columns).

    Result i has the value at ``(i - (ratio - 1) // 2) / ratio`` of the image, linearly
    between pixels and constant beyond the ends.  For an odd ``ratio`` that is the
    ``"bilinear"`` of :func:`upsample`; for an even one the last pixel is repeated once more
    than the first.

    - ``ratio``: how many times as large, an int or an integer scalar;
    - ``frac_ratio``, instead of it: (numerator p, denominator q), or a pair of such pairs for
      rows and columns: every q-th row and column of what ``ratio=p`` gives;
    - ``batch_size``, ``num_input_channels``: these sizes where they are known;
    - ``use_1D_kernel`` changes nothing.

    TypeError for other ranks; ValueError for other ratios.

    >>> import croton.tensor as T
    >>> x = T.constant([[[[0.0, 4.0]]]])
    >>> bilinear_upsampling(x, 2).eval()
    array([[[[0., 2., 4., 4.],
             [0., 2., 4., 4.]]]])
    >>> bilinear_upsampling(x, frac_ratio=((1, 1), (3, 2))).eval().round(2)
    array([[[[0.  , 1.33, 4.  ]]]])
    """
    if (ratio is None) == (frac_ratio is None):
        raise ValueError(f"ratio or frac_ratio is given, got {ratio!r} and {frac_ratio!r}")
    x = as_float(as_images(input, "bilinear_upsampling"), "bilinear_upsampling")
    x = promised(x, (batch_size, num_input_channels, None, None), "input")
    if frac_ratio is None:
        n = _ratio(ratio, "ratio")
        parts = [(n, 1), (n, 1)]
    elif isinstance(frac_ratio, tuple | list) and isinstance(frac_ratio[0], tuple | list):
        if len(frac_ratio) != 2:
            raise ValueError(f"frac_ratio has pairs for rows and columns, got {frac_ratio!r}")
        parts = [_fraction(f) for f in frac_ratio]
    else:
        parts = [_fraction(frac_ratio)] * 2
    for axis, (p, q) in zip((2, 3), parts, strict=True):
        place = arange(p) - (p - 1) // 2
        whole = cast(as_tensor_variable(p), "float64")
        x = _interpolated(x, axis, p, true_div(place, whole))
        if q != 1:
            x = x[(*[slice(None)] * axis, slice(None, None, q))]
    return x
